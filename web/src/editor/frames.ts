/** Frames (the files call them groups): what lies in them, and what a folded one hides. Membership is geometry. */

import type { Graph, GraphNode, Group, NodeId, Rect } from "../graph/document";
import { type NodeLayout, bounds, contains, within } from "./geometry";

/** Height of a folded frame: its title. */
export const BAR = 32;

export interface Members {
  readonly nodes: Set<NodeId>;
  readonly groups: Set<number>;
  readonly reroutes: Set<number>;
}

type Layout = (node: GraphNode) => NodeLayout;

/** The frame itself and everything whose middle lies in it. */
export function membersOf(graph: Graph, layout: Layout, group: number): Members {
  const frame = graph.groups[group]?.bounds;
  const members: Members = { nodes: new Set(), groups: new Set([group]), reroutes: new Set() };
  if (!frame) return members;
  for (const node of graph.nodes.values()) {
    const [x, y, w, h] = bounds(node, layout(node));
    if (contains(frame, [x + w / 2, y + h / 2])) members.nodes.add(node.id);
  }
  graph.groups.forEach((other, i) => {
    if (i !== group && within(other.bounds, frame)) members.groups.add(i);
  });
  for (const reroute of graph.reroutes.values()) if (contains(frame, reroute.pos)) members.reroutes.add(reroute.id);
  return members;
}

/** What folded frames hide, each with the bar that stands in its place. */
export interface Folded {
  readonly nodes: ReadonlyMap<NodeId, Rect>;
  readonly groups: ReadonlySet<number>;
  readonly reroutes: ReadonlySet<number>;
}
const nothing: Folded = { nodes: new Map(), groups: new Set(), reroutes: new Set() };
const known = new WeakMap<Graph, Folded>();

export function foldedIn(graph: Graph, layout: Layout): Folded {
  if (!graph.groups.some((group) => group.folded)) return nothing;
  const before = known.get(graph);
  if (before) return before;
  const nodes = new Map<NodeId, Rect>();
  const groups = new Set<number>();
  const reroutes = new Set<number>();
  // Of nested folded frames the outermost, which comes last, stands for all.
  const area = (group: Group): number => group.bounds[2] * group.bounds[3];
  const folded = [...graph.groups.entries()].filter(([, group]) => group.folded).sort(([, a], [, b]) => area(a) - area(b));
  for (const [i, group] of folded) {
    const bar = frameRect(group);
    const members = membersOf(graph, layout, i);
    for (const id of members.nodes) nodes.set(id, bar);
    for (const inner of members.groups) if (inner !== i) groups.add(inner);
    for (const id of members.reroutes) reroutes.add(id);
  }
  const made = { nodes, groups, reroutes };
  known.set(graph, made);
  return made;
}

/** What a frame covers on screen. */
export const frameRect = ({ bounds: [x, y, w, h], folded }: Group): Rect => (folded ? [x, y, w, BAR] : [x, y, w, h]);
