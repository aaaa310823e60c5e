/** Edits: a graph in, a new graph out, or the reason why not. Unchanged nodes stay the same objects. */

import type { NodeDefinition } from "./definitions";
import { type Graph, type GraphNode, type Group, type Link, type LinkId, type Mode, type NodeId, type Point, type Reroute, linkInto, wiring } from "./document";
import type { Json, JsonObject } from "./json";
import { type Socket, inputSockets, outputSockets } from "./sockets";
import { fits } from "./types";

export type Refusal =
  | { readonly code: "types"; readonly from: string; readonly to: string; readonly output: string; readonly input: string }
  | { readonly code: "cycle" }
  | { readonly code: "same-node" }
  | { readonly code: "missing" };

export type Result<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: Refusal };
export const ok = <T>(value: T): Result<T> => ({ ok: true, value });
const refuse = (reason: Refusal): Result<never> => ({ ok: false, reason });

export interface OutputRef {
  readonly node: NodeId;
  readonly output: number;
}
export interface InputRef {
  readonly node: NodeId;
  readonly input: string;
}
export type Definitions = (type: string) => NodeDefinition | undefined;

function patchNodes(graph: Graph, patch: (nodes: Map<NodeId, GraphNode>) => void): Graph {
  const nodes = new Map(graph.nodes);
  patch(nodes);
  return { ...graph, nodes };
}

export function addNode(graph: Graph, make: (id: NodeId) => GraphNode): readonly [Graph, GraphNode] {
  const last = graph.lastNode + 1;
  const node = make(String(last));
  return [patchNodes({ ...graph, lastNode: last }, (nodes) => nodes.set(node.id, node)), node];
}

/** Changes fields of some nodes; the function gets each node and returns it changed. */
export function changeNodes(graph: Graph, ids: Iterable<NodeId>, change: (node: GraphNode) => GraphNode): Graph {
  return patchNodes(graph, (nodes) => {
    for (const id of ids) {
      const node = nodes.get(id);
      if (node) nodes.set(id, change(node));
    }
  });
}

export const moveNodes = (graph: Graph, ids: Iterable<NodeId>, dx: number, dy: number): Graph =>
  changeNodes(graph, ids, (node) => (node.pinned ? node : { ...node, pos: [node.pos[0] + dx, node.pos[1] + dy] }));

export const setMode = (graph: Graph, ids: Iterable<NodeId>, mode: Mode): Graph => changeNodes(graph, ids, (node) => ({ ...node, mode }));

export const setValue = (graph: Graph, id: NodeId, key: string, value: Json): Graph =>
  changeNodes(graph, [id], (node) => (node.values ? { ...node, values: { ...node.values, [key]: value } } : node));

function dropLinks(graph: Graph, gone: (link: Link) => boolean): Graph {
  const links = new Map<LinkId, Link>();
  for (const [id, link] of graph.links) if (!gone(link)) links.set(id, link);
  return links.size === graph.links.size ? graph : prune({ ...graph, links });
}

/** Reroutes that no link passes any more go with it. */
function prune(graph: Graph): Graph {
  if (graph.reroutes.size === 0) return graph;
  const used = new Set<number>();
  for (const link of graph.links.values()) {
    for (let id = link.reroute; id !== null && !used.has(id); id = graph.reroutes.get(id)?.parent ?? null) used.add(id);
  }
  const reroutes = new Map<number, Reroute>();
  for (const [id, reroute] of graph.reroutes) if (used.has(id) || reroute.file["floating"] !== undefined) reroutes.set(id, reroute);
  return { ...graph, reroutes };
}

export const removeLinks = (graph: Graph, ids: ReadonlySet<LinkId>): Graph => dropLinks(graph, (link) => ids.has(link.id));

export function removeNodes(graph: Graph, ids: ReadonlySet<NodeId>): Graph {
  const next = patchNodes(graph, (nodes) => {
    for (const id of ids) nodes.delete(id);
  });
  return dropLinks(next, (link) => ids.has(link.from) || ids.has(link.to));
}

/** Removes nodes and, where a type passes straight through them, joins what they joined. */
export function dissolveNodes(graph: Graph, ids: ReadonlySet<NodeId>): Graph {
  let next = graph;
  for (const id of ids) {
    const node = next.nodes.get(id);
    if (!node) continue;
    const leaving = wiring(next).outOf.get(id) ?? [];
    const bridges = leaving.flatMap((link) => {
      const type = node.outputs[link.fromSlot]?.type ?? link.type;
      const slot = node.inputs.findIndex((input, i) => linkInto(next, id, i) !== undefined && input.type === type);
      const source = slot < 0 ? undefined : linkInto(next, id, slot);
      return source && !ids.has(link.to) ? [{ ...link, from: source.from, fromSlot: source.fromSlot, reroute: null, file: null }] : [];
    });
    next = removeNodes(next, new Set([id]));
    const links = new Map(next.links);
    for (const link of bridges) links.set(link.id, link);
    next = { ...next, links };
  }
  return next;
}

/** Whether data from `start` reaches `goal`. */
export function reaches(graph: Graph, start: NodeId, goal: NodeId): boolean {
  const seen = new Set<NodeId>([start]);
  const open = [start];
  const { outOf } = wiring(graph);
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (id === goal) return true;
    for (const link of outOf.get(id) ?? []) {
      if (!seen.has(link.to)) {
        seen.add(link.to);
        open.push(link.to);
      }
    }
  }
  return false;
}

