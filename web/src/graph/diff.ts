/** What two states of a workflow differ in, node by node. Places on the canvas do not count. */

import { BYPASSED, type Document, type Graph, type GraphNode, type GraphRef, MUTED, type NodeId, wiring } from "./document";
import { type Json, formatJson, sameJson } from "./json";

export interface ValueChange {
  /** A value's name, "title", "mode", or an input whose source changed. */
  readonly what: string;
  readonly before: string;
  readonly after: string;
}

export interface Difference {
  /** The graph it is in: null for the root, else the subgraph. */
  readonly ref: GraphRef;
  readonly node: NodeId;
  readonly kind: "added" | "removed" | "changed";
  /** As it is, or as it was if it is gone. */
  readonly shown: GraphNode;
  readonly changes: readonly ValueChange[];
}

export function differences(before: Document, after: Document): readonly Difference[] {
  const refs = new Set<GraphRef>([null, ...before.subgraphs.keys(), ...after.subgraphs.keys()]);
  return [...refs].flatMap((ref) => inGraph(ref, graphOf(before, ref), graphOf(after, ref)));
}

const graphOf = (document: Document, ref: GraphRef): Graph | undefined => (ref === null ? document.root : document.subgraphs.get(ref)?.graph);

function inGraph(ref: GraphRef, before: Graph | undefined, after: Graph | undefined): readonly Difference[] {
  if (before === after) return [];
  const found: Difference[] = [];
  for (const node of after?.nodes.values() ?? []) {
    const old = before?.nodes.get(node.id);
    if (!before || !old || old.type !== node.type) found.push({ ref, node: node.id, kind: "added", shown: node, changes: [] });
    else if (after) {
      const changes = changesOf(old, node, before, after);
      if (changes.length > 0) found.push({ ref, node: node.id, kind: "changed", shown: node, changes });
    }
  }
  for (const node of before?.nodes.values() ?? []) {
    const now = after?.nodes.get(node.id);
    if (!now || now.type !== node.type) found.push({ ref, node: node.id, kind: "removed", shown: node, changes: [] });
  }
  return found;
}

const written = (value: Json | undefined): string => (value === undefined || value === null ? "" : typeof value === "object" ? formatJson(value) : String(value));
const modeName = (node: GraphNode): string => (node.mode === MUTED ? "muted" : node.mode === BYPASSED ? "bypassed" : "on");

function changesOf(old: GraphNode, node: GraphNode, before: Graph, after: Graph): readonly ValueChange[] {
  const changes: ValueChange[] = [];
  const note = (what: string, was: string, is: string): void => {
    if (was !== is) changes.push({ what, before: was, after: is });
  };
  note("title", old.title ?? "", node.title ?? "");
  note("mode", modeName(old), modeName(node));
  for (const key of new Set([...Object.keys(old.values ?? {}), ...Object.keys(node.values ?? {})])) {
    const [was, is] = [old.values?.[key], node.values?.[key]];
    if (!sameJson(was, is)) note(key, written(was), written(is));
  }
  const sources = sourcesOf(after, node);
  const oldSources = sourcesOf(before, old);
  for (const name of new Set([...sources.keys(), ...oldSources.keys()])) note(name, oldSources.get(name) ?? "", sources.get(name) ?? "");
  return changes;
}

/** Each connected input with the node and output it comes from. */
function sourcesOf(graph: Graph, node: GraphNode): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const [slot, link] of wiring(graph).into.get(node.id) ?? []) {
    const name = node.inputs[slot]?.name;
    const source = graph.nodes.get(link.from);
    if (name !== undefined) found.set(name, `#${link.from} ${source?.outputs[link.fromSlot]?.name ?? ""}`.trim());
  }
  return found;
}
