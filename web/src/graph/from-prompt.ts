/** API prompt to document: an image may carry only that. Positions are made up. */

import { type Catalogue, readDefinition } from "./definitions";
import { type Document, type Graph, type GraphNode, type NodeId, emptyDocument } from "./document";
import { newNode } from "./create";
import { changeNodes, connect } from "./edit";
import { type Json, type JsonObject, isArray, isObject, text } from "./json";
import { arrange } from "./layout";

/** What can be known of a missing node from how it is used. */
function guessed(type: string, inputs: JsonObject): ReturnType<typeof readDefinition> {
  const required = Object.fromEntries(Object.entries(inputs).filter(([, value]) => isArray(value)).map(([name]) => [name, ["*"] as Json]));
  return readDefinition(type, { input: { required } });
}

export function fromPrompt(prompt: JsonObject, catalogue: Catalogue, id: string): Document {
  const nodes = new Map<NodeId, GraphNode>();
  // Ids of nodes inside subgraphs ("12:3") have no place in a flat graph of numbers.
  const ids = new Map<string, NodeId>();
  let free = Math.max(0, ...Object.keys(prompt).filter((key) => /^\d+$/.test(key)).map(Number));
  for (const key of Object.keys(prompt)) ids.set(key, /^\d+$/.test(key) ? key : String(++free));
  for (const [key, entry] of Object.entries(prompt)) {
    const type = isObject(entry) ? text(entry["class_type"]) : null;
    const nodeId = ids.get(key);
    if (!isObject(entry) || type === null || nodeId === undefined) continue;
    const inputs = isObject(entry["inputs"]) ? entry["inputs"] : {};
    const definition = catalogue.get(type);
    const values: Record<string, Json> = {};
    for (const [name, value] of Object.entries(inputs)) {
      const wrapped = isObject(value) && isArray(value["__value__"]) ? value["__value__"] : value;
      if (wrapped !== undefined && !isArray(value)) values[name] = wrapped;
    }
    const node = newNode(nodeId, definition ?? guessed(type, inputs), [0, 0], values);
    const title = isObject(entry["_meta"]) ? text(entry["_meta"]["title"]) : null;
    const named = title !== null && title !== definition?.title ? { ...node, title } : node;
    nodes.set(nodeId, definition ? named : { ...named, values: null, file: { widgets_values: values } });
  }
  let graph: Graph = { nodes, links: new Map(), groups: [], reroutes: new Map(), lastNode: free, lastLink: 0 };
  for (const [key, entry] of Object.entries(prompt)) {
    const inputs = isObject(entry) && isObject(entry["inputs"]) ? entry["inputs"] : {};
    for (const [name, value] of Object.entries(inputs)) {
      if (!isArray(value) || value.length !== 2) continue;
      const from = ids.get(String(value[0]));
      const to = ids.get(key);
      const output = Number(value[1]);
      if (from === undefined || to === undefined || !Number.isInteger(output)) continue;
      graph = withOutput(graph, from, output, catalogue);
      const made = connect(graph, { node: from, output }, { node: to, input: name }, (type) => catalogue.get(type));
      if (made.ok) graph = made.value;
    }
  }
  const places = arrange(graph);
  graph = changeNodes(graph, places.keys(), (node) => ({ ...node, pos: places.get(node.id) ?? node.pos }));
  return { ...emptyDocument(id), root: graph };
}

/** A missing node's outputs are known only from who uses them. */
function withOutput(graph: Graph, id: NodeId, output: number, catalogue: Catalogue): Graph {
  const node = graph.nodes.get(id);
  if (!node || catalogue.has(node.type) || node.outputs.length > output) return graph;
  const more = Array.from({ length: output + 1 - node.outputs.length }, (_, i) => ({ name: String(node.outputs.length + i), type: "*" }));
  return changeNodes(graph, [id], () => ({ ...node, outputs: [...node.outputs, ...more] }));
}
