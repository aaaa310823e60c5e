/**
 * Workflow files, schema 0.4 and 1, to documents. What is read is also kept as it was (`file`), so that the writer
 * can give back untouched whatever the user did not touch, unknown keys included.
 */

import type { Catalogue } from "./definitions";
import { definitionOf } from "./instances";
import {
  BYPASSED,
  type BoundarySlot,
  type Document,
  type Graph,
  type GraphNode,
  type Group,
  type InputSlot,
  type Link,
  type LinkId,
  MUTED,
  type Mode,
  NORMAL,
  type NodeId,
  type OutputSlot,
  type Point,
  type Rect,
  type Reroute,
  SUBGRAPH_IN,
  SUBGRAPH_OUT,
  type Size,
  type Subgraph,
} from "./document";
import { type Json, type JsonObject, isArray, isObject, number, text } from "./json";
import { readValues } from "./values";
import { t } from "../words/words";

const objects = (value: Json | undefined): readonly JsonObject[] => (isArray(value) ? value.filter(isObject) : []);

/** A point as `[x, y]`, or in old files as `{"0": x, "1": y}`. */
export function readPoint(value: Json | undefined, fallback: Point): Point {
  const [x, y] = isArray(value) ? value : isObject(value) ? [value["0"], value["1"]] : [];
  return [number(x) ?? fallback[0], number(y) ?? fallback[1]];
}

export function readRect(value: Json | undefined): Rect {
  const at = (i: number, fallback: number): number => number(isArray(value) ? value[i] : isObject(value) ? value[String(i)] : null) ?? fallback;
  return [at(0, 0), at(1, 0), at(2, 140), at(3, 80)];
}

export const readMode = (value: Json | undefined): Mode => (value === MUTED ? MUTED : value === BYPASSED ? BYPASSED : NORMAL);

export function readType(value: Json | undefined): string {
  if (typeof value === "string") return value === "" ? "*" : value;
  if (isArray(value)) return value.map(String).join(",");
  return "*";
}

export function readId(value: Json | undefined): NodeId | null {
  return typeof value === "string" ? value : typeof value === "number" || typeof value === "bigint" ? String(value) : null;
}

function readInput(file: JsonObject): InputSlot {
  const widget = isObject(file["widget"]) ? text(file["widget"]["name"]) : null;
  const label = text(file["label"]);
  return {
    name: text(file["name"]) ?? "",
    type: readType(file["type"]),
    ...(label === null ? {} : { label }),
    ...(widget === null ? {} : { widget }),
    ...(file["shape"] === 7 ? { optional: true } : {}),
    file,
  };
}

function readOutput(file: JsonObject): OutputSlot {
  const label = text(file["label"]);
  return { name: text(file["name"]) ?? "", type: readType(file["type"]), ...(label === null ? {} : { label }), file };
}

export function readNode(file: JsonObject, catalogue: Catalogue): GraphNode | null {
  const id = readId(file["id"]);
  const type = text(file["type"]);
  if (id === null || type === null) return null;
  const flags = isObject(file["flags"]) ? file["flags"] : {};
  const definition = catalogue.get(type);
  return {
    id,
    type,
    pos: readPoint(file["pos"], [0, 0]),
    size: readPoint(file["size"], [210, 60]) as Size,
    mode: readMode(file["mode"]),
    title: text(file["title"]),
    collapsed: flags["collapsed"] === true,
    pinned: flags["pinned"] === true,
    color: text(file["color"]),
    bgcolor: text(file["bgcolor"]),
    inputs: objects(file["inputs"]).map(readInput),
    outputs: objects(file["outputs"]).map(readOutput),
    values: definition ? readValues(definition, file) : null,
    properties: isObject(file["properties"]) ? file["properties"] : {},
    file,
  };
}

interface RawLink {
  readonly id: LinkId;
  readonly from: NodeId;
  readonly fromSlot: number;
  readonly to: NodeId;
  readonly toSlot: number;
  readonly type: string;
  readonly parent: number | null;
  readonly file: Json;
}