/** Whether this link may be made, without making it. */
export function mayConnect(graph: Graph, from: OutputRef, to: InputRef, definitions: Definitions): Result<{ output: Socket; input: Socket }> {
  const source = graph.nodes.get(from.node);
  const target = graph.nodes.get(to.node);
  if (!source || !target) return refuse({ code: "missing" });
  const output = outputSockets(source, definitions(source.type))[from.output];
  const input = inputSockets(target, definitions(target.type)).find((socket) => socket.name === to.input);
  if (!output || !input) return refuse({ code: "missing" });
  if (source === target) return refuse({ code: "same-node" });
  if (!fits(output.type, input.type)) return refuse({ code: "types", from: output.type, to: input.type, output: output.label, input: input.label });
  if (reaches(graph, to.node, from.node)) return refuse({ code: "cycle" });
  return ok({ output, input });
}

/** The input's place in the node's own list, where it is put if only the definition had it. */
export function ensureInput(graph: Graph, id: NodeId, input: Socket): readonly [Graph, number] {
  if (input.index >= 0) return [graph, input.index];
  let at = 0;
  const next = changeNodes(graph, [id], (node) => {
    at = node.inputs.length;
    const slot = { name: input.name, type: input.type, ...(input.widget === null ? {} : { widget: input.widget }), ...(input.optional ? { optional: true } : {}) };
    return { ...node, inputs: [...node.inputs, slot] };
  });
  return [next, at];
}

/** The node with its own list of outputs filled up to this one from the definition. */
export function ensureOutput(graph: Graph, id: NodeId, output: number, definitions: Definitions): Graph {
  return changeNodes(graph, [id], (node) => {
    if (node.outputs.length > output) return node;
    const missing = outputSockets(node, definitions(node.type)).slice(node.outputs.length, output + 1);
    return { ...node, outputs: [...node.outputs, ...missing.map(({ name, type }) => ({ name, type }))] };
  });
}

/** Makes a link; what was connected to the input before gives way. */
export function connect(graph: Graph, from: OutputRef, to: InputRef, definitions: Definitions): Result<Graph> {
  const allowed = mayConnect(graph, from, to, definitions);
  if (!allowed.ok) return allowed;
  const { output, input } = allowed.value;
  const [prepared, toSlot] = ensureInput(graph, to.node, input);
  const next = output.index < 0 ? ensureOutput(prepared, from.node, from.output, definitions) : prepared;
  const old = linkInto(next, to.node, toSlot);
  if (old && old.from === from.node && old.fromSlot === from.output) return ok(next);
  const links = new Map(next.links);
  if (old) links.delete(old.id);
  const id = next.lastLink + 1;
  links.set(id, { id, from: from.node, fromSlot: from.output, to: to.node, toSlot, type: output.type, reroute: null, file: null });
  return ok(prune({ ...next, links, lastLink: id }));
}

/** Puts a point on a link, after the reroutes it already has (towards the input) unless `before` names one. */
export function addReroute(graph: Graph, linkId: LinkId, pos: Point): Graph {
  const link = graph.links.get(linkId);
  if (!link) return graph;
  const id = Math.max(0, ...graph.reroutes.keys()) + 1;
  return {
    ...graph,
    reroutes: new Map(graph.reroutes).set(id, { id, parent: link.reroute, pos, file: {} }),
    links: new Map(graph.links).set(linkId, { ...link, reroute: id }),
  };
}

export function moveReroutes(graph: Graph, ids: Iterable<number>, dx: number, dy: number): Graph {
  const reroutes = new Map(graph.reroutes);
  for (const id of ids) {
    const reroute = reroutes.get(id);
    if (reroute) reroutes.set(id, { ...reroute, pos: [reroute.pos[0] + dx, reroute.pos[1] + dy] });
  }
  return { ...graph, reroutes };
}

export function removeReroute(graph: Graph, id: number): Graph {
  const gone = graph.reroutes.get(id);
  if (!gone) return graph;
  const reroutes = new Map<number, Reroute>();
  for (const reroute of graph.reroutes.values()) {
    if (reroute.id !== id) reroutes.set(reroute.id, reroute.parent === id ? { ...reroute, parent: gone.parent } : reroute);
  }
  const links = new Map(graph.links);
  for (const link of graph.links.values()) if (link.reroute === id) links.set(link.id, { ...link, reroute: gone.parent });
  return { ...graph, reroutes, links };
}

/** Shows a socket under another name; an empty one gives it its own back. */
export function renameSocket(graph: Graph, ref: { readonly node: NodeId; readonly side: "input" | "output"; readonly socket: Socket; readonly slot: number }, label: string, definitions: Definitions): Graph {
  const relabel = <T extends { readonly label?: string; readonly file?: JsonObject }>(slot: T): T => {
    const { label: _label, ...rest } = slot;
    const { label: _old, ...file } = slot.file ?? {};
    return { ...rest, ...(slot.file ? { file } : {}), ...(label === "" ? {} : { label }) } as T;
  };
  if (ref.side === "output") return changeNodes(ensureOutput(graph, ref.node, ref.slot, definitions), [ref.node], (node) => ({ ...node, outputs: node.outputs.map((slot, i) => (i === ref.slot ? relabel(slot) : slot)) }));
  const [next, at] = ensureInput(graph, ref.node, ref.socket);
  return changeNodes(next, [ref.node], (node) => ({ ...node, inputs: node.inputs.map((slot, i) => (i === at ? relabel(slot) : slot)) }));
}

export const addGroup = (graph: Graph, group: Group): Graph => ({ ...graph, groups: [...graph.groups, group] });
export const changeGroup = (graph: Graph, index: number, change: (group: Group) => Group): Graph => ({
  ...graph,
  groups: graph.groups.map((group, i) => (i === index ? change(group) : group)),
});
export const removeGroups = (graph: Graph, gone: ReadonlySet<number>): Graph => ({ ...graph, groups: graph.groups.filter((_, i) => !gone.has(i)) });
