import { describe, expect, test } from "vitest";
import { startDocument } from "../../src/app/start";
import type { Document } from "../../src/graph/document";
import { setValue } from "../../src/graph/edit";
import { formatJson, parseJson } from "../../src/graph/json";
import { type Prompt, toPrompt } from "../../src/graph/prompt";
import { writeWorkflow } from "../../src/graph/save";
import { pack, unpack } from "../../src/graph/subgraph";
import { readWorkflow } from "../../src/graph/workflow";
import { catalogue } from "../catalogue";

let counter = 0;
const freshId = (): string => `id-${++counter}`;

/** What a prompt computes, without the names of its nodes: the tree above each output node. */
function meaning(prompt: Prompt): unknown {
  const tree = (id: string): unknown => {
    const node = prompt[id];
    return node && [node.class_type, Object.entries(node.inputs).sort().map(([name, value]) => [name, Array.isArray(value) ? [tree(String(value[0])), value[1]] : value])];
  };
  return Object.keys(prompt).filter((id) => catalogue.get(prompt[id]?.class_type ?? "")?.isOutput).map(tree);
}
const idOf = (document: Document, type: string): string => [...document.root.nodes.values()].find((node) => node.type === type)?.id ?? "";

describe("a subgraph", () => {
  const document = startDocument(catalogue, "doc");
  const inside = new Set(["KSampler", "VAEDecode", "EmptyLatentImage"].map((type) => idOf(document, type)));

  test("made of some nodes computes what they computed, also after saving and loading", () => {
    const packed = pack(document, null, inside, "Sample", freshId);
    expect(packed.document.root.nodes.size).toBe(document.root.nodes.size - 2);
    expect(meaning(toPrompt(packed.document, catalogue))).toEqual(meaning(toPrompt(document, catalogue)));
    const again = readWorkflow(parseJson(formatJson(writeWorkflow(packed.document, catalogue))), catalogue, freshId);
    expect(meaning(toPrompt(again, catalogue))).toEqual(meaning(toPrompt(document, catalogue)));
  });

  test("taken apart again computes the same, with one link per link of before", () => {
    const packed = pack(document, null, inside, "Sample", freshId);
    const open = unpack(packed.document, null, packed.instance);
    if (!open) throw new Error("unpack");
    expect(open.ids.size).toBe(3);
    expect(open.document.root.links.size).toBe(document.root.links.size);
    expect(meaning(toPrompt(open.document, catalogue))).toEqual(meaning(toPrompt(document, catalogue)));
  });

  test("may lie in another one", () => {
    const first = pack(document, null, inside, "Sample", freshId);
    const second = pack(first.document, null, new Set([first.instance, idOf(document, "SaveImage")]), "All", freshId);
    expect(Object.keys(toPrompt(second.document, catalogue)).some((id) => id.split(":").length === 3)).toBe(true);
    expect(meaning(toPrompt(second.document, catalogue))).toEqual(meaning(toPrompt(document, catalogue)));
  });

  test("keeps what is changed inside it", () => {
    const packed = pack(document, null, inside, "Sample", freshId);
    const subgraph = [...packed.document.subgraphs.values()][0];
    if (!subgraph) throw new Error("subgraph");
    const graph = setValue(subgraph.graph, idOf(document, "KSampler"), "steps", 7);
    const changed = { ...packed.document, subgraphs: new Map([[subgraph.id, { ...subgraph, graph }]]) };
    expect(JSON.stringify(meaning(toPrompt(changed, catalogue)))).toContain('["steps",7]');
  });
});
