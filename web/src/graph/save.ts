/** Documents to workflow files. A key whose meaning did not change keeps the very value it was read with. */

import type { Catalogue, NodeDefinition } from "./definitions";
import { type Document, type Graph, type GraphNode, type Group, type Link, type NodeId, type Subgraph, reroutesOf, wiring } from "./document";
import { type Json, type JsonObject, isArray, isObject, number, sameJson, text } from "./json";
import { definitionOf } from "./instances";
import { readId, readMode, readPoint, readPortals, readRect, readType } from "./workflow";
import { writeValues } from "./values";

type Lookup = (type: string) => NodeDefinition | undefined;
type Draft = Record<string, Json | undefined>;

/** Sets a key unless what stands there already means the value. */
function keep(draft: Draft, key: string, value: Json | undefined, means: boolean): void {
  if (!means) draft[key] = value;
}

const fileId = (id: NodeId): Json => (/^-?\d+$/.test(id) ? Number(id) : id);

function writeNode(graph: Graph, node: GraphNode, order: number, lookup: Lookup): JsonObject {
  const { file } = node;
  const draft: Draft = { ...file };
  keep(draft, "id", fileId(node.id), readId(file["id"]) === node.id);
  draft["type"] = node.type;
  keep(draft, "pos", node.pos, ("pos" in file || "id" in file) && sameJson(readPoint(file["pos"], [0, 0]), node.pos));
  keep(draft, "size", node.size, ("size" in file || "id" in file) && sameJson(readPoint(file["size"], [210, 60]), node.size));
  const flags = isObject(file["flags"]) ? file["flags"] : {};
  if (!isObject(file["flags"]) || (flags["collapsed"] === true) !== node.collapsed || (flags["pinned"] === true) !== node.pinned) {
    const { collapsed: _c, pinned: _p, ...rest } = flags;
    const next = { ...rest, ...(node.collapsed ? { collapsed: true } : {}), ...(node.pinned ? { pinned: true } : {}) };
    if (isObject(file["flags"]) || Object.keys(next).length > 0 || !("id" in file)) draft["flags"] = next;
  }
  if (!("order" in file) && !("id" in file)) draft["order"] = order;
  keep(draft, "mode", node.mode, "mode" in file ? readMode(file["mode"]) === node.mode : node.mode === 0 && "id" in file);
  keep(draft, "title", node.title ?? undefined, text(file["title"]) === node.title);
  keep(draft, "color", node.color ?? undefined, text(file["color"]) === node.color);
  keep(draft, "bgcolor", node.bgcolor ?? undefined, text(file["bgcolor"]) === node.bgcolor);
  keep(draft, "properties", node.properties, file["properties"] === node.properties || (!("properties" in file) && "id" in file && Object.keys(node.properties).length === 0));
  writeSlots(draft, graph, node);
  const definition = lookup(node.type);
  if (definition && node.values) Object.assign(draft, writeValues(definition, node.values, file));
  return draft;
}

function writeSlots(draft: Draft, graph: Graph, node: GraphNode): void {
  const { into, outOf } = wiring(graph);
  const incoming = into.get(node.id);
  const leaving = outOf.get(node.id) ?? [];
  if ("inputs" in node.file || node.inputs.length > 0 || !("id" in node.file)) {
    const inputs = node.inputs.map((slot, i): JsonObject => {
      const link = incoming?.get(i)?.id ?? null;
      const slotDraft: Draft = { ...slot.file };
      keep(slotDraft, "name", slot.name, text(slot.file?.["name"]) === slot.name || (slot.name === "" && !!slot.file));
      keep(slotDraft, "type", slot.type, !!slot.file && readType(slot.file["type"]) === slot.type);
      if (slot.label !== undefined) slotDraft["label"] = slot.label;
      if (slot.widget !== undefined && !slot.file) slotDraft["widget"] = { name: slot.widget };
      if (slot.optional && !slot.file) slotDraft["shape"] = 7;
      keep(slotDraft, "link", link, !!slot.file && (link === null ? (slot.file["link"] ?? null) === null : number(slot.file["link"]) === link));
      return slotDraft;
    });
    keep(draft, "inputs", inputs, sameJson(node.file["inputs"], inputs));
  }
  if ("outputs" in node.file || node.outputs.length > 0 || !("id" in node.file)) {
    const outputs = node.outputs.map((slot, i): JsonObject => {
      const ids = leaving.filter((link) => link.fromSlot === i).map((link) => link.id);
      const before = slot.file?.["links"];
      const known = isArray(before) ? before.map((id) => number(id)) : [];
      const same = known.length === ids.length && ids.every((id) => known.includes(id)) && (ids.length > 0 || (!!slot.file && "links" in slot.file));
      const slotDraft: Draft = { ...slot.file };
      keep(slotDraft, "name", slot.name, text(slot.file?.["name"]) === slot.name || (slot.name === "" && !!slot.file));
      keep(slotDraft, "type", slot.type, !!slot.file && readType(slot.file["type"]) === slot.type);
      if (slot.label !== undefined) slotDraft["label"] = slot.label;
      const stay = known.filter((id): id is number => id !== null && ids.includes(id));
      keep(slotDraft, "links", [...stay, ...ids.filter((id) => !stay.includes(id))], same || (ids.length === 0 && (before ?? null) === null && !!slot.file));
      return slotDraft;
    });
    keep(draft, "outputs", outputs, sameJson(node.file["outputs"], outputs));
  }
}

