/** Making links by hand: which sockets fit, which is the best on a node, and what to say when none does. */

import { leadIn, leadOut } from "../graph/boundary";
import { type Document, type Graph, type GraphNode, type Link, type NodeId, type Point, SUBGRAPH_IN, SUBGRAPH_OUT, linkInto, wiring } from "../graph/document";
import { type InputRef, type OutputRef, type Refusal, type Result, addNode, connect, mayConnect, removeLinks } from "../graph/edit";
import { newNode } from "../graph/create";
import { inputSockets, outputSockets } from "../graph/sockets";
import { fits, members, mending, readable } from "../graph/types";
import type { Editor, Notice } from "./editor";
import type { LinkEnd, Target } from "./gesture";
import { t } from "../words/words";

/** Whether an end is a slot at the edge of the subgraph on screen. */
const atEdge = (end: LinkEnd): boolean => end.node === SUBGRAPH_IN || end.node === SUBGRAPH_OUT;

/** The type that a drag from this end carries. */
export function typeOf(editor: Editor, end: LinkEnd): string {
  if (atEdge(end)) {
    const subgraph = editor.ref === null ? undefined : editor.document.subgraphs.get(editor.ref);
    return (end.side === "output" ? subgraph?.inputs[end.output] : subgraph?.outputs[Number(end.input)])?.type ?? "*";
  }
  const node = editor.graph.nodes.get(end.node);
  if (!node) return "*";
  const definition = editor.definition(node.type);
  return (end.side === "output" ? outputSockets(node, definition)[end.output]?.type : inputSockets(node, definition).find((socket) => socket.name === end.input)?.type) ?? "*";
}

/** Whether a drag from this end may land on a socket of the node; decides what is lit and what is dimmed. */
export function accepts(editor: Editor, end: LinkEnd, node: NodeId, socket: { side: "input"; input: string } | { side: "output"; output: number }): boolean {
  if (end.side === socket.side) return false;
  if (atEdge(end)) {
    const type = typeOf(editor, end);
    const other = typeOf(editor, socket.side === "input" ? { ...socket, node } : { ...socket, node });
    return socket.side === "input" ? fits(type, other) : fits(other, type);
  }
  const [from, to]: [OutputRef, InputRef] =
    end.side === "output" && socket.side === "input"
      ? [{ node: end.node, output: end.output }, { node, input: socket.input }]
      : [{ node, output: socket.side === "output" ? socket.output : 0 }, { node: end.node, input: end.side === "input" ? end.input : "" }];
  return mayConnect(editor.graph, from, to, editor.definition).ok;
}

/** The socket that a link dropped anywhere on the node means: free and exact before widgets and taken ones. */
export function bestSocket(editor: Editor, end: LinkEnd, node: GraphNode): Target | null {
  const definition = editor.definition(node.type);
  const type = typeOf(editor, end);
  if (end.side === "output") {
    let best: { points: number; input: string } | null = null;
    for (const socket of inputSockets(node, definition)) {
      if (!fits(type, socket.type)) continue;
      const free = socket.index < 0 || !linkInto(editor.graph, node.id, socket.index);
      const points = (members(socket.type) === "any" ? 0 : 4) + (socket.widget === null ? 2 : 0) + (free ? 1 : 0);
      if (!best || points > best.points) best = { points, input: socket.name };
    }
    return best && { kind: "input", node: node.id, input: best.input };
  }
  const output = outputSockets(node, definition).findIndex((socket) => fits(socket.type, type));
  return output < 0 ? null : { kind: "output", node: node.id, output };
}

/** The link a press on a connected input picks up, to move it elsewhere. */
export function linkAt(editor: Editor, node: NodeId, input: string): Link | undefined {
  const slot = editor.graph.nodes.get(node)?.inputs.findIndex((socket) => socket.name === input) ?? -1;
  return slot < 0 ? undefined : linkInto(editor.graph, node, slot);
}

export const linksOf = (editor: Editor, node: NodeId, output: number): readonly Link[] =>
  (wiring(editor.graph).outOf.get(node) ?? []).filter((link) => link.fromSlot === output);

/** Connects the end of a drag to a target. What cannot be is said in words, with the node that would mend it. */
export function land(editor: Editor, end: LinkEnd, target: Target): Notice | null {
  if (atEdge(end) || target.kind === "end") return landAtEdge(editor, end, target);
  const socket = target.kind === "input" || target.kind === "output" ? target : "node" in target ? socketOn(editor, end, target.node) : null;
  if (!socket) {
    const node = "node" in target ? editor.graph.nodes.get(target.node) : undefined;
    if (!node || node.id === end.node) return null;
    const parts = { node: editor.title(node), type: members(typeOf(editor, end)) === "any" ? t("anything") : typeOf(editor, end) };
    return { tone: "info", text: end.side === "output" ? t("{node} takes no {type}.", parts) : t("{node} gives no {type}.", parts) };
  }
  if (socket.kind === end.side) {
    return socket.node === end.node ? null : { tone: "info", text: end.side === "output" ? t("Both ends are outputs. A link runs from an output to an input.") : t("Both ends are inputs. A link runs from an output to an input.") };
  }
  const from: OutputRef = end.side === "output" ? end : { node: socket.node, output: socket.kind === "output" ? socket.output : 0 };
  const to: InputRef = end.side === "input" ? end : { node: socket.node, input: socket.kind === "input" ? socket.input : "" };
  const refusal = editor.attempt("Connect", (graph) => connect(graph, from, to, editor.definition));
  return refusal && explain(editor, refusal, from, to);
}

