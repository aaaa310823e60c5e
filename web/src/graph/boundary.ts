/** The slots at a subgraph's edge: what it shows of its inside as inputs and outputs. Instances everywhere follow. */

import { type BoundarySlot, type Document, type Graph, type GraphNode, type Link, type LinkId, type NodeId, SUBGRAPH_IN, SUBGRAPH_OUT, type Subgraph, linkInto, wiring } from "./document";
import { type Definitions, type InputRef, type OutputRef, type Result, ensureInput, ensureOutput, ok } from "./edit";
import { inputSockets, outputSockets } from "./sockets";
import { fits } from "./types";

export type Side = "input" | "output";
const listOf = { input: "inputs", output: "outputs" } as const;

const put = (document: Document, subgraph: Subgraph): Document => ({ ...document, subgraphs: new Map(document.subgraphs).set(subgraph.id, subgraph) });

function uniqueName(slots: readonly BoundarySlot[], name: string): string {
  const taken = new Set(slots.map((slot) => slot.name));
  let free = name;
  for (let i = 2; taken.has(free); i++) free = `${name}_${i}`;
  return free;
}

function withSlot(subgraph: Subgraph, side: Side, name: string, type: string, freshId: () => string): Subgraph {
  const slots = subgraph[listOf[side]];
  const free = uniqueName(slots, name || type.toLowerCase());
  const added: BoundarySlot = { name: free, type, file: { id: freshId(), name: free, type, linkIds: [] } };
  return { ...subgraph, [listOf[side]]: [...slots, added] };
}

/** Leads a slot of the subgraph's edge to an input inside. A slot one past the last is made for it. */
export function leadIn(document: Document, id: string, slot: number, to: InputRef, definitions: Definitions, freshId: () => string): Result<Document> {
  const subgraph = document.subgraphs.get(id);
  const target = subgraph?.graph.nodes.get(to.node);
  const socket = target && inputSockets(target, definitions(target.type)).find((one) => one.name === to.input);
  if (!subgraph || !socket) return { ok: false, reason: { code: "missing" } };
  const next = slot < subgraph.inputs.length ? subgraph : withSlot(subgraph, "input", socket.label, socket.type, freshId);
  const boundary = next.inputs[slot];
  if (!boundary) return { ok: false, reason: { code: "missing" } };
  if (!fits(boundary.type, socket.type)) return { ok: false, reason: { code: "types", from: boundary.type, to: socket.type, output: boundary.name, input: socket.label } };
  const [graph, toSlot] = ensureInput(next.graph, to.node, socket);
  return ok(put(document, { ...next, graph: withLink(graph, { from: SUBGRAPH_IN, fromSlot: slot, to: to.node, toSlot, type: boundary.type }) }));
}

/** Leads an output inside to a slot of the subgraph's edge. A slot one past the last is made for it. */
export function leadOut(document: Document, id: string, from: OutputRef, slot: number, definitions: Definitions, freshId: () => string): Result<Document> {
  const subgraph = document.subgraphs.get(id);
  const source = subgraph?.graph.nodes.get(from.node);
  const socket = source && outputSockets(source, definitions(source.type))[from.output];
  if (!subgraph || !socket) return { ok: false, reason: { code: "missing" } };
  const next = slot < subgraph.outputs.length ? subgraph : withSlot(subgraph, "output", socket.label, socket.type, freshId);
  const boundary = next.outputs[slot];
  if (!boundary) return { ok: false, reason: { code: "missing" } };
  if (!fits(socket.type, boundary.type)) return { ok: false, reason: { code: "types", from: socket.type, to: boundary.type, output: socket.label, input: boundary.name } };
  const graph = ensureOutput(next.graph, from.node, from.output, definitions);
  return ok(put(document, { ...next, graph: withLink(graph, { from: from.node, fromSlot: from.output, to: SUBGRAPH_OUT, toSlot: slot, type: socket.type }) }));
}

function withLink(graph: Graph, link: Omit<Link, "id" | "reroute" | "file">): Graph {
  const links = new Map(graph.links);
  const old = linkInto(graph, link.to, link.toSlot);
  if (old) links.delete(old.id);
  const id: LinkId = graph.lastLink + 1;
  return { ...graph, links: links.set(id, { ...link, id, reroute: null, file: null }), lastLink: id };
}

export function renameSlot(document: Document, id: string, side: Side, slot: number, label: string): Document {
  const subgraph = document.subgraphs.get(id);
  if (!subgraph) return document;
  const slots = subgraph[listOf[side]].map((one, i) => {
    if (i !== slot) return one;
    const { label: _label, ...rest } = one;
    const { label: _old, ...file } = one.file;
    return { ...rest, file, ...(label === "" || label === one.name ? {} : { label }) };
  });
  return put(document, { ...subgraph, [listOf[side]]: slots });
}

/** Takes a slot away, with its links inside and those of every instance. */
export function removeSlot(document: Document, id: string, side: Side, slot: number): Document {
  const subgraph = document.subgraphs.get(id);
  const gone = subgraph?.[listOf[side]][slot];
  if (!subgraph || !gone) return document;
  const inner = side === "input" ? dropFrom(subgraph.graph, SUBGRAPH_IN, slot) : dropInto(subgraph.graph, SUBGRAPH_OUT, slot);
  const without = put(document, { ...subgraph, graph: inner, [listOf[side]]: subgraph[listOf[side]].filter((_, i) => i !== slot) });
  const outside = (graph: Graph): Graph => [...graph.nodes.values()].filter((node) => node.type === id).reduce((next, node) => (side === "input" ? withoutInput(next, node, gone.name) : withoutOutput(next, node, slot)), graph);
  return { ...without, root: outside(without.root), subgraphs: new Map([...without.subgraphs].map(([key, one]) => [key, { ...one, graph: outside(one.graph) }])) };
}

function withoutInput(graph: Graph, node: GraphNode, name: string): Graph {
  const at = node.inputs.findIndex((input) => input.name === name);
  const { [name]: _value, ...values } = node.values ?? {};
  const changed: GraphNode = { ...node, inputs: node.inputs.filter((_, i) => i !== at), values: node.values && values };
  const nodes = new Map(graph.nodes).set(node.id, changed);
  return at < 0 ? { ...graph, nodes } : { ...dropInto(graph, node.id, at), nodes };
}

function withoutOutput(graph: Graph, node: GraphNode, slot: number): Graph {
  const nodes = new Map(graph.nodes).set(node.id, { ...node, outputs: node.outputs.filter((_, i) => i !== slot) });
  return { ...dropFrom(graph, node.id, slot), nodes };
}

/** Removes the link into a slot; those behind it move up. */
function dropInto(graph: Graph, id: NodeId, slot: number): Graph {
  const links = new Map(graph.links);
  for (const [at, link] of wiring(graph).into.get(id) ?? []) {
    if (at === slot) links.delete(link.id);
    else if (at > slot) links.set(link.id, { ...link, toSlot: at - 1 });
  }
  return { ...graph, links };
}

function dropFrom(graph: Graph, id: NodeId, slot: number): Graph {
  const links = new Map(graph.links);
  for (const link of wiring(graph).outOf.get(id) ?? []) {
    if (link.fromSlot === slot) links.delete(link.id);
    else if (link.fromSlot > slot) links.set(link.id, { ...link, fromSlot: link.fromSlot - 1 });
  }
  return { ...graph, links };
}
