/** Where everything on a node lies, in graph units relative to the node's corner. The same numbers draw it, hit it and place real elements. */

import { SLOT, TITLE, WIDGET } from "../graph/create";
import { type NodeDefinition, type WidgetEntry, isNote } from "../graph/definitions";
import { type GraphNode, type Link, type Point, type Rect, type Reroute, SUBGRAPH_IN, SUBGRAPH_OUT, type Graph, reroutesOf } from "../graph/document";
import { type Socket, inputSockets, outputSockets } from "../graph/sockets";

export interface PlacedSocket {
  readonly socket: Socket;
  /** Position in the list the definition shows; what links and prompts call the output index. */
  readonly slot: number;
  readonly x: number;
  readonly y: number;
}
export interface PlacedWidget {
  readonly entry: WidgetEntry;
  readonly rect: Rect;
  /** Connected widgets show the link's dot instead of taking a value. */
  readonly socket: PlacedSocket | null;
}
export interface NodeLayout {
  readonly width: number;
  /** Of the body; at least what its rows need. */
  readonly height: number;
  readonly titled: boolean;
  readonly inputs: readonly PlacedSocket[];
  readonly outputs: readonly PlacedSocket[];
  readonly widgets: readonly PlacedWidget[];
  /** Where a picture goes, if the node shows one. */
  readonly media: Rect | null;
}

const AREA_MIN = 56;
const MEDIA_MIN = 120;
const SIDE = 10;
export const COLLAPSED_WIDTH = 144;

const shown = (entry: WidgetEntry): boolean => entry.role === "value" || entry.role === "control";
export const isArea = (entry: WidgetEntry): boolean => entry.spec.kind === "text" && entry.spec.multiline;

export function layoutNode(node: GraphNode, definition: NodeDefinition | undefined, values: readonly WidgetEntry[], media: boolean): NodeLayout {
  const inputs = inputSockets(node, definition);
  const outputs = outputSockets(node, definition);
  if (node.type === "Reroute") return layoutReroute(node, inputs, outputs);
  if (node.collapsed) return layoutCollapsed(node, inputs, outputs);
  const width = Math.max(node.size[0], 80);
  const plain = inputs.filter((socket) => socket.widget === null);
  const entries = values.filter(shown);
  const areas = entries.filter(isArea);
  const slotRows = Math.max(plain.length, outputs.length);
  const top = slotRows * SLOT + (slotRows > 0 ? 6 : 0);
  const fixed = top + (entries.length - areas.length) * WIDGET + 8;
  const height = Math.max(node.size[1], fixed + areas.length * AREA_MIN + (media ? MEDIA_MIN : 0));
  const spare = height - fixed;
  // A picture takes at most what the text leaves it; without one the text fills the node.
  const areaHeight = areas.length === 0 ? 0 : media ? Math.max(AREA_MIN, Math.min(spare / (areas.length + 1), 120)) : spare / areas.length;
  const placedInputs: PlacedSocket[] = plain.map((socket, row) => ({ socket, slot: inputs.indexOf(socket), x: 0, y: row * SLOT + 14 }));
  let y = top;
  const widgets = entries.map((entry): PlacedWidget => {
    const rowHeight = isArea(entry) ? areaHeight : WIDGET;
    const rect: Rect = isNote(node.type) ? [4, y + 4, width - 8, rowHeight - 4] : [SIDE, y + 2, width - 2 * SIDE, rowHeight - 4];
    const socket = inputs.find((input) => input.widget === entry.key);
    const placed = socket ? { socket, slot: inputs.indexOf(socket), x: 0, y: y + Math.min(rowHeight, WIDGET) / 2 } : null;
    if (placed) placedInputs.push(placed);
    y += rowHeight;
    return { entry, rect, socket: placed };
  });
  return {
    width,
    height,
    titled: true,
    inputs: placedInputs,
    outputs: outputs.map((socket, row) => ({ socket, slot: row, x: width, y: row * SLOT + 14 })),
    widgets,
    media: media ? [SIDE, y + 4, width - 2 * SIDE, Math.max(24, height - y - 12)] : null,
  };
}

function layoutReroute(node: GraphNode, inputs: readonly Socket[], outputs: readonly Socket[]): NodeLayout {
  const [width, height] = [Math.max(node.size[0], 40), Math.max(node.size[1], 20)];
  return {
    width,
    height,
    titled: false,
    inputs: inputs.slice(0, 1).map((socket) => ({ socket, slot: 0, x: 0, y: height / 2 })),
    outputs: outputs.slice(0, 1).map((socket) => ({ socket, slot: 0, x: width, y: height / 2 })),
    widgets: [],
    media: null,
  };
}

function layoutCollapsed(node: GraphNode, inputs: readonly Socket[], outputs: readonly Socket[]): NodeLayout {
  const width = Math.min(COLLAPSED_WIDTH, Math.max(node.size[0], 80));
  return {
    width,
    height: 0,
    titled: true,
    inputs: inputs.map((socket, slot) => ({ socket, slot, x: 0, y: -TITLE / 2 })),
    outputs: outputs.map((socket, slot) => ({ socket, slot, x: width, y: -TITLE / 2 })),
    widgets: [],
    media: null,
  };
}

/** The node with its title bar. */
export function bounds(node: GraphNode, layout: NodeLayout): Rect {
  const title = layout.titled ? TITLE : 0;
  return [node.pos[0], node.pos[1] - title, layout.width, layout.height + title];
}