/** Links between a socket and the edge of the subgraph on screen, where the place after the last makes a new slot. */
function landAtEdge(editor: Editor, end: LinkEnd, target: Target): Notice | null {
  const { ref } = editor;
  if (ref === null) return null;
  const fresh = (): string => crypto.randomUUID();
  const socket = target.kind === "input" || target.kind === "output" ? target : "node" in target ? socketOn(editor, end, target.node) : null;
  const lead = (document: Document): Result<Document> => {
    if (end.node === SUBGRAPH_IN && end.side === "output" && socket?.kind === "input") return leadIn(document, ref, end.output, socket, editor.definition, fresh);
    if (end.node === SUBGRAPH_OUT && end.side === "input" && socket?.kind === "output") return leadOut(document, ref, socket, Number(end.input), editor.definition, fresh);
    if (target.kind === "end" && target.side === "input" && end.side === "input" && !atEdge(end)) return leadIn(document, ref, target.slot, end, editor.definition, fresh);
    if (target.kind === "end" && target.side === "output" && end.side === "output" && !atEdge(end)) return leadOut(document, ref, end, target.slot, editor.definition, fresh);
    return { ok: false, reason: { code: "missing" } };
  };
  const made = lead(editor.document);
  if (made.ok) {
    editor.editDocument("Connect", () => made.value, "at the edge");
    editor.sealEdits();
    return null;
  }
  const { reason } = made;
  if (reason.code !== "types") return null;
  return { tone: "info", text: t("“{input}” wants {to}, not {from}.", { input: reason.input, to: readable(reason.to), from: readable(reason.from) }) };
}

function socketOn(editor: Editor, end: LinkEnd, id: NodeId): Extract<Target, { kind: "input" | "output" }> | null {
  const node = editor.graph.nodes.get(id);
  const best = node && node.id !== end.node ? bestSocket(editor, end, node) : null;
  return best && (best.kind === "input" || best.kind === "output") ? best : null;
}

export function explain(editor: Editor, refusal: Refusal, from: OutputRef, to: InputRef): Notice {
  const target = editor.graph.nodes.get(to.node);
  switch (refusal.code) {
    case "types": {
      const mend = mending(editor.catalogue, refusal.from, refusal.to);
      const text = t("{node} wants {to} for “{input}”, not {from}.", { node: target ? editor.title(target) : "", to: readable(refusal.to), input: refusal.input, from: readable(refusal.from) });
      return { tone: "info", text, ...(mend ? { action: { label: t("Add {node}", { node: mend.title }), run: () => insertBetween(editor, mend.type, from, to) } } : {}) };
    }
    case "cycle":
      return { tone: "info", text: t("That would make a circle: the node would need its own result.") };
    case "same-node":
      return { tone: "info", text: t("A node cannot feed itself.") };
    case "missing":
      return { tone: "info", text: t("This socket is no longer there.") };
  }
}

/** Adds a node halfway and wires it to both. */
function insertBetween(editor: Editor, type: string, from: OutputRef, to: InputRef): void {
  const definition = editor.catalogue.get(type);
  const [source, target] = [editor.graph.nodes.get(from.node), editor.graph.nodes.get(to.node)];
  if (!definition || !source || !target) return;
  const pos: Point = [(source.pos[0] + source.size[0] + target.pos[0]) / 2 - 100, Math.min(source.pos[1], target.pos[1]) - 120];
  editor.edit(`Add ${definition.title}`, (graph) => {
    let [next, node] = addNode(graph, (id) => newNode(id, definition, pos));
    const wanted = inputSockets(target, editor.definition(target.type)).find((socket) => socket.name === to.input)?.type ?? "*";
    const given = outputSockets(source, editor.definition(source.type))[from.output]?.type ?? "*";
    const input = definition.inputs.find((slot) => members(slot.type) !== "any" && fits(given, slot.type));
    const output = definition.outputs.findIndex((slot) => fits(slot.type, wanted));
    const first = input ? connect(next, from, { node: node.id, input: input.name }, editor.definition) : null;
    if (first?.ok) next = first.value;
    const second = connect(next, { node: node.id, output }, to, editor.definition);
    return second.ok ? second.value : next;
  });
}

