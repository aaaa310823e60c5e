/** What the last run of a document did to its nodes. Keys are execution ids ("5", "12:3" inside a subgraph). */

import type { Json, JsonObject } from "../graph/json";

export type NodeState = "running" | "done" | "cached" | "error";

export interface NodeRun {
  readonly state: NodeState;
  readonly value: number;
  readonly max: number;
  readonly startedAt: number;
  readonly took: number | null;
}

export interface Problem {
  readonly node: string;
  /** The input or widget at fault, if one is. */
  readonly input: string | null;
  readonly message: string;
  readonly details: string;
}

export interface MediaRef {
  readonly filename: string;
  readonly subfolder: string;
  readonly type: string;
}

export class RunState {
  promptId: string | null = null;
  readonly nodes = new Map<string, NodeRun>();
  readonly problems: Problem[] = [];
  /** Pictures a node shows, newest run; the URLs are the view's business. */
  readonly media = new Map<string, readonly MediaRef[]>();
  readonly text = new Map<string, string>();
  /** Object URLs of live previews. */
  readonly previews = new Map<string, string>();
  /** The seed each node was last queued with: its widget already shows the next one. */
  readonly seeds = new Map<string, readonly [widget: string, seed: Json]>();
  /** What is to run, as far as it is known before it does. */
  plan: readonly string[] = [];
  /** Milliseconds each node took when it last ran. */
  readonly took = new Map<string, number>();
  startedAt = 0;
  /** What the next run would compute anew, as far as the page can know; null before anything ran. */
  fresh: ReadonlySet<string> | null = null;
  /** Counts changes, so that a view can tell whether it is up to date. */
  version = 0;

  begin(promptId: string, plan: readonly string[], now: number): void {
    this.version++;
    this.plan = plan;
    this.promptId = promptId;
    this.nodes.clear();
    this.problems.length = 0;
    this.startedAt = now;
  }

  cached(ids: readonly string[], now: number): void {
    this.version++;
    for (const id of ids) this.nodes.set(id, { state: "cached", value: 1, max: 1, startedAt: now, took: 0 });
  }

  progress(id: string, state: NodeState, value: number, max: number, now: number): void {
    this.version++;
    const before = this.nodes.get(id);
    const startedAt = before?.state === "running" ? before.startedAt : now;
    const took = state === "done" ? (before?.took ?? now - startedAt) : null;
    if (took !== null && before?.state === "running") this.took.set(id, took);
    this.nodes.set(id, { state, value, max, startedAt, took });
  }

  /** Ends whatever still runs; the server never closes a node that failed. */
  finish(): void {
    this.version++;
    for (const [id, run] of this.nodes) if (run.state === "running") this.nodes.delete(id);
  }

  fail(problem: Problem): void {
    this.version++;
    this.problems.push(problem);
    this.nodes.set(problem.node, { state: "error", value: 0, max: 1, startedAt: 0, took: null });
  }

  clearProblems(node: string): void {
    this.version++;
    for (let i = this.problems.length - 1; i >= 0; i--) if (this.problems[i]?.node === node) this.problems.splice(i, 1);
    if (this.nodes.get(node)?.state === "error") this.nodes.delete(node);
  }

  output(id: string, ui: JsonObject): void {
    this.version++;
    const images = mediaOf(ui["images"]) ?? mediaOf(ui["gifs"]);
    if (images) this.media.set(id, images);
    const text = ui["text"];
    if (text !== undefined) this.text.set(id, Array.isArray(text) ? text.map(String).join("\n") : String(text));
    this.previews.delete(id);
  }
}

export function mediaOf(value: Json | undefined): readonly MediaRef[] | null {
  if (!Array.isArray(value)) return null;
  const refs = (value as readonly Json[]).flatMap((item) => {
    const ref = item as JsonObject | null;
    return ref && typeof ref["filename"] === "string"
      ? [{ filename: ref["filename"], subfolder: typeof ref["subfolder"] === "string" ? ref["subfolder"] : "", type: typeof ref["type"] === "string" ? ref["type"] : "output" }]
      : [];
  });
  return refs.length > 0 ? refs : null;
}
