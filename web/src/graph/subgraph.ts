/** Making a subgraph of some nodes, and taking one apart again. What the prompt says does not change by either. */

import { type BoundarySlot, type Document, type Graph, type GraphNode, type GraphRef, type Link, type LinkId, NORMAL, type NodeId, type Point, SUBGRAPH_IN, SUBGRAPH_OUT, type Subgraph, graphAt, linkInto, withGraph, wiring } from "./document";
import { changeNodes, removeNodes } from "./edit";
import type { JsonObject } from "./json";

const unique = (taken: ReadonlySet<string>, name: string): string => {
  let free = name;
  for (let i = 2; taken.has(free); i++) free = `${name}_${i}`;
  return free;
};

/** Collects the ends of a new subgraph: one per outer source, one per inner source that is used outside. */
class Boundary {
  readonly slots: BoundarySlot[] = [];
  private readonly bySource = new Map<string, number>();

  constructor(private readonly freshId: () => string) {}

  slot(key: string, name: string, type: string): number {
    const known = this.bySource.get(key);
    if (known !== undefined) return known;
    const free = unique(new Set(this.slots.map((slot) => slot.name)), name || type.toLowerCase());
    this.bySource.set(key, this.slots.length);
    return this.slots.push({ name: free, type, file: { id: this.freshId(), name: free, type, linkIds: [] } }) - 1;
  }
}

export interface Packed {
  readonly document: Document;
  readonly instance: NodeId;
}

/** Moves the nodes into a new definition and puts one instance of it in their place. */
export function pack(document: Document, ref: GraphRef, ids: ReadonlySet<NodeId>, name: string, freshId: () => string): Packed {
  const graph = graphAt(document, ref);
  const inner = [...graph.nodes.values()].filter((node) => ids.has(node.id));
  const [inputs, outputs] = [new Boundary(freshId), new Boundary(freshId)];
  const innerLinks = new Map<LinkId, Link>();
  const instance = String(graph.lastNode + 1);
  const outerLinks = new Map<LinkId, Link>();
  let last = graph.lastLink;
  const entered = new Set<number>();
  for (const link of graph.links.values()) {
    const [fromInside, toInside] = [ids.has(link.from), ids.has(link.to)];
    const bare = { ...link, reroute: null, file: null };
    if (fromInside && toInside) innerLinks.set(link.id, bare);
    else if (toInside) {
      const target = graph.nodes.get(link.to)?.inputs[link.toSlot];
      const slot = inputs.slot(`${link.from}/${link.fromSlot}`, target?.name ?? "", link.type);
      innerLinks.set(link.id, { ...bare, from: SUBGRAPH_IN, fromSlot: slot });
      // One link into the instance feeds all that the source fed inside.
      if (!entered.has(slot)) outerLinks.set(++last, { ...bare, id: last, to: instance, toSlot: slot });
      entered.add(slot);
    } else if (fromInside) {
      const source = graph.nodes.get(link.from)?.outputs[link.fromSlot];
      const before = outputs.slots.length;
      const slot = outputs.slot(`${link.from}/${link.fromSlot}`, source?.name ?? "", link.type);
      if (outputs.slots.length > before) innerLinks.set(++last, { ...bare, id: last, to: SUBGRAPH_OUT, toSlot: slot });
      outerLinks.set(link.id, { ...bare, from: instance, fromSlot: slot });
    } else outerLinks.set(link.id, link);
  }
  const [left, top] = [Math.min(...inner.map((node) => node.pos[0])), Math.min(...inner.map((node) => node.pos[1]))];
  const right = Math.max(...inner.map((node) => node.pos[0] + node.size[0]));
  const id = freshId();
  const file: JsonObject = {
    id,
    version: 1,
    revision: 0,
    config: {},
    name,
    inputNode: { id: -10, bounding: [left - 220, top, 120, 40 + 20 * inputs.slots.length] },
    outputNode: { id: -20, bounding: [right + 100, top, 120, 40 + 20 * outputs.slots.length] },
    widgets: [],
    extra: {},
  };
  const definition: Subgraph = {
    id,
    name,
    graph: { nodes: new Map(inner.map((node) => [node.id, node])), links: innerLinks, groups: [], reroutes: new Map(), lastNode: graph.lastNode, lastLink: last },
    inputs: inputs.slots,
    outputs: outputs.slots,
    file,
  };
  const node: GraphNode = {
    id: instance,
    type: id,
    pos: [Math.round((left + right) / 2 - 100), top],
    size: [208, Math.max(inputs.slots.length, outputs.slots.length, 1) * 20 + 16],
    mode: NORMAL,
    title: null,
    collapsed: false,
    pinned: false,
    color: null,
    bgcolor: null,
    inputs: inputs.slots.map(({ name: slot, type }) => ({ name: slot, type })),
    outputs: outputs.slots.map(({ name: slot, type }) => ({ name: slot, type })),
    values: {},
    properties: {},
    file: {},
  };
  const nodes = new Map([...graph.nodes].filter(([key]) => !ids.has(key)));
  nodes.set(instance, node);
  const outer: Graph = { ...graph, nodes, links: outerLinks, lastNode: graph.lastNode + 1, lastLink: last };
  return { document: withGraph({ ...document, subgraphs: new Map(document.subgraphs).set(id, definition) }, ref, outer), instance };
}