/** The place, or the next one down that no other node starts at. */
function free(graph: Graph, pos: Point): Point {
  let [x, y] = [Math.round(pos[0]), Math.round(pos[1])];
  const taken = (): boolean => [...graph.nodes.values()].some((node) => Math.abs(node.pos[0] - x) < 16 && Math.abs(node.pos[1] - y) < 16);
  while (taken()) [x, y] = [x + 32, y + 40];
  return [x, y];
}

/** Puts a node of this type where a drag ended, connected to where it came from. */
export function addConnected(editor: Editor, type: string, at: Point, end: LinkEnd | null): NodeId | null {
  const definition = editor.definition(type);
  if (!definition) return null;
  let made: NodeId | null = null;
  editor.edit(`Add ${definition.title}`, (graph) => {
    const fresh = newNode("0", definition, at);
    const [x, y] = end?.side === "input" ? [at[0] - fresh.size[0], at[1] - 14] : end ? [at[0], at[1] - 14] : [at[0] - fresh.size[0] / 2, at[1]];
    const pos: Point = [Math.round(x), Math.round(y)];
    let [next, node] = addNode(graph, (id) => newNode(id, definition, end ? pos : free(graph, pos)));
    made = node.id;
    if (!end || atEdge(end)) return next;
    const wire = typeOf(editor, end);
    if (end.side === "output") {
      const exact = definition.inputs.find((input) => !input.widget && members(input.type) !== "any" && fits(wire, input.type)) ?? definition.inputs.find((input) => fits(wire, input.type));
      const result = exact ? connect(next, end, { node: node.id, input: exact.name }, editor.definition) : null;
      if (result?.ok) next = result.value;
    } else {
      const output = definition.outputs.findIndex((slot) => fits(slot.type, wire));
      const result = output < 0 ? null : connect(next, { node: node.id, output }, end, editor.definition);
      if (result?.ok) next = result.value;
    }
    return next;
  }, end && atEdge(end) ? "at the edge" : null);
  if (made === null) return null;
  if (end && atEdge(end)) land(editor, end, { kind: "body", node: made });
  editor.select({ nodes: new Set([made]) });
  return made;
}

/** Splices a node into a link, if one of its inputs and one of its outputs carry the link's type. */
export function splice(editor: Editor, id: NodeId, link: Link): boolean {
  const node = editor.graph.nodes.get(id);
  if (!node || link.from === id || link.to === id) return false;
  const definition = editor.definition(node.type);
  const target = editor.graph.nodes.get(link.to);
  const wanted = target?.inputs[link.toSlot];
  const input = inputSockets(node, definition).find((socket) => socket.widget === null && members(socket.type) !== "any" && fits(link.type, socket.type) && (socket.index < 0 || !linkInto(editor.graph, id, socket.index)));
  const output = outputSockets(node, definition).findIndex((socket) => wanted && fits(socket.type, wanted.type) && members(socket.type) !== "any");
  if (!input || output < 0 || !wanted) return false;
  return (
    editor.attempt("Splice in", (graph) => {
      const first = connect(removeLinks(graph, new Set([link.id])), { node: link.from, output: link.fromSlot }, { node: id, input: input.name }, editor.definition);
      return first.ok ? connect(first.value, { node: id, output }, { node: link.to, input: wanted.name }, editor.definition) : first;
    }) === null
  );
}

export interface Possible {
  readonly from: OutputRef;
  readonly to: InputRef;
  readonly label: string;
  readonly type: string;
}

/** Every link a node could get, open inputs first: what the keyboard chooses from. */
export function possibleLinks(editor: Editor, id: NodeId): readonly Possible[] {
  const node = editor.graph.nodes.get(id);
  if (!node) return [];
  const found: (Possible & { readonly rank: number })[] = [];
  const offer = (source: GraphNode, target: GraphNode): void => {
    const outputs = outputSockets(source, editor.definition(source.type));
    for (const input of inputSockets(target, editor.definition(target.type))) {
      const taken = input.index >= 0 && linkInto(editor.graph, target.id, input.index) !== undefined;
      outputs.forEach((output, slot) => {
        if (!fits(output.type, input.type)) return;
        const [from, to] = [{ node: source.id, output: slot }, { node: target.id, input: input.name }];
        if (!mayConnect(editor.graph, from, to, editor.definition).ok) return;
        const rank = (taken ? 4 : 0) + (input.widget === null ? 0 : 2) + (target === node ? 0 : 1);
        const label = target === node ? `${input.label} ← ${editor.title(source)} · ${output.label}` : `${output.label} → ${editor.title(target)} · ${input.label}`;
        found.push({ from, to, label, type: output.type, rank });
      });
    }
  };
  for (const other of editor.graph.nodes.values()) {
    if (other === node) continue;
    offer(other, node);
    offer(node, other);
  }
  return found.sort((a, b) => a.rank - b.rank);
}