function readLink(file: Json): RawLink | null {
  const [id, from, fromSlot, to, toSlot, type, parent] = isArray(file)
    ? file
    : isObject(file)
      ? [file["id"], file["origin_id"], file["origin_slot"], file["target_id"], file["target_slot"], file["type"], file["parentId"]]
      : [];
  const link = { id: number(id), from: readId(from), fromSlot: number(fromSlot), to: readId(to), toSlot: number(toSlot) };
  if (link.id === null || link.from === null || link.to === null || link.fromSlot === null) return null;
  return {
    id: link.id,
    from: link.from,
    fromSlot: link.fromSlot,
    to: link.to,
    toSlot: link.toSlot ?? 0,
    type: readType(type),
    parent: number(parent),
    file,
  };
}

/** Ends of a subgraph, whose slots links may name. */
interface Ends {
  readonly inputs: number;
  readonly outputs: number;
}

/**
 * A link's identity is stored three times in a file; the target's `inputs[].link` is right most often, so links are
 * resolved from there. What does not resolve is a leftover and is dropped.
 */
function readLinks(nodes: ReadonlyMap<NodeId, GraphNode>, file: JsonObject, ends: Ends | null, parents: ReadonlyMap<LinkId, number>, portals: ReadonlyMap<LinkId, string>): Map<LinkId, Link> {
  const raw = new Map<LinkId, RawLink>();
  for (const entry of isArray(file["links"]) ? file["links"] : []) {
    const link = readLink(entry);
    if (link) raw.set(link.id, link);
  }
  const claims = new Map<LinkId, { to: NodeId; toSlot: number }>();
  for (const node of nodes.values()) {
    node.inputs.forEach((slot, toSlot) => {
      const id = number(slot.file?.["link"]);
      if (id !== null && raw.has(id) && !claims.has(id)) claims.set(id, { to: node.id, toSlot });
    });
  }
  const links = new Map<LinkId, Link>();
  for (const link of raw.values()) {
    const end = claims.get(link.id) ?? (ends && link.to === SUBGRAPH_OUT && link.toSlot < ends.outputs ? link : null);
    const source = nodes.get(link.from);
    const slots = source ? source.outputs.length : ends && link.from === SUBGRAPH_IN ? ends.inputs : 0;
    if (!end || link.fromSlot >= slots) continue;
    const portal = portals.get(link.id);
    links.set(link.id, {
      id: link.id,
      from: link.from,
      fromSlot: link.fromSlot,
      to: end.to,
      toSlot: end.toSlot,
      type: link.type,
      reroute: link.parent ?? parents.get(link.id) ?? null,
      ...(portal === undefined ? {} : { portal }),
      file: link.file,
    });
  }
  return links;
}

function readGroup(file: JsonObject): Group {
  const folded = isObject(file["flags"]) && file["flags"]["collapsed"] === true;
  return { title: text(file["title"]) ?? "Group", bounds: readRect(file["bounding"]), color: text(file["color"]), folded, file };
}

/** Links that are hidden behind names. */
export function readPortals(extra: JsonObject): Map<LinkId, string> {
  const shown = isObject(extra["linkPresentation"]) ? extra["linkPresentation"] : {};
  return new Map(Object.entries(shown).flatMap(([id, look]) => (isObject(look) && look["hidden"] === true ? [[Number(id), text(look["label"]) ?? ""] as const] : [])));
}

function readReroutes(value: Json | undefined): Map<number, Reroute> {
  const reroutes = new Map<number, Reroute>();
  for (const file of objects(value)) {
    const id = number(file["id"]);
    if (id !== null) reroutes.set(id, { id, parent: number(file["parentId"]), pos: readPoint(file["pos"], [0, 0]), file });
  }
  return reroutes;
}

