/** The document: nodes, links, groups, reroutes and subgraphs as readonly data. Nothing here knows files or screens. */

import type { Json, JsonObject } from "./json";

export type NodeId = string;
export type LinkId = number;
export type Point = readonly [x: number, y: number];
export type Size = readonly [width: number, height: number];
export type Rect = readonly [x: number, y: number, width: number, height: number];

export const NORMAL = 0;
export const MUTED = 2;
export const BYPASSED = 4;
export type Mode = typeof NORMAL | typeof MUTED | typeof BYPASSED;

/** The two ends of a subgraph, as its links name them. */
export const SUBGRAPH_IN: NodeId = "-10";
export const SUBGRAPH_OUT: NodeId = "-20";

export interface InputSlot {
  readonly name: string;
  readonly type: string;
  readonly label?: string;
  /** The widget this socket stands for. */
  readonly widget?: string;
  readonly optional?: boolean;
  /** What the file said about the slot; unknown keys survive through it. */
  readonly file?: JsonObject;
}

export interface OutputSlot {
  readonly name: string;
  readonly type: string;
  readonly label?: string;
  readonly file?: JsonObject;
}

/** Widget values by name. */
export type Values = Readonly<Record<string, Json>>;

export interface GraphNode {
  readonly id: NodeId;
  readonly type: string;
  /** Top left of the body; the title bar lies above it. */
  readonly pos: Point;
  /** The body without the title bar. */
  readonly size: Size;
  readonly mode: Mode;
  /** Null: the class's display name. */
  readonly title: string | null;
  readonly collapsed: boolean;
  readonly pinned: boolean;
  readonly color: string | null;
  readonly bgcolor: string | null;
  /** In the file's order; may lack sockets the definition has, so match by name. */
  readonly inputs: readonly InputSlot[];
  readonly outputs: readonly OutputSlot[];
  /** Null when nobody knows this type: then the file's own values are kept as they are. */
  readonly values: Values | null;
  readonly properties: JsonObject;
  readonly file: JsonObject;
}

/** Slots are indices into the nodes' `outputs` and `inputs` (or into a subgraph's own slots at its ends). */
export interface Link {
  readonly id: LinkId;
  readonly from: NodeId;
  readonly fromSlot: number;
  readonly to: NodeId;
  readonly toSlot: number;
  readonly type: string;
  /** The reroute nearest to the input. */
  readonly reroute: number | null;
  /** The name it is shown by instead of being drawn. */
  readonly portal?: string;
  readonly file: Json;
}

export interface Group {
  readonly title: string;
  readonly bounds: Rect;
  readonly color: string | null;
  /** Shown as its title alone, with what lies in it hidden. */
  readonly folded: boolean;
  readonly file: JsonObject;
}

/** A point a link passes through; `parent` is the next one towards the output. */
export interface Reroute {
  readonly id: number;
  readonly parent: number | null;
  readonly pos: Point;
  readonly file: JsonObject;
}

export interface Graph {
  readonly nodes: ReadonlyMap<NodeId, GraphNode>;
  readonly links: ReadonlyMap<LinkId, Link>;
  readonly groups: readonly Group[];
  readonly reroutes: ReadonlyMap<number, Reroute>;
  readonly lastNode: number;
  readonly lastLink: number;
}

export interface BoundarySlot {
  readonly name: string;
  readonly type: string;
  readonly label?: string;
  readonly file: JsonObject;
}

export interface Subgraph {
  readonly id: string;
  readonly name: string;
  readonly graph: Graph;
  readonly inputs: readonly BoundarySlot[];
  readonly outputs: readonly BoundarySlot[];
  readonly file: JsonObject;
}

export interface Document {
  readonly id: string;
  readonly root: Graph;
  readonly subgraphs: ReadonlyMap<string, Subgraph>;
  readonly file: JsonObject;
}

export const emptyGraph: Graph = {
  nodes: new Map(),
  links: new Map(),
  groups: [],
  reroutes: new Map(),
  lastNode: 0,
  lastLink: 0,
};

export function emptyDocument(id: string): Document {
  return { id, root: emptyGraph, subgraphs: new Map(), file: {} };
}

/** The subgraph's id, or null for the root. */
export type GraphRef = string | null;

export function graphAt(document: Document, ref: GraphRef): Graph {
  return (ref === null ? document.root : document.subgraphs.get(ref)?.graph) ?? emptyGraph;
}

export function withGraph(document: Document, ref: GraphRef, graph: Graph): Document {
  if (ref === null) return { ...document, root: graph };
  const subgraph = document.subgraphs.get(ref);
  if (!subgraph) return document;
  return { ...document, subgraphs: new Map(document.subgraphs).set(ref, { ...subgraph, graph }) };
}

/** Who is connected to what, derived once per set of links. */
export interface Wiring {
  /** Keyed by node, then by input slot. */
  readonly into: ReadonlyMap<NodeId, ReadonlyMap<number, Link>>;
  readonly outOf: ReadonlyMap<NodeId, readonly Link[]>;
}

const wirings = new WeakMap<ReadonlyMap<LinkId, Link>, Wiring>();

export function wiring(graph: Graph): Wiring {
  const known = wirings.get(graph.links);
  if (known) return known;
  const into = new Map<NodeId, Map<number, Link>>();
  const outOf = new Map<NodeId, Link[]>();
  for (const link of graph.links.values()) {
    const slots = into.get(link.to);
    if (slots) slots.set(link.toSlot, link);
    else into.set(link.to, new Map([[link.toSlot, link]]));
    const list = outOf.get(link.from);
    if (list) list.push(link);
    else outOf.set(link.from, [link]);
  }
  const made = { into, outOf };
  wirings.set(graph.links, made);
  return made;
}

export const linkInto = (graph: Graph, node: NodeId, slot: number): Link | undefined =>
  wiring(graph).into.get(node)?.get(slot);

/** The reroutes of a link, from the output to the input. */
export function reroutesOf(graph: Graph, link: Link): readonly Reroute[] {
  const path: Reroute[] = [];
  for (let id = link.reroute; id !== null && path.length <= graph.reroutes.size; ) {
    const reroute = graph.reroutes.get(id);
    if (!reroute) break;
    path.unshift(reroute);
    id = reroute.parent;
  }
  return path;
}
