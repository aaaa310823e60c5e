/** Automatic layout, left to right, for graphs that come without positions (API prompts) and on demand. */

import { Graph as Dagre, layout } from "@dagrejs/dagre";
import { TITLE } from "./create";
import type { Graph, NodeId, Point } from "./document";

const GAP_X = 64;
const GAP_Y = 40;

/** New positions for these nodes (all of them if none are named); their top left corner stays where it was. */
export function arrange(graph: Graph, only?: ReadonlySet<NodeId>): Map<NodeId, Point> {
  const nodes = [...graph.nodes.values()].filter((node) => !only || only.has(node.id));
  const dagre = new Dagre();
  dagre.setGraph({ rankdir: "LR", nodesep: GAP_Y, ranksep: GAP_X });
  dagre.setDefaultEdgeLabel(() => ({}));
  for (const node of nodes) dagre.setNode(node.id, { width: node.size[0], height: node.size[1] + TITLE });
  const inside = new Set(nodes.map((node) => node.id));
  for (const link of graph.links.values()) {
    if (inside.has(link.from) && inside.has(link.to)) dagre.setEdge(link.from, link.to);
  }
  layout(dagre);
  const left = Math.min(...nodes.map((node) => node.pos[0]));
  const top = Math.min(...nodes.map((node) => node.pos[1]));
  const raw = nodes.map((node) => {
    const place = dagre.node(node.id) as unknown as { x: number; y: number };
    return [node.id, place.x - node.size[0] / 2, place.y - (node.size[1] + TITLE) / 2] as const;
  });
  const x0 = Math.min(...raw.map(([, x]) => x));
  const y0 = Math.min(...raw.map(([, , y]) => y));
  const snap = (value: number): number => Math.round(value / 8) * 8;
  return new Map(raw.map(([id, x, y]) => [id, [snap(x - x0 + left), snap(y - y0 + top)]]));
}