function readGraph(file: JsonObject, catalogue: Catalogue, ends: Ends | null): Graph {
  const nodes = new Map<NodeId, GraphNode>();
  for (const entry of objects(file["nodes"])) {
    const node = readNode(entry, catalogue);
    if (node && !nodes.has(node.id)) nodes.set(node.id, node);
  }
  const extra = isObject(file["extra"]) ? file["extra"] : {};
  const parents = new Map<LinkId, number>();
  for (const entry of objects(extra["linkExtensions"])) {
    const [id, parent] = [number(entry["id"]), number(entry["parentId"])];
    if (id !== null && parent !== null) parents.set(id, parent);
  }
  const links = readLinks(nodes, file, ends, parents, readPortals(extra));
  const state = isObject(file["state"]) ? file["state"] : {};
  const highest = (...ids: (number | null)[]): number => ids.reduce<number>((top, id) => Math.max(top, id ?? 0), 0);
  return {
    nodes,
    links,
    groups: objects(file["groups"]).map(readGroup),
    reroutes: readReroutes(file["reroutes"] ?? extra["reroutes"]),
    lastNode: highest(number(file["last_node_id"]), number(state["lastNodeId"]), ...[...nodes.keys()].map((id) => number(id))),
    lastLink: highest(number(file["last_link_id"]), number(state["lastLinkId"]), ...links.keys()),
  };
}

function readBoundary(file: JsonObject): BoundarySlot {
  const label = text(file["label"]);
  return { name: text(file["name"]) ?? "", type: readType(file["type"]), ...(label === null ? {} : { label }), file };
}

function readSubgraph(file: JsonObject, catalogue: Catalogue): Subgraph | null {
  const id = text(file["id"]);
  if (id === null) return null;
  const inputs = objects(file["inputs"]).map(readBoundary);
  const outputs = objects(file["outputs"]).map(readBoundary);
  const graph = readGraph(file, catalogue, { inputs: inputs.length, outputs: outputs.length });
  return { id, name: text(file["name"]) ?? "Subgraph", graph, inputs, outputs, file };
}

/** True for a saved workflow, false for the API form or anything else. */
export const isWorkflow = (value: Json): value is JsonObject => isObject(value) && isArray(value["nodes"]);

export const isPrompt = (value: Json): value is JsonObject =>
  isObject(value) && Object.keys(value).length > 0 && Object.values(value).every((node) => isObject(node) && text(node["class_type"]) !== null);

/** @throws Error when the value is not a workflow at all; anything less is read as far as it goes. */
export function readWorkflow(file: Json, catalogue: Catalogue, freshId: () => string): Document {
  if (!isWorkflow(file)) throw new Error(t("This is not a workflow: it has no list of nodes."));
  const definitions = isObject(file["definitions"]) ? file["definitions"] : {};
  const subgraphs = new Map<string, Subgraph>();
  for (const entry of objects(definitions["subgraphs"])) {
    const subgraph = readSubgraph(entry, catalogue);
    if (subgraph) subgraphs.set(subgraph.id, subgraph);
  }
  return adopt({ id: text(file["id"]) ?? freshId(), root: readGraph(file, catalogue, null), subgraphs, file }, catalogue);
}

/** Reads the values of nodes whose type has become known: subgraph instances, or a pack that arrived meanwhile. */
export function adopt(document: Document, catalogue: Catalogue): Document {
  const inGraph = (graph: Graph): Graph => {
    let nodes: Map<NodeId, GraphNode> | null = null;
    for (const node of graph.nodes.values()) {
      if (node.values) continue;
      const definition = definitionOf(document, catalogue, node.type);
      if (!definition) continue;
      nodes ??= new Map(graph.nodes);
      nodes.set(node.id, { ...node, values: readValues(definition, node.file) });
    }
    return nodes ? { ...graph, nodes } : graph;
  };
  const subgraphs = new Map([...document.subgraphs].map(([id, subgraph]) => [id, { ...subgraph, graph: inGraph(subgraph.graph) }]));
  return { ...document, root: inGraph(document.root), subgraphs };
}
