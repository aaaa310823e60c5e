/** The graph as a list of sentences for screen readers and keyboards: what each node is, takes, gives and is doing. */

import type { App } from "../app/app";
import type { Editor } from "../editor/editor";
import { runOf, willRun } from "./draw-node";
import { BYPASSED, type Graph, type GraphNode, MUTED, linkInto, wiring } from "../graph/document";
import { t } from "../words/words";

const MOST = 300;

export class Reader {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private editor: Editor | null = null;
  private graph: Graph | null = null;
  private run = -1;
  private readonly items = new Map<string, HTMLLIElement>();

  constructor(
    private readonly app: App,
    private readonly root: HTMLElement,
  ) {
    app.subscribe(() => {
      this.timer ??= setTimeout(() => {
        this.timer = undefined;
        this.update();
      }, 300);
    });
    root.addEventListener("focusin", (event) => {
      const id = (event.target as HTMLElement).dataset["node"];
      if (id === undefined || !app.active.graph.nodes.has(id)) return;
      app.active.select({ nodes: new Set([id]) });
      app.reveal?.(new Set([id]));
    });
    root.addEventListener("click", () => document.getElementById("canvas")?.focus());
  }

  private update(): void {
    const editor = this.app.active;
    if (this.graph === editor.graph && this.run === editor.run.version && this.editor === editor) return;
    [this.editor, this.graph, this.run] = [editor, editor.graph, editor.run.version];
    const seen = new Set<string>();
    let before: Element | null = null;
    for (const node of editor.graph.nodes.values()) {
      if (seen.size >= MOST) break;
      seen.add(node.id);
      const item = this.items.get(node.id) ?? this.make(node.id);
      const button = item.firstElementChild as HTMLButtonElement;
      const text = describe(editor, node);
      if (button.textContent !== text) button.textContent = text;
      if (item.parentNode !== this.root || item.previousElementSibling !== before) this.root.insertBefore(item, before ? before.nextSibling : this.root.firstChild);
      before = item;
    }
    for (const [id, item] of this.items) {
      if (seen.has(id)) continue;
      item.remove();
      this.items.delete(id);
    }
  }

  private make(id: string): HTMLLIElement {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.dataset["node"] = id;
    item.append(button);
    this.items.set(id, item);
    return item;
  }
}

export function describe(editor: Editor, node: GraphNode): string {
  const definition = editor.definition(node.type);
  const parts = [editor.title(node)];
  if (!definition) parts.push(t("missing node type {type}", { type: node.type }));
  if (node.mode === MUTED) parts.push(t("muted"));
  if (node.mode === BYPASSED) parts.push(t("bypassed"));
  const run = runOf(editor, node);
  if (run?.state === "running") parts.push(run.max > 1 ? t("running, {value} of {max}", { value: run.value, max: run.max }) : t("running"));
  else if (run) parts.push(t(run.state));
  if (willRun(editor, node)) parts.push(t("will run"));
  for (const problem of editor.run.problems) if (problem.node === editor.executionId(node.id)) parts.push(t("error: {message}", { message: `${problem.message} ${problem.details}` }));
  node.inputs.forEach((slot, i) => {
    const link = linkInto(editor.graph, node.id, i);
    const source = link && editor.graph.nodes.get(link.from);
    if (source) parts.push(t("{input} from {node}", { input: slot.label ?? slot.name, node: editor.title(source) }));
    else if (slot.widget === undefined) parts.push(t("{input} open, takes {type}", { input: slot.label ?? slot.name, type: slot.type }));
  });
  for (const entry of editor.entries(node)) {
    if (entry.role === "value") parts.push(`${entry.input?.label ?? entry.name} ${String(editor.value(node, entry.key, "")).slice(0, 80)}`);
  }
  const targets = (wiring(editor.graph).outOf.get(node.id) ?? []).flatMap((link) => editor.graph.nodes.get(link.to) ?? []);
  if (targets.length > 0) parts.push(t("feeds {nodes}", { nodes: [...new Set(targets.map((target) => editor.title(target)))].join(", ") }));
  return parts.join("; ");
}