const listed = (link: Link): Json => [link.id, fileId(link.from), link.fromSlot, fileId(link.to), link.toSlot, link.type];
const named = (link: Link): JsonObject => ({
  ...(isObject(link.file) ? link.file : {}),
  id: link.id,
  origin_id: fileId(link.from),
  origin_slot: link.fromSlot,
  target_id: fileId(link.to),
  target_slot: link.toSlot,
  type: link.type,
  parentId: link.reroute ?? undefined,
});

/** The link as it was read, if it still says the same; slot indices may have been digits in quotes. */
function writeLink(link: Link, form: "list" | "object"): Json {
  const made = form === "list" ? listed(link) : named(link);
  const before = link.file;
  if (form === "list" && isArray(before) && isArray(made)) {
    const same = made.every((part, i) => sameJson(part, before[i]) || (typeof part === "number" && number(before[i]) === part) || (i === 5 && readType(before[i]) === part));
    return same ? before : made;
  }
  return made;
}

function writeGroup(group: Group): JsonObject {
  const draft: Draft = { ...group.file };
  keep(draft, "title", group.title, (text(group.file["title"]) ?? "Group") === group.title && "bounding" in group.file);
  keep(draft, "bounding", group.bounds, "bounding" in group.file && sameJson(readRect(group.file["bounding"]), group.bounds));
  keep(draft, "color", group.color ?? undefined, text(group.file["color"]) === group.color);
  const flags = isObject(group.file["flags"]) ? group.file["flags"] : {};
  if ((flags["collapsed"] === true) !== group.folded) {
    const { collapsed: _collapsed, ...rest } = flags;
    draft["flags"] = group.folded ? { ...rest, collapsed: true } : rest;
  } else if (!("flags" in draft) && !("bounding" in group.file)) draft["flags"] = {};
  return draft;
}

function writeReroutes(graph: Graph): readonly JsonObject[] {
  const users = new Map<number, number[]>();
  for (const link of graph.links.values()) {
    for (const { id } of reroutesOf(graph, link)) users.set(id, [...(users.get(id) ?? []), link.id]);
  }
  return [...graph.reroutes.values()].map((reroute) => {
    const draft: Draft = { ...reroute.file, id: reroute.id };
    keep(draft, "pos", reroute.pos, sameJson(readPoint(reroute.file["pos"], [NaN, NaN]), reroute.pos));
    keep(draft, "parentId", reroute.parent ?? undefined, number(reroute.file["parentId"]) === reroute.parent);
    const ids = users.get(reroute.id) ?? [];
    const before = reroute.file["linkIds"];
    keep(draft, "linkIds", ids, isArray(before) && before.length === ids.length && ids.every((id) => before.includes(id)));
    return draft;
  });
}

/** `extra` with the portals of this graph; untouched when it says the same already. */
function writePortals(draft: Draft, graph: Graph): void {
  const extra = isObject(draft["extra"]) ? draft["extra"] : {};
  const before = readPortals(extra);
  const now = new Map([...graph.links.values()].flatMap((link) => (link.portal === undefined ? [] : [[link.id, link.portal] as const])));
  // What the file says of links that are gone is left alone: it was so before.
  if ([...graph.links.keys()].every((id) => before.get(id) === now.get(id))) return;
  const known = isObject(extra["linkPresentation"]) ? extra["linkPresentation"] : {};
  const rest = Object.fromEntries(Object.entries(known).filter(([id]) => !graph.links.has(Number(id))));
  const looks = Object.fromEntries([...now].map(([id, label]) => [String(id), { ...(isObject(known[String(id)]) ? (known[String(id)] as JsonObject) : {}), hidden: true, label }]));
  draft["extra"] = { ...extra, linkPresentation: { ...rest, ...looks } };
}

