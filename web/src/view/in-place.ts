/** What gestures ask of the page: menus, palettes, and editing a widget or a name where it stands. */

import type { App } from "../app/app";
import type { WidgetEntry, Value } from "../extend/api";
import type { Target } from "../editor/gesture";
import type { Host } from "../editor/perform";
import { toScreen } from "../editor/viewport";
import type { GraphNode, NodeId, Point, Rect } from "../graph/document";
import type { Json } from "../graph/json";

export class InPlace implements Host {
  constructor(
    private readonly app: App,
    private readonly stage: HTMLElement,
    /** Puts the cursor into the real field of a widget. */
    private readonly focus: (node: NodeId, key: string) => void,
  ) {}

  readonly palette: Host["palette"] = (at, end) => this.app.setDialog({ kind: "palette", at, end });
  readonly menu: Host["menu"] = (target, at, screen) => this.app.setDialog({ kind: "menu", target, at, screen: this.toPage(screen) });
  readonly notify: Host["notify"] = (notice) => this.app.notify(notice);
  readonly reveal: Host["reveal"] = (nodes) => this.app.reveal?.(nodes);

  private toPage([x, y]: Point): Point {
    const box = this.stage.getBoundingClientRect();
    return [x + box.left, y + box.top];
  }

  /** A rectangle of the graph in page pixels. */
  private onPage([x, y, w, h]: Rect): Rect {
    const { viewport } = this.app.active;
    const [px, py] = this.toPage(toScreen(viewport, [x, y]));
    return [px, py, w * viewport.scale, h * viewport.scale];
  }

  private ofNode(node: GraphNode, [x, y, w, h]: Rect): Rect {
    return this.onPage([node.pos[0] + x, node.pos[1] + y, w, h]);
  }

  edit(id: NodeId, key: string): void {
    const editor = this.app.active;
    const node = editor.graph.nodes.get(id);
    const placed = node && editor.layout(node).widgets.find((widget) => widget.entry.key === key);
    if (!node || !placed) return;
    const { spec } = placed.entry;
    if (spec.kind === "toggle") return editor.setValue(id, key, editor.value(node, key, spec.initial) !== true);
    if (spec.kind === "combo") return this.app.setDialog({ kind: "combo", node: id, key, anchor: this.ofNode(node, placed.rect) });
    if (spec.kind === "number" && spec.display === "color") return this.pickColor(id, key, this.ofNode(node, placed.rect));
    const own = spec.kind === "other" ? this.app.extensions.widgets.get(spec.type) : undefined;
    if (own) return void this.editWith(own, id, key, this.ofNode(node, placed.rect));
    this.focus(id, key);
  }

  /** The browser's own colour picker, opened where the widget is. */
  private pickColor(id: NodeId, key: string, [x, y, width, height]: Rect): void {
    const editor = this.app.active;
    const input = document.createElement("input");
    input.type = "color";
    input.value = `#${Number(editor.graph.nodes.get(id)?.values?.[key] ?? 0).toString(16).padStart(6, "0")}`;
    input.setAttribute("aria-label", key);
    input.style.cssText = `position:fixed;left:${x}px;top:${y}px;width:${width}px;height:${height}px;opacity:0;pointer-events:none`;
    input.oninput = () => editor.setValue(id, key, parseInt(input.value.slice(1), 16), `Change ${key}`, `color ${id} ${key}`);
    input.onblur = () => input.remove();
    input.onchange = () => {
      editor.sealEdits();
      input.remove();
    };
    document.body.append(input);
    input.focus();
    input.showPicker();
  }

  private async editWith(widget: WidgetEntry, id: NodeId, key: string, [x, y, width, height]: Rect): Promise<void> {
    const editor = this.app.active;
    try {
      const value = await widget.edit((editor.graph.nodes.get(id)?.values?.[key] ?? null) as Value, { x, y, width, height });
      if (value !== undefined) editor.setValue(id, key, value as Json);
    } catch (error) {
      this.app.fail(error);
    }
  }

  rename(target: Target): void {
    const editor = this.app.active;
    const named = this.named(target);
    if (!named) return;
    const [x, y, w] = this.onPage(named.rect);
    const { scale } = editor.viewport;
    this.app.setDialog({ kind: "rename", target, anchor: [x, y, Math.max(160, w), 32 * Math.min(1, scale)], value: named.name });
  }

  /** What has a name that may be changed, and where it is written. */
  private named(target: Target): { readonly name: string; readonly rect: Rect } | null {
    const editor = this.app.active;
    const node = "node" in target ? editor.graph.nodes.get(target.node) : undefined;
    if (target.kind === "group") {
      const group = editor.graph.groups[target.group];
      return group ? { name: group.title, rect: group.bounds } : null;
    }
    if (target.kind === "portal" || target.kind === "link") {
      const link = editor.graph.links.get(target.link);
      const ends = link && editor.wireEnds(link);
      return ends ? { name: link.portal ?? "", rect: [...(target.kind === "portal" && target.side === "input" ? ends[1] : ends[0]), 160, 18] } : null;
    }
    if (target.kind === "end") {
      const subgraph = editor.ref === null ? undefined : editor.document.subgraphs.get(editor.ref);
      const slot = (target.side === "input" ? subgraph?.inputs : subgraph?.outputs)?.[target.slot];
      const at = editor.ends?.[target.side](target.slot);
      return slot && at ? { name: slot.label ?? slot.name, rect: [at[0] - 80, at[1] - 12, 160, 24] } : null;
    }
    if (!node) return null;
    const layout = editor.layout(node);
    if (target.kind === "input" || target.kind === "output") {
      const placed = target.kind === "input" ? layout.inputs.find(({ socket }) => socket.name === target.input) : layout.outputs.find(({ slot }) => slot === target.output);
      return placed ? { name: placed.socket.label, rect: [node.pos[0] + (target.kind === "input" ? 0 : layout.width - 160), node.pos[1] + placed.y - 12, 160, 24] } : null;
    }
    return { name: editor.title(node), rect: [node.pos[0], node.pos[1] - 30, layout.width, 30] };
  }

  lightbox(id: NodeId): void {
    const editor = this.app.active;
    const node = editor.graph.nodes.get(id);
    if (!node) return;
    const loaded = editor.loaded(node);
    const images = editor.run.media.get(editor.mediaId(node)) ?? (loaded ? [loaded] : []);
    if (images.length > 0) this.app.setDialog({ kind: "lightbox", images, index: 0 });
  }
}
