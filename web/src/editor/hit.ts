/** What lies under a point. Later nodes lie above earlier ones, the selected above all; nodes above links above groups. */

import { TITLE } from "../graph/create";
import { type GraphNode, type Link, type Point, type Rect, linkInto } from "../graph/document";
import type { Editor } from "./editor";
import { BAR } from "./frames";
import { contains, distanceToPath, inflate, isArea } from "./geometry";
import type { Target } from "./gesture";
import { tagRect } from "./portals";

const SOCKET = 10;
const CORNER = 14;

/** The nodes that touch a rectangle, in the order they are drawn. */
export function nodesIn(editor: Editor, view: Rect): readonly GraphNode[] {
  const [x, y, w, h] = view;
  const hidden = editor.folded.nodes;
  const under: GraphNode[] = [];
  const above: GraphNode[] = [];
  const lift = editor.selection.nodes.size <= 200;
  for (const node of editor.graph.nodes.values()) {
    if (hidden.size > 0 && hidden.has(node.id)) continue;
    // Most nodes of a large graph are far away: their place alone says so, without a layout.
    if (node.pos[0] > x + w || node.pos[1] - TITLE > y + h || node.pos[0] + Math.max(node.size[0], 80) < x) continue;
    if (node.pos[1] + editor.layout(node).height < y) continue;
    (lift && editor.selection.nodes.has(node.id) ? above : under).push(node);
  }
  return above.length === 0 ? under : under.concat(above);
}

export function stacked(editor: Editor): readonly GraphNode[] {
  const nodes = [...editor.graph.nodes.values()];
  if (editor.selection.nodes.size === 0 || editor.selection.nodes.size > 200) return nodes;
  return [...nodes.filter((node) => !editor.selection.nodes.has(node.id)), ...nodes.filter((node) => editor.selection.nodes.has(node.id))];
}

/** `reach` is how many graph units a pointer may miss a thin thing by. */
export function hit(editor: Editor, at: Point, reach = 6): Target {
  const nodes = stacked(editor);
  const folded = editor.folded;
  for (let i = nodes.length - 1; i >= 0; i--) {
    const node = nodes[i];
    const target = node && !folded.nodes.has(node.id) && hitNode(editor, node, at, reach);
    if (target) return target;
  }
  const end = hitEnd(editor, at);
  if (end) return end;
  for (const reroute of editor.graph.reroutes.values()) {
    if (folded.reroutes.has(reroute.id)) continue;
    if (Math.hypot(reroute.pos[0] - at[0], reroute.pos[1] - at[1]) < 8 + reach / 2) return { kind: "reroute", reroute: reroute.id };
  }
  for (const link of editor.graph.links.values()) {
    if (link.portal !== undefined) {
      const side = hitTag(editor, link, at);
      if (side) return { kind: "portal", link: link.id, side };
      continue;
    }
    const path = editor.wire(link);
    if (path && distanceToPath(path, at, editor.linkStyle) < reach) return { kind: "link", link: link.id };
  }
  for (let i = editor.graph.groups.length - 1; i >= 0; i--) {
    const group = editor.graph.groups[i];
    if (!group || folded.groups.has(i)) continue;
    const [x, y, w, h] = group.bounds;
    if (contains([x, y, 28, BAR], at)) return { kind: "group-fold", group: i };
    if (!group.folded && contains([x + w - 16, y + h - 16, 16, 16], at)) return { kind: "group-resize", group: i };
    if (contains([x, y, w, BAR], at)) return { kind: "group", group: i };
  }
  return { kind: "empty" };
}

function hitTag(editor: Editor, link: Link, at: Point): "output" | "input" | null {
  const ends = editor.wireEnds(link);
  if (!ends || link.portal === undefined) return null;
  if (contains(tagRect(link.portal, "output", ends[0]), at)) return "output";
  return contains(tagRect(link.portal, "input", ends[1]), at) ? "input" : null;
}

/** A slot at the subgraph's edge, or the place after the last where a new one is made. */
function hitEnd(editor: Editor, at: Point): Target | null {
  const { ends, ref } = editor;
  const subgraph = ref === null ? undefined : editor.document.subgraphs.get(ref);
  if (!ends || !subgraph) return null;
  for (const [side, slots] of [["input", subgraph.inputs], ["output", subgraph.outputs]] as const) {
    for (let slot = 0; slot <= slots.length; slot++) {
      const [x, y] = ends[side](slot);
      const label = labelWidth(slots[slot]?.label ?? slots[slot]?.name ?? "");
      const inside = side === "input" ? at[0] > x - label && at[0] < x + SOCKET : at[0] < x + label && at[0] > x - SOCKET;
      if (inside && Math.abs(at[1] - y) < SOCKET) return { kind: "end", side, slot };
    }
  }
  return null;
}

function hitNode(editor: Editor, node: GraphNode, at: Point, reach: number): Target | null {
  const [dx, dy] = [at[0] - node.pos[0], at[1] - node.pos[1]];
  const margin = SOCKET + reach;
  if (dx < -margin || dy < -TITLE - margin || dx > Math.max(node.size[0], 80) + margin) return null;
  const layout = editor.layout(node);
  const top = layout.titled ? -TITLE : 0;
  if (dx > layout.width + margin || dy > layout.height + margin) return null;
  // Sockets stick out of the node, so they come first; of a row's two ends only the near one is meant.
  for (const placed of layout.outputs) {
    if (Math.abs(dx - placed.x) < SOCKET + reach / 2 && Math.abs(dy - placed.y) < SOCKET) return { kind: "output", node: node.id, output: placed.slot };
  }
  for (const placed of layout.inputs) {
    const inner = placed.socket.widget === null ? SOCKET + reach / 2 : 8;
    if (dx > -SOCKET - reach / 2 && dx < inner && Math.abs(dy - placed.y) < SOCKET) return { kind: "input", node: node.id, input: placed.socket.name };
  }
  if (!contains([0, top, layout.width, layout.height - top], [dx, dy])) return null;
  if (layout.titled && dy < 0) return dx < 24 ? { kind: "collapse", node: node.id } : { kind: "title", node: node.id };
  if (!node.collapsed && dx > layout.width - CORNER && dy > layout.height - CORNER) return { kind: "resize", node: node.id };
  for (const { entry, rect, socket } of layout.widgets) {
    if (!contains(inflate(rect, 0), [dx, dy])) continue;
    const connected = socket && socket.socket.index >= 0 && editor.graph.links.size > 0 && isConnected(editor, node, socket.socket.index);
    if (connected && !isArea(entry)) break;
    return { kind: "widget", node: node.id, key: entry.key, scrub: entry.spec.kind === "number" };
  }
  if (layout.media && contains(layout.media, [dx, dy])) return { kind: "media", node: node.id };
  // The whole row of a plain socket is its handle: a hand need not find the dot.
  for (const placed of layout.inputs) {
    if (placed.socket.widget === null && Math.abs(dy - placed.y) < 10 && dx < labelWidth(placed.socket.label)) return { kind: "input", node: node.id, input: placed.socket.name };
  }
  for (const placed of layout.outputs) {
    if (Math.abs(dy - placed.y) < 10 && dx > layout.width - labelWidth(placed.socket.label)) return { kind: "output", node: node.id, output: placed.slot };
  }
  return { kind: "body", node: node.id };
}

const labelWidth = (label: string): number => 20 + label.length * 7;

const isConnected = (editor: Editor, node: GraphNode, slot: number): boolean => linkInto(editor.graph, node.id, slot) !== undefined;