function writeGraph(draft: Draft, graph: Graph, lookup: Lookup, schema: "0.4" | "1"): void {
  const file = { ...draft };
  draft["nodes"] = [...graph.nodes.values()].map((node, order) => writeNode(graph, node, order, lookup));
  draft["links"] = [...graph.links.values()].map((link) => writeLink(link, schema === "0.4" ? "list" : "object"));
  if ("groups" in file || graph.groups.length > 0 || !("nodes" in file)) draft["groups"] = graph.groups.map(writeGroup);
  if (schema === "0.4") {
    keep(draft, "last_node_id", graph.lastNode, number(file["last_node_id"]) === graph.lastNode);
    keep(draft, "last_link_id", graph.lastLink, number(file["last_link_id"]) === graph.lastLink);
    const extra = isObject(file["extra"]) ? file["extra"] : {};
    if (graph.reroutes.size > 0 || "reroutes" in extra) {
      const attached = [...graph.links.values()].filter((link) => link.reroute !== null);
      draft["extra"] = { ...extra, reroutes: writeReroutes(graph), linkExtensions: attached.map((link) => ({ id: link.id, parentId: link.reroute })) };
    }
  } else {
    const state = isObject(file["state"]) ? file["state"] : {};
    if (number(state["lastNodeId"]) !== graph.lastNode || number(state["lastLinkId"]) !== graph.lastLink) {
      draft["state"] = { lastGroupId: 0, lastRerouteId: 0, ...state, lastNodeId: graph.lastNode, lastLinkId: graph.lastLink };
    }
    if (graph.reroutes.size > 0 || "reroutes" in file) draft["reroutes"] = writeReroutes(graph);
  }
  writePortals(draft, graph);
}

function writeSubgraph(subgraph: Subgraph, lookup: Lookup): JsonObject {
  const draft: Draft = { ...subgraph.file, id: subgraph.id, version: 1, name: subgraph.name };
  const boundary = (slots: Subgraph["inputs"], linked: (index: number) => number[]): JsonObject[] =>
    slots.map((slot, i) => {
      const ids = linked(i);
      const before = slot.file["linkIds"];
      const same = isArray(before) && before.length === ids.length && ids.every((id) => before.includes(id));
      return { ...slot.file, name: slot.name, ...(slot.label === undefined ? {} : { label: slot.label }), linkIds: same ? before : ids };
    });
  const links = [...subgraph.graph.links.values()];
  draft["inputs"] = boundary(subgraph.inputs, (i) => links.filter((link) => link.from === "-10" && link.fromSlot === i).map((link) => link.id));
  draft["outputs"] = boundary(subgraph.outputs, (i) => links.filter((link) => link.to === "-20" && link.toSlot === i).map((link) => link.id));
  writeGraph(draft, subgraph.graph, lookup, "1");
  return draft;
}

/** Definitions reachable from the root; only those are saved. */
function usedSubgraphs(document: Document): Subgraph[] {
  const used = new Set<string>();
  const visit = (graph: Graph): void => {
    for (const node of graph.nodes.values()) {
      const subgraph = document.subgraphs.get(node.type);
      if (subgraph && !used.has(subgraph.id)) {
        used.add(subgraph.id);
        visit(subgraph.graph);
      }
    }
  };
  visit(document.root);
  return [...document.subgraphs.values()].filter((subgraph) => used.has(subgraph.id));
}

export function writeWorkflow(document: Document, catalogue: Catalogue): JsonObject {
  const lookup: Lookup = (type) => definitionOf(document, catalogue, type);
  const draft: Draft = { ...document.file };
  const isNew = !("nodes" in document.file);
  if (isNew || typeof draft["id"] === "string") draft["id"] = document.id;
  if (isNew) Object.assign(draft, { revision: 0, config: {}, version: 0.4, extra: draft["extra"] ?? {} });
  writeGraph(draft, document.root, lookup, number(draft["version"]) === 1 && !isArray(first(draft["links"])) ? "1" : "0.4");
  const subgraphs = usedSubgraphs(document);
  const definitions = isObject(document.file["definitions"]) ? document.file["definitions"] : null;
  if (subgraphs.length > 0 || definitions) {
    draft["definitions"] = { ...definitions, subgraphs: subgraphs.map((subgraph) => writeSubgraph(subgraph, lookup)) };
  }
  return draft;
}

const first = (value: Json | undefined): Json | undefined => (isArray(value) ? value[0] : undefined);
