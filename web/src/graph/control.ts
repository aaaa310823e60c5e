/** What happens to controlled widgets after each queueing, so that the saved workflow holds the seed that made the image. */

import { type Catalogue, type ComboSpec, type NumberSpec, SEED_LIMIT, widgetEntries } from "./definitions";
import { type Document, type Graph, type GraphNode, wiring } from "./document";
import { definitionOf } from "./instances";
import type { Json } from "./json";

export type Random = () => number;

export function nextNumber(spec: NumberSpec, mode: Json | undefined, value: Json, random: Random): Json {
  const min = Math.max(spec.min, -SEED_LIMIT);
  const max = Math.min(spec.max, SEED_LIMIT);
  const step = spec.step > 0 ? spec.step : 1;
  const clamp = (n: number): number => Math.min(max, Math.max(min, n));
  switch (mode) {
    case "increment":
      return clamp(Number(value) + step);
    case "decrement":
      return clamp(Number(value) - step);
    case "randomize":
      return min + step * Math.floor((random() * (max - min)) / step);
    default:
      return value;
  }
}

function filtered(options: readonly Json[], filter: Json | undefined): readonly Json[] {
  if (typeof filter !== "string" || filter === "") return options;
  const pattern = /^\/(.+)\/([a-z]*)$/.exec(filter);
  try {
    if (pattern) {
      const regex = new RegExp(pattern[1] ?? "", pattern[2]);
      return options.filter((option) => regex.test(String(option)));
    }
  } catch {
    return options;
  }
  return options.filter((option) => String(option).toLowerCase().includes(filter.toLowerCase()));
}

export function nextOption(spec: ComboSpec, mode: Json | undefined, value: Json, filter: Json | undefined, random: Random): Json {
  const options = filtered(spec.options, filter);
  if (options.length === 0) return value;
  const at = options.indexOf(value);
  const pick = (i: number): Json => options[i] ?? value;
  switch (mode) {
    case "increment":
      return pick(Math.min(options.length - 1, at + 1));
    case "decrement":
      return pick(Math.max(0, at - 1));
    case "increment-wrap":
      return pick((at + 1) % options.length);
    case "randomize":
      return pick(Math.floor(random() * options.length));
    default:
      return value;
  }
}

function advanceNode(graph: Graph, node: GraphNode, document: Document, catalogue: Catalogue, random: Random): GraphNode {
  const definition = definitionOf(document, catalogue, node.type);
  if (!definition || !node.values) return node;
  if (node.type === "PrimitiveNode") return advancePrimitive(graph, node, document, catalogue, random);
  const entries = widgetEntries(definition);
  let values: Record<string, Json> | null = null;
  entries.forEach((entry, i) => {
    const companion = entries[i + 1];
    if (companion?.role !== "control" || (entry.spec.kind !== "number" && entry.spec.kind !== "combo")) return;
    const slot = node.inputs.findIndex((input) => input.name === entry.key);
    if (slot >= 0 && wiring(graph).into.get(node.id)?.has(slot)) return;
    const before = node.values?.[entry.key] ?? null;
    const mode = node.values?.[companion.key];
    const filter = entries[i + 2]?.role === "filter" ? node.values?.[entries[i + 2]?.key ?? ""] : undefined;
    const after = entry.spec.kind === "number" ? nextNumber(entry.spec, mode, before, random) : nextOption(entry.spec, mode, before, filter, random);
    if (after !== before) (values ??= { ...node.values })[entry.key] = after;
  });
  return values ? { ...node, values } : node;
}

/** A primitive's value moves by the rules of the first widget it feeds. */
function advancePrimitive(graph: Graph, node: GraphNode, document: Document, catalogue: Catalogue, random: Random): GraphNode {
  const link = wiring(graph).outOf.get(node.id)?.[0];
  const target = link ? graph.nodes.get(link.to) : undefined;
  const name = link ? target?.inputs[link.toSlot]?.name : undefined;
  const spec = target ? definitionOf(document, catalogue, target.type)?.inputs.find((input) => input.name === name)?.widget : null;
  if (!spec || !node.values) return node;
  const { value = null, control_after_generate: mode, control_filter_list: filter } = node.values;
  const after =
    spec.kind === "number" ? nextNumber(spec, mode, value, random) : spec.kind === "combo" ? nextOption(spec, mode, value, filter, random) : value;
  return after === value ? node : { ...node, values: { ...node.values, value: after } };
}

export function advance(document: Document, catalogue: Catalogue, random: Random): Document {
  const inGraph = (graph: Graph): Graph => {
    let nodes: Map<string, GraphNode> | null = null;
    for (const node of graph.nodes.values()) {
      const next = advanceNode(graph, node, document, catalogue, random);
      if (next !== node) (nodes ??= new Map(graph.nodes)).set(node.id, next);
    }
    return nodes ? { ...graph, nodes } : graph;
  };
  const subgraphs = new Map([...document.subgraphs].map(([id, sub]) => [id, { ...sub, graph: inGraph(sub.graph) }]));
  const changed = [...subgraphs].some(([id, sub]) => sub.graph !== document.subgraphs.get(id)?.graph);
  const root = inGraph(document.root);
  return root === document.root && !changed ? document : { ...document, root, subgraphs: changed ? subgraphs : document.subgraphs };
}
