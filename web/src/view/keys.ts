/** Keys: commands everywhere, walking and editing on the canvas. */

import type { Context } from "../app/commands";
import { commandFor, keyOf } from "../app/keys";
import { bounds } from "../editor/geometry";
import { step } from "../editor/gesture";
import { type Host, perform } from "../editor/perform";
import { pan, toScreen } from "../editor/viewport";
import type { GraphNode, NodeId, Point } from "../graph/document";
import { moveNodes } from "../graph/edit";

/** What keeps its meaning while one types in a field: it cannot mean typing or the field's own editing. */
const IN_FIELDS = new Set(["Ctrl+Enter", "Ctrl+Shift+Enter", "Ctrl+S", "Ctrl+K", "Ctrl+O", "Ctrl+Alt+Enter", "Ctrl+Alt+C"]);
const WAYS: Readonly<Record<string, Point>> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Keys {
  constructor(
    private readonly context: Context,
    private readonly canvas: HTMLCanvasElement,
    private readonly host: Host,
    private readonly on: { hand(held: boolean): void; focus(node: NodeId, key: string): void },
  ) {
    addEventListener("keydown", (event) => this.down(event));
    addEventListener("keyup", (event) => {
      if (event.key === " ") on.hand(false);
    });
  }

  private down(event: KeyboardEvent): void {
    const { app } = this.context;
    const key = keyOf(event);
    const field = event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement || event.target instanceof HTMLSelectElement;
    if (app.dialog && !(key === "Ctrl+Enter" || key === "Ctrl+S")) return;
    if (field && !IN_FIELDS.has(key)) return;
    const onCanvas = event.target === this.canvas || event.target === document.body;
    if (key === "Space" && onCanvas) {
      this.on.hand(true);
      return event.preventDefault();
    }
    if (key === "Escape") return this.escape();
    if (onCanvas && this.onCanvas(event, key)) return event.preventDefault();
    // On a button these move the focus or press it.
    if (!onCanvas && /^(Tab|Enter|Space|Delete|Backspace)$/.test(key)) return;
    const found = commandFor(app, key);
    if (!found) return;
    event.preventDefault();
    if (found.enabled?.(this.context) ?? true) found.run(this.context);
  }

  private escape(): void {
    const { app } = this.context;
    const editor = app.active;
    if (editor.gesture.kind !== "idle") {
      const [gesture, intent] = step(editor.gesture, { type: "cancel", at: [0, 0], screen: [0, 0], target: { kind: "empty" }, button: 0, shift: false, ctrl: false, alt: false, hand: false });
      editor.gesture = gesture;
      if (intent) perform(editor, intent, this.host, { snap: false, guides: false });
    } else if (editor.selection.nodes.size > 0) editor.select({});
    else if (app.comparison) app.compare(null);
    else if (editor.path.length > 0) editor.goTo(editor.path.slice(0, -1));
  }

  /** Arrows move what is selected; with Alt they choose the next node that way; Enter edits. */
  private onCanvas(event: KeyboardEvent, key: string): boolean {
    const editor = this.context.app.active;
    const direction = WAYS[event.key];
    if (direction && event.altKey) {
      this.selectToward(direction);
      return true;
    }
    if (direction && !event.ctrlKey && editor.selection.nodes.size > 0) {
      const by = event.shiftKey ? 64 : 8;
      editor.edit("Move", (graph) => moveNodes(graph, editor.selection.nodes, direction[0] * by, direction[1] * by), "arrow keys");
      return true;
    }
    if (direction && !event.ctrlKey) {
      this.context.surface.look(pan(editor.viewport, -direction[0] * 64, -direction[1] * 64));
      return true;
    }
    const [node] = editor.selection.nodes.size === 1 ? editor.selectedNodes : [];
    if (key === "Enter" && node) {
      const first = editor.layout(node).widgets[0];
      if (editor.document.subgraphs.has(node.type)) editor.enter(node.id);
      else if (first) this.on.focus(node.id, first.entry.key);
      return true;
    }
    if (key === "F2" && node) {
      this.host.rename({ kind: "title", node: node.id });
      return true;
    }
    return false;
  }

  private selectToward([dx, dy]: Point): void {
    const { app, surface } = this.context;
    const editor = app.active;
    const [from] = editor.selectedNodes;
    const hidden = editor.folded.nodes;
    const center = (node: GraphNode): Point => {
      const [x, y, w, h] = bounds(node, editor.layout(node));
      return [x + w / 2, y + h / 2];
    };
    const start = from ? center(from) : surface.pointer;
    let best: { id: NodeId; cost: number } | null = null;
    for (const node of editor.graph.nodes.values()) {
      if (node === from || hidden.has(node.id)) continue;
      const [x, y] = center(node);
      const ahead = (x - start[0]) * dx + (y - start[1]) * dy;
      const aside = Math.abs((x - start[0]) * dy) + Math.abs((y - start[1]) * dx);
      if (from && ahead <= 0) continue;
      const cost = Math.abs(ahead) + 2 * aside;
      if (!best || cost < best.cost) best = { id: node.id, cost };
    }
    if (!best) return;
    editor.select({ nodes: new Set([best.id]) });
    this.show(best.id);
  }

  /** Pans just as far as it takes to see the node. */
  private show(id: NodeId): void {
    const { app, surface } = this.context;
    const editor = app.active;
    const node = editor.graph.nodes.get(id);
    if (!node) return;
    const [x, y, w, h] = bounds(node, editor.layout(node));
    const [sx, sy] = toScreen(editor.viewport, [x, y]);
    const [sw, sh] = [w * editor.viewport.scale, h * editor.viewport.scale];
    const dx = sx < 24 ? 24 - sx : sx + sw > surface.width - 24 ? surface.width - 24 - sx - sw : 0;
    const dy = sy < 24 ? 24 - sy : sy + sh > surface.height - 24 ? surface.height - 24 - sy - sh : 0;
    if (dx !== 0 || dy !== 0) surface.look(pan(editor.viewport, dx, dy));
  }
}