/** Puts the nodes of an instance back in its place, under fresh ids, with the instance's own values. */
export function unpack(document: Document, ref: GraphRef, instance: NodeId): { readonly document: Document; readonly ids: ReadonlySet<NodeId> } | null {
  const graph = graphAt(document, ref);
  const node = graph.nodes.get(instance);
  const subgraph = node && document.subgraphs.get(node.type);
  if (!node || !subgraph) return null;
  const inside = [...subgraph.graph.nodes.values()];
  const corner: Point = [Math.min(...inside.map((one) => one.pos[0])), Math.min(...inside.map((one) => one.pos[1]))];
  const [dx, dy] = [Math.round(node.pos[0] - corner[0]), Math.round(node.pos[1] - corner[1])];
  const fresh = new Map<NodeId, NodeId>();
  let last = graph.lastNode;
  let lastLink = graph.lastLink;
  const nodes = new Map(graph.nodes);
  for (const one of inside) {
    const id = String(++last);
    fresh.set(one.id, id);
    nodes.set(id, { ...one, id, pos: [one.pos[0] + dx, one.pos[1] + dy], mode: node.mode === NORMAL ? one.mode : node.mode });
  }
  let next: Graph = { ...graph, nodes, lastNode: last };
  const links = new Map(graph.links);
  const add = (from: NodeId, fromSlot: number, to: NodeId, toSlot: number, type: string): void => {
    links.set(++lastLink, { id: lastLink, from, fromSlot, to, toSlot, type, reroute: null, file: null });
  };
  const leaving = wiring(graph).outOf.get(instance) ?? [];
  for (const link of subgraph.graph.links.values()) {
    const [from, to] = [fresh.get(link.from), fresh.get(link.to)];
    if (from !== undefined && to !== undefined) add(from, link.fromSlot, to, link.toSlot, link.type);
    else if (link.from === SUBGRAPH_IN && to !== undefined) {
      const name = subgraph.inputs[link.fromSlot]?.name;
      const slot = node.inputs.findIndex((input) => input.name === name);
      const source = slot < 0 ? undefined : linkInto(graph, instance, slot);
      const widget = subgraph.graph.nodes.get(link.to)?.inputs[link.toSlot]?.widget;
      const value = name === undefined ? undefined : node.values?.[name];
      if (source) add(source.from, source.fromSlot, to, link.toSlot, source.type);
      else if (widget !== undefined && value !== undefined) next = changeNodes(next, [to], (one) => (one.values ? { ...one, values: { ...one.values, [widget]: value } } : one));
    } else if (link.to === SUBGRAPH_OUT && from !== undefined) {
      for (const outer of leaving) if (outer.fromSlot === link.toSlot) add(from, link.fromSlot, outer.to, outer.toSlot, outer.type);
    }
  }
  // Outer links of the instance go with it; the new ones already stand where they led.
  const without = removeNodes({ ...next, links: new Map([...links].filter(([, link]) => link.from !== instance && link.to !== instance)), lastLink }, new Set([instance]));
  return { document: withGraph(document, ref, without), ids: new Set(fresh.values()) };
}
