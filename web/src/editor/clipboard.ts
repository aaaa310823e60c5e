/** Nodes on the clipboard, in the form other editors of these files write and read. */

import type { Catalogue } from "../graph/definitions";
import { type Document, type Graph, type GraphNode, type Link, type LinkId, type NodeId, type Point, emptyGraph } from "../graph/document";
import { type Json, type JsonObject, formatJson, isArray, isObject, parseJson } from "../graph/json";
import { writeWorkflow } from "../graph/save";
import { isWorkflow, readWorkflow } from "../graph/workflow";

/** The chosen nodes with the links between them, and those into them from outside for "paste with connections". */
export function copyNodes(document: Document, graph: Graph, ids: ReadonlySet<NodeId>, groups: ReadonlySet<number>, catalogue: Catalogue): JsonObject {
  const nodes = new Map([...graph.nodes].filter(([id]) => ids.has(id)));
  const inner = new Map([...graph.links].filter(([, link]) => ids.has(link.from) && ids.has(link.to)));
  const outside = [...graph.links.values()].filter((link) => !ids.has(link.from) && ids.has(link.to));
  const part: Document = { ...document, root: { ...emptyGraph, nodes, links: inner, groups: graph.groups.filter((_, i) => groups.has(i)) }, file: {} };
  const written = writeWorkflow(part, catalogue);
  const form = (link: Link): JsonObject => ({ id: link.id, origin_id: idOf(link.from), origin_slot: link.fromSlot, target_id: idOf(link.to), target_slot: link.toSlot, type: link.type });
  const definitions = isObject(written["definitions"]) ? written["definitions"] : {};
  return {
    nodes: written["nodes"],
    groups: written["groups"],
    reroutes: [],
    links: [...[...inner.values()].map(form), ...outside.map(form)],
    subgraphs: definitions["subgraphs"] ?? [],
  };
}

const idOf = (id: NodeId): Json => (/^-?\d+$/.test(id) ? Number(id) : id);

/** The clipboard object in HTML, as it crosses tabs, editors and machines. */
export function toHtml(clip: JsonObject): string {
  const bytes = new TextEncoder().encode(formatJson(clip));
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return `<meta charset="utf-8"><div><span data-metadata="${btoa(binary)}" data-comfy-metadata="${btoa(binary)}"></span></div>`;
}

/** A clipboard object from HTML or plain text; null when it is neither. */
export function fromClipboard(html: string, plain: string): JsonObject | null {
  const encoded = /data-(?:comfy-)?metadata="([A-Za-z0-9+/=]+)"/.exec(html)?.[1];
  try {
    const source = encoded ? new TextDecoder().decode(Uint8Array.from(atob(encoded), (char) => char.charCodeAt(0))) : plain.trim();
    if (!source.startsWith("{")) return null;
    const value = parseJson(source);
    return isWorkflow(value) ? value : null;
  } catch {
    return null;
  }
}

/**
 * The graph with the clip's nodes added under fresh ids, their top left corner at `at`. With `connected`, links from
 * nodes that are still there are made again.
 */
export function paste(document: Document, graph: Graph, clip: JsonObject, at: Point | null, connected: boolean, catalogue: Catalogue): { graph: Graph; subgraphs: Document["subgraphs"]; ids: ReadonlySet<NodeId> } {
  const raw = isArray(clip["links"]) ? clip["links"] : [];
  const source = readWorkflow({ version: 1, nodes: clip["nodes"], links: raw, groups: clip["groups"], definitions: { subgraphs: clip["subgraphs"] ?? (isObject(clip["definitions"]) ? clip["definitions"]["subgraphs"] : undefined) ?? [] } }, catalogue, () => "clip");
  const incoming = [...source.root.nodes.values()];
  const left = Math.min(...incoming.map((node) => node.pos[0]));
  const top = Math.min(...incoming.map((node) => node.pos[1]));
  const shift: Point = at ? [at[0] - left, at[1] - top] : [24, 24];
  const renamed = new Map<NodeId, NodeId>();
  const nodes = new Map(graph.nodes);
  let last = graph.lastNode;
  for (const node of incoming) {
    const id = String(++last);
    renamed.set(node.id, id);
    const copy: GraphNode = { ...node, id, pos: [Math.round(node.pos[0] + shift[0]), Math.round(node.pos[1] + shift[1])], file: withoutOrder(node.file) };
    nodes.set(id, copy);
  }
  const links = new Map(graph.links);
  let lastLink = graph.lastLink;
  const add = (link: Omit<Link, "id" | "reroute" | "file">): void => {
    const id: LinkId = ++lastLink;
    links.set(id, { ...link, id, reroute: null, file: null });
  };
  for (const link of source.root.links.values()) {
    const [from, to] = [renamed.get(link.from), renamed.get(link.to)];
    if (from !== undefined && to !== undefined) add({ from, fromSlot: link.fromSlot, to, toSlot: link.toSlot, type: link.type });
  }
  if (connected) {
    for (const entry of raw) {
      if (!isObject(entry) || renamed.has(String(entry["origin_id"]))) continue;
      const [from, to] = [String(entry["origin_id"]), renamed.get(String(entry["target_id"]))];
      if (to !== undefined && graph.nodes.has(from)) add({ from, fromSlot: Number(entry["origin_slot"]), to, toSlot: Number(entry["target_slot"]), type: String(entry["type"]) });
    }
  }
  const groups = [...graph.groups, ...source.root.groups.map((group) => ({ ...group, bounds: [group.bounds[0] + shift[0], group.bounds[1] + shift[1], group.bounds[2], group.bounds[3]] as const }))];
  const subgraphs = new Map([...source.subgraphs, ...document.subgraphs]);
  return { graph: { ...graph, nodes, links, groups, lastNode: last, lastLink }, subgraphs, ids: new Set(renamed.values()) };
}

function withoutOrder(file: JsonObject): JsonObject {
  const { order: _order, ...rest } = file;
  return rest;
}
