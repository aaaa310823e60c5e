/** Queueing the open document, and turning what the server says into what the nodes show. */

import type { Message } from "../client/protocol";
import { HttpError, type NodeErrors, http, readNodeErrors } from "../client/http";
import { Socket } from "../client/socket";
import type { Editor } from "../editor/editor";
import { membersOf } from "../editor/frames";
import { advance } from "../graph/control";
import type { Document, NodeId } from "../graph/document";
import { type Json, type JsonObject, isArray, isObject, text } from "../graph/json";
import { Histories } from "../graph/history";
import { isLook, lookedAt, upTo } from "../graph/partial";
import { type Prompt, toPrompt } from "../graph/prompt";
import { writeWorkflow } from "../graph/save";
import { t } from "../words/words";
import type { App } from "./app";

function clientId(): string {
  // The same over a reload, so that a job queued before it still reports here.
  const known = sessionStorage.getItem("heddle.client");
  if (known) return known;
  const made = crypto.randomUUID();
  sessionStorage.setItem("heddle.client", made);
  return made;
}

export class Runner {
  private readonly client = clientId();
  private readonly socket: Socket;
  /** Which document each job came from. */
  private readonly owners = new Map<string, Editor>();
  /** What the socket said about a job before the answer to its submission arrived. */
  private early: Message[] = [];
  private submitting = 0;
  private refreshing: ReturnType<typeof setTimeout> | undefined;
  private firstRun = true;
  private readonly queued = new Map<string, { readonly document: Document; readonly nodes: readonly string[]; readonly partial: boolean }>();
  private readonly histories = new Histories();
  private readonly made = new WeakMap<Editor, Set<number>>();
  private foreseen: Document | null = null;
  private thinking: ReturnType<typeof setTimeout> | undefined;
  private watched: Document | null = null;
  private soon: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly app: App) {
    const url = new URL(`ws?clientId=${this.client}`, document.baseURI);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    this.socket = new Socket(url.href, {
      message: (message) => this.receive(message),
      connection: (state, again) => {
        app.connection = state;
        app.changed();
        if (state === "open") void this.catchUp(again);
      },
    });
  }

  start(): void {
    this.socket.open();
    this.app.subscribe(() => {
      this.watch();
      this.foresee();
    });
  }

  /** The histories that this document's successful runs left behind. */
  private remember(editor: Editor, ran: Document): void {
    const made = this.made.get(editor) ?? new Set<number>();
    for (const number of this.histories.of(toPrompt(ran, this.app.catalogue, { random: () => 0 })).values()) made.add(number);
    this.made.set(editor, made);
    this.foreseen = null;
  }

  /** Marks what the next run would compute, a moment after the last change. */
  private foresee(): void {
    const editor = this.app.active;
    const made = this.made.get(editor);
    if (!made || editor.document === this.foreseen || editor.isLive) return;
    this.foreseen = editor.document;
    clearTimeout(this.thinking);
    this.thinking = setTimeout(() => {
      const numbers = this.histories.of(toPrompt(editor.document, this.app.catalogue, { random: () => 0 }));
      editor.run.fresh = new Set([...numbers].filter(([, number]) => !made.has(number)).map(([id]) => id));
      editor.run.version++;
      editor.changed();
    }, 150);
  }

  /** Run on change: a pause after the last change, and never more than one job waiting. */
  private watch(): void {
    const { app } = this;
    const { active } = app;
    if (!app.live || active.document === this.watched || active.isLive) return;
    const first = this.watched === null;
    this.watched = active.document;
    clearTimeout(this.soon);
    if (first) return;
    const attempt = (): void => {
      if (!app.live) return;
      if (app.remaining > 1) this.soon = setTimeout(attempt, 200);
      else void this.queue().then(() => (this.watched = active.document));
    };
    this.soon = setTimeout(attempt, 350);
  }

  /** Queues the active document `count` times. With `upTo`, only what those nodes need runs, and seeds stay. */
  async queue(options: { readonly front?: boolean; readonly count?: number; readonly upTo?: readonly NodeId[] } = {}): Promise<void> {
    const { app } = this;
    const editor = app.active;
    editor.run.problems.length = 0;
    this.submitting++;
    try {
      for (let i = 0; i < (options.count ?? 1); i++) {
        const before = app.settings.seedControl === "before" && !this.firstRun;
        if (before && !options.upTo) editor.amend((document) => advance(document, app.catalogue, Math.random));
        this.firstRun = false;
        const sent = editor.document;
        const { prompt, targets } = await this.prompt(editor, options.upTo);
        const workflow = embedded(writeWorkflow(editor.document, app.catalogue));
        const { previews } = app.settings;
        const answer = await http.submit({ prompt, workflow, client: this.client, ...(previews === "default" ? {} : { previews }), ...(options.front ? { front: true } : {}), ...(targets ? { targets } : {}) });
        this.owners.set(answer.id, editor);
        this.queued.set(answer.id, { document: sent, nodes: Object.keys(prompt).filter((id) => !isLook(id)), partial: targets !== null });
        for (const [node, { inputs }] of Object.entries(prompt)) {
          for (const widget of ["seed", "noise_seed"]) {
            const seed = inputs[widget];
            if (typeof seed === "number" || typeof seed === "bigint") editor.run.seeds.set(node, [widget, seed]);
          }
        }
        this.report(editor, answer.errors);
        app.extensions.afterQueue(answer.id);
        if (app.settings.seedControl === "after" && !options.upTo) editor.amend((document) => advance(document, app.catalogue, Math.random));
      }
    } catch (error) {
      this.refused(editor, error);
    } finally {
      this.submitting--;
      const held = this.early;
      this.early = [];
      for (const message of held) this.receive(message);
    }
    this.refreshSoon();
    editor.changed();
  }

  private async prompt(editor: Editor, wanted: readonly NodeId[] | undefined): Promise<{ readonly prompt: Prompt; readonly targets: readonly string[] | null }> {
    const { app } = this;
    const whole = await app.extensions.beforeQueue(toPrompt(editor.document, app.catalogue));
    if (Object.keys(whole).length === 0) throw new Error(t("There is nothing to run: add a node first (Tab)."));
    if (!wanted) return { prompt: whole, targets: null };
    const part = upTo(whole, wanted, app.catalogue);
    if (part.targets.length === 0) throw new Error(t("There is nothing to run here: these nodes are switched off, or give nothing."));
    return part;
  }

  interrupt(): void {
    const running = this.app.jobs.find((job) => job.state === "running");
    http.interrupt(running?.id).catch((error: unknown) => this.app.fail(error));
  }

  private refused(editor: Editor, error: unknown): void {
    const { app } = this;
    if (!(error instanceof HttpError) || !isObject(error.body)) return app.fail(error);
    const problem = isObject(error.body["error"]) ? error.body["error"] : {};
    const errors = readNodeErrors(error.body["node_errors"]);
    this.report(editor, errors);
    const info = isObject(problem["extra_info"]) ? problem["extra_info"] : {};
    const named = text(info["node_id"]) ?? /Node ID '#([^']+)'/.exec(text(problem["details"]) ?? "")?.[1];
    if (named && !errors[named]) editor.run.fail({ node: named, input: null, message: text(problem["message"]) ?? "This node cannot run.", details: "" });
    const first = editor.run.problems[0];
    const message = text(problem["message"]) ?? error.message;
    app.notify({ tone: "error", text: first ? problemText(editor, first.node, first.message, first.details) : message, ...(first ? { action: { label: t("Show"), run: () => jumpTo(app, editor, first.node) } } : {}) });
  }

  private report(editor: Editor, errors: NodeErrors): void {
    for (const [node, { errors: list }] of Object.entries(errors)) {
      for (const error of list) editor.run.fail({ node, input: error.input, message: error.message, details: error.details });
    }
  }

  // What the server says

  private receive(message: Message): void {
    const { app } = this;
    const now = performance.now();
    if (message.kind === "status") {
      app.remaining = message.remaining;
      this.refreshSoon();
      return app.changed();
    }
    if (message.kind === "other") return app.extensions.message(message.type, message.data);
    if (!("prompt" in message) && message.kind !== "text") return;
    // A job may be over before the answer to its submission is here.
    if ("prompt" in message && message.prompt && !this.owners.has(message.prompt) && this.submitting > 0) {
      this.early.push(message);
      return;
    }
    const editor = message.kind === "text" ? app.active : this.editorOf(message.prompt ?? this.current);
    if (!editor) return;
    const { run } = editor;
    switch (message.kind) {
      case "start":
        this.current = message.prompt;
        run.begin(message.prompt, this.queued.get(message.prompt)?.nodes ?? [], now);
        break;
      case "cached":
        run.cached(message.nodes, now);
        break;
      case "executing":
        if (message.node === null) {
          run.finish();
          this.refreshSoon();
        } else {
          this.executing = message.node;
          if (isLook(message.node)) break;
          run.progress(message.node, "running", 0, 1, now);
        }
        break;
      case "progress":
        run.progress(message.node, "running", message.value, message.max, now);
        break;
      case "progress-state":
        for (const node of message.nodes) if (!isLook(node.display)) run.progress(node.display, node.state === "finished" ? "done" : "running", node.value, node.max, now);
        break;
      case "executed":
        // Of a viewer only pictures are worth showing on the node it looks at: the rest is how Python writes a tensor.
        if (message.output && (!isLook(message.node) || isArray(message.output["images"]) || this.saysSomething(editor, message.node))) run.output(lookedAt(message.node), message.output);
        break;
      case "preview": {
        const node = message.node ?? this.executing;
        if (node === null) break;
        const old = run.previews.get(node);
        run.previews.set(node, URL.createObjectURL(message.image));
        if (old) URL.revokeObjectURL(old);
        break;
      }
      case "text":
        run.text.set(message.node, message.text);
        break;
      case "error":
        run.fail({ node: message.node, input: null, message: message.message || message.exception, details: message.traceback.join("") });
        app.notify({ tone: "error", text: problemText(editor, message.node, message.message || message.exception, ""), action: { label: t("Show"), run: () => jumpTo(app, editor, message.node) } });
        break;
      case "interrupted":
        run.finish();
        break;
      case "success": {
        const ran = this.queued.get(message.prompt);
        if (ran && !ran.partial) this.remember(editor, ran.document);
        break;
      }
    }
    editor.changed();
  }

  /** Whether a node's first output can be read as text. */
  private saysSomething(editor: Editor, look: string): boolean {
    const id = lookedAt(look).split(":").at(-1) ?? "";
    const output = editor.definition(editor.graph.nodes.get(id)?.type ?? "")?.outputs[0];
    return output !== undefined && ["STRING", "INT", "FLOAT", "BOOLEAN"].includes(output.type);
  }

  private current: string | null = null;
  private executing: string | null = null;

  private editorOf(prompt: string | null): Editor | null {
    return (prompt !== null && this.owners.get(prompt)) || null;
  }

  private refreshSoon(): void {
    clearTimeout(this.refreshing);
    this.refreshing = setTimeout(() => void this.app.refreshJobs(), 60);
  }

  /** What was missed while the connection was down is in the queue and the history. */
  private async catchUp(again: boolean): Promise<void> {
    // The first time the server's greeting asks for the same.
    if (!again) return;
    const { app } = this;
    await app.refreshJobs();
    for (const [id, editor] of this.owners) {
      const job = app.jobs.find((item) => item.id === id);
      if (!job || job.state === "pending" || job.state === "running") continue;
      if (editor.run.promptId !== null && editor.run.promptId !== id && editor.run.nodes.size > 0) continue;
      for (const [node, output] of Object.entries(job.outputs)) editor.run.output(node, output);
      editor.run.finish();
      editor.changed();
    }
  }
}

