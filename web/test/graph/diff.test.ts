import { expect, test } from "vitest";
import { textToImage } from "../../src/app/start";
import { differences } from "../../src/graph/diff";
import { type Document, emptyDocument, emptyGraph } from "../../src/graph/document";
import { moveNodes, removeLinks, removeNodes, setMode, setValue } from "../../src/graph/edit";
import { catalogue } from "../catalogue";

const before: Document = { ...emptyDocument("a"), root: textToImage(catalogue) ?? emptyGraph };
const after = (change: (graph: typeof before.root) => typeof before.root): Document => ({ ...before, root: change(before.root) });
const idOf = (type: string): string => [...before.root.nodes.values()].find((node) => node.type === type)?.id ?? "";

test("a document does not differ from itself, nor from one that was only moved about", () => {
  expect(differences(before, before)).toEqual([]);
  expect(differences(before, after((graph) => moveNodes(graph, graph.nodes.keys(), 10, 10)))).toEqual([]);
});

test("values, modes and sources that changed are named with what they were", () => {
  const sampler = idOf("KSampler");
  const changed = differences(before, after((graph) => setMode(setValue(graph, sampler, "steps", 7), [idOf("SaveImage")], 2)));
  expect(changed.map(({ node, kind, changes }) => [node, kind, changes])).toEqual([
    [sampler, "changed", [{ what: "steps", before: "20", after: "7" }]],
    [idOf("SaveImage"), "changed", [{ what: "mode", before: "on", after: "muted" }]],
  ]);
});

test("a cut link is a change of the input, a removed node is gone with what it was", () => {
  const [link] = before.root.links.values();
  const cut = differences(before, after((graph) => removeLinks(graph, new Set([link?.id ?? 0]))));
  expect(cut.map(({ kind, changes }) => [kind, changes.map(({ after: is }) => is)])).toEqual([["changed", [""]]]);
  const gone = differences(before, after((graph) => removeNodes(graph, new Set([idOf("SaveImage")]))));
  expect(gone.map(({ kind, shown }) => [kind, shown.type])).toEqual([["removed", "SaveImage"]]);
  expect(differences(after((graph) => removeNodes(graph, new Set([idOf("SaveImage")]))), before).map(({ kind }) => kind)).toEqual(["added"]);
});