export const contains = ([x, y, w, h]: Rect, [px, py]: Point): boolean => px >= x && py >= y && px < x + w && py < y + h;
export const overlaps = (a: Rect, b: Rect): boolean => a[0] < b[0] + b[2] && b[0] < a[0] + a[2] && a[1] < b[1] + b[3] && b[1] < a[1] + a[3];
export const within = (inner: Rect, outer: Rect): boolean =>
  inner[0] >= outer[0] && inner[1] >= outer[1] && inner[0] + inner[2] <= outer[0] + outer[2] && inner[1] + inner[3] <= outer[1] + outer[3];

export function union(rects: readonly Rect[]): Rect | null {
  if (rects.length === 0) return null;
  let [x0, y0, x1, y1] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x, y, w, h] of rects) {
    x0 = Math.min(x0, x);
    y0 = Math.min(y0, y);
    x1 = Math.max(x1, x + w);
    y1 = Math.max(y1, y + h);
  }
  return [x0, y0, x1 - x0, y1 - y0];
}

export const rectOf = (a: Point, b: Point): Rect => [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.abs(a[0] - b[0]), Math.abs(a[1] - b[1])];

export const inflate = ([x, y, w, h]: Rect, by: number): Rect => [x - by, y - by, w + 2 * by, h + 2 * by];

/** Where the boundary slots of a subgraph lie, from the file's boxes. */
export interface Ends {
  readonly input: (slot: number) => Point;
  readonly output: (slot: number) => Point;
}

/** Where a link's two ends lie. What a folded frame hides ends at its bar; null when an end does not exist on screen. */
export function linkEnds(graph: Graph, link: Link, layout: (node: GraphNode) => NodeLayout, ends: Ends | null, folded: ReadonlyMap<string, Rect>): readonly [from: Point, to: Point] | null {
  const [fromBar, toBar] = folded.size > 0 ? [folded.get(link.from), folded.get(link.to)] : [];
  if (fromBar && fromBar === toBar) return null;
  const source = graph.nodes.get(link.from);
  const target = graph.nodes.get(link.to);
  const from: Point | null = fromBar ? [fromBar[0] + fromBar[2], fromBar[1] + fromBar[3] / 2] : source ? socketPoint(source, layout(source).outputs.find((placed) => placed.slot === link.fromSlot)) : link.from === SUBGRAPH_IN && ends ? ends.input(link.fromSlot) : null;
  const to: Point | null = toBar ? [toBar[0], toBar[1] + toBar[3] / 2] : target ? socketPoint(target, layout(target).inputs.find((placed) => placed.socket.index === link.toSlot)) : link.to === SUBGRAPH_OUT && ends ? ends.output(link.toSlot) : null;
  return from && to && [from, to];
}

/** The points a link passes, from output to input; null when it is not drawn. */
export function linkPath(graph: Graph, link: Link, layout: (node: GraphNode) => NodeLayout, ends: Ends | null, folded: ReadonlyMap<string, Rect>): readonly Point[] | null {
  if (link.portal !== undefined) return null;
  const both = linkEnds(graph, link, layout, ends, folded);
  if (!both || link.reroute === null || folded.has(link.from) || folded.has(link.to)) return both;
  return [both[0], ...reroutesOf(graph, link).map((reroute: Reroute) => reroute.pos), both[1]];
}

export const socketPoint = (node: GraphNode, placed: PlacedSocket | undefined): Point | null =>
  placed ? [node.pos[0] + placed.x, node.pos[1] + placed.y] : null;

/** Control points of the curve between two points: leaves to the right, arrives from the left. */
export function curve(a: Point, b: Point): readonly [Point, Point] {
  const reach = Math.max(24, Math.min(160, Math.hypot(b[0] - a[0], b[1] - a[1]) * 0.4));
  return [
    [a[0] + reach, a[1]],
    [b[0] - reach, b[1]],
  ];
}

export function pointOnCurve(a: Point, b: Point, t: number): Point {
  const [c, d] = curve(a, b);
  const u = 1 - t;
  const mix = (i: 0 | 1): number => u * u * u * a[i] + 3 * u * u * t * c[i] + 3 * u * t * t * d[i] + t * t * t * b[i];
  return [mix(0), mix(1)];
}

export type LinkStyle = "curve" | "straight" | "stepped";

/** The line of a link between two of its points as short straight pieces, close enough for a pointer. */
export function pieces(a: Point, b: Point, style: LinkStyle): readonly Point[] {
  if (style === "straight") return [a, b];
  if (style === "stepped") return [a, [(a[0] + b[0]) / 2, a[1]], [(a[0] + b[0]) / 2, b[1]], b];
  return Array.from({ length: 25 }, (_, i) => pointOnCurve(a, b, i / 24));
}

/** Distance from a point to the line of a link. */
export function distanceToPath(path: readonly Point[], at: Point, style: LinkStyle): number {
  let best = Infinity;
  for (let i = 0; i + 1 < path.length; i++) {
    const [a, b] = [path[i], path[i + 1]];
    if (!a || !b) continue;
    const reach = 170;
    if (at[0] < Math.min(a[0], b[0]) - reach || at[0] > Math.max(a[0], b[0]) + reach || at[1] < Math.min(a[1], b[1]) - 12 || at[1] > Math.max(a[1], b[1]) + 12) continue;
    const line = pieces(a, b, style);
    for (let step = 0; step + 1 < line.length; step++) best = Math.min(best, distanceToSegment(line[step] ?? a, line[step + 1] ?? b, at));
  }
  return best;
}

function distanceToSegment(a: Point, b: Point, p: Point): number {
  const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
  const length = dx * dx + dy * dy;
  const t = length === 0 ? 0 : Math.max(0, Math.min(1, ((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / length));
  return Math.hypot(p[0] - a[0] - t * dx, p[1] - a[1] - t * dy);
}