/** The copy that travels inside images: no translated names, and who wrote it. */
function embedded(workflow: JsonObject): JsonObject {
  const strip = (value: Json | undefined): Json | undefined => {
    if (Array.isArray(value)) return (value as readonly Json[]).map((item) => strip(item) ?? null);
    if (!isObject(value)) return value;
    if (!("localized_name" in value)) return value;
    const { localized_name: _name, ...rest } = value;
    return rest;
  };
  const nodes = ((workflow["nodes"] ?? []) as readonly JsonObject[]).map((node) => ({ ...node, ...(node["inputs"] ? { inputs: strip(node["inputs"]) } : {}), ...(node["outputs"] ? { outputs: strip(node["outputs"]) } : {}) }));
  return { ...workflow, nodes };
}

export function problemText(editor: Editor, node: NodeId, message: string, details: string): string {
  const id = node.split(":")[0] ?? node;
  const found = editor.document.root.nodes.get(id);
  const said = details && !message.includes(details) ? `${message}: ${details}` : message;
  return found ? `${editor.title(found)} — ${said}` : said;
}

/** Shows a node in the middle of the screen, entering the subgraphs it lies in. */
export function jumpTo(app: App, editor: Editor, executionId: string): void {
  if (app.active !== editor) app.show(editor);
  const path = executionId.split(":");
  const node = path.at(-1);
  if (node === undefined) return;
  if (editor.path.join(":") !== path.slice(0, -1).join(":")) editor.goTo(path.slice(0, -1));
  if (!editor.graph.nodes.has(node)) return;
  // What lies in a folded frame cannot be shown before that is open.
  if (editor.folded.nodes.has(node)) editor.edit("Unfold", (graph) => ({ ...graph, groups: graph.groups.map((group, i) => (group.folded && membersOf(graph, editor.layout, i).nodes.has(node) ? { ...group, folded: false } : group)) }));
  editor.select({ nodes: new Set([node]) });
  app.reveal?.(new Set([node]));
}

