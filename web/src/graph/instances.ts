/** Definitions of subgraph instances, derived from what lies inside. */

import { type Catalogue, type InputDefinition, type NodeDefinition, type WidgetSpec } from "./definitions";
import { type Document, SUBGRAPH_IN, type Subgraph } from "./document";
import { text } from "./json";

const derived = new WeakMap<Subgraph, { catalogue: Catalogue; definition: NodeDefinition }>();

/** The server's definition of a type, or the one its subgraph makes. */
export function definitionOf(document: Document, catalogue: Catalogue, type: string): NodeDefinition | undefined {
  const subgraph = document.subgraphs.get(type);
  if (!subgraph) return catalogue.get(type);
  const known = derived.get(subgraph);
  if (known && known.catalogue === catalogue) return known.definition;
  const definition: NodeDefinition = {
    type,
    title: subgraph.name,
    category: text(subgraph.file["category"]) ?? "subgraphs",
    description: text(subgraph.file["description"]) ?? "",
    pack: "",
    inputs: subgraph.inputs.map((slot, i): InputDefinition => ({
      name: slot.name,
      type: slot.type,
      optional: true,
      advanced: false,
      tooltip: "",
      label: slot.label ?? slot.name,
      widget: promoted(document, catalogue, subgraph, i),
    })),
    outputs: subgraph.outputs.map((slot) => ({ name: slot.label ?? slot.name, type: slot.type, list: false, tooltip: "" })),
    isOutput: false,
    deprecated: false,
    experimental: false,
    aliases: [],
    virtual: false,
    instance: true,
  };
  derived.set(subgraph, { catalogue, definition });
  return definition;
}

/** The widget that a boundary input leads to, with the inner node's own value as its default. */
function promoted(document: Document, catalogue: Catalogue, subgraph: Subgraph, slot: number): WidgetSpec | null {
  for (const link of subgraph.graph.links.values()) {
    if (link.from !== SUBGRAPH_IN || link.fromSlot !== slot) continue;
    const target = subgraph.graph.nodes.get(link.to);
    const name = target?.inputs[link.toSlot]?.widget;
    // A definition that contains itself cannot run; refusing to look inside keeps this finite.
    if (!target || name === undefined || target.type === subgraph.id) continue;
    const spec = definitionOf(document, catalogue, target.type)?.inputs.find((input) => input.name === name)?.widget;
    if (!spec) continue;
    const initial = target.values?.[name] ?? spec.initial;
    return "control" in spec ? { ...spec, initial, control: null } : { ...spec, initial };
  }
  return null;
}
