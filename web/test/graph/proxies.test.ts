import { expect, test } from "vitest";
import { Editor } from "../../src/editor/editor";
import { type Json, type JsonObject } from "../../src/graph/json";
import { readProxies, withProxies } from "../../src/graph/proxies";
import { toPrompt } from "../../src/graph/prompt";
import { readWorkflow } from "../../src/graph/workflow";
import { catalogue } from "../catalogue";

const blur: JsonObject = { id: 5, type: "ImageBlur", pos: [0, 0], size: [200, 80], inputs: [{ name: "image", type: "IMAGE", link: null }], outputs: [{ name: "IMAGE", type: "IMAGE", links: null }], widgets_values: [4, 2] };
const file = (proxyWidgets: Json): JsonObject => ({
  version: 0.4,
  last_node_id: 2,
  nodes: [1, 2].map((id) => ({ id, type: "soft", pos: [0, 0], size: [200, 80], inputs: [], outputs: [], properties: { proxyWidgets }, widgets_values: [] })),
  links: [],
  definitions: { subgraphs: [{ id: "soft", version: 1, name: "Soft", inputs: [], outputs: [], nodes: [blur], links: [], groups: [] }] },
});
const open = (proxyWidgets: Json): Editor => new Editor(catalogue, readWorkflow(file(proxyWidgets), catalogue, () => "fresh"));
const instance = (editor: Editor) => {
  const node = editor.graph.nodes.get("1");
  if (!node) throw new Error("no instance");
  return node;
};

test("listed values of the inside stand on the instance, whether the list is text or not", () => {
  for (const list of [[["5", "sigma"]], '[["5","sigma"]]']) {
    const editor = open(list);
    expect(editor.layout(instance(editor)).widgets.map(({ entry }) => entry.name)).toEqual(["sigma"]);
    expect(editor.value(instance(editor), "proxy:5:sigma", 0)).toBe(2);
  }
});

test("a value that is set on one instance is that of every one", () => {
  const editor = open([["5", "sigma"]]);
  editor.setValue("1", "proxy:5:sigma", 9);
  const prompt = toPrompt(editor.document, catalogue);
  expect([prompt["1:5"]?.inputs["sigma"], prompt["2:5"]?.inputs["sigma"]]).toEqual([9, 9]);
  editor.undo();
  expect(editor.value(instance(editor), "proxy:5:sigma", 0)).toBe(2);
});

test("what is listed and is no value inside is left alone", () => {
  const editor = open([["-1", "seed"], ["5", "$$preview"], ["77", "gone"], ["5", "sigma"]]);
  expect(editor.entries(instance(editor)).map((entry) => entry.name)).toEqual(["sigma"]);
  const changed = withProxies(instance(editor), [...readProxies(instance(editor)), { node: "5", widget: "blur_radius" }]);
  expect(changed.properties["proxyWidgets"]).toEqual([["-1", "seed"], ["5", "$$preview"], ["77", "gone"], ["5", "sigma"], ["5", "blur_radius"]]);
});

test("a subgraph shows the pictures of the node inside that its file names, in either form", () => {
  for (const properties of [{ proxyWidgets: [["5", "$$canvas-image-preview"]] }, { previewExposures: [{ name: "a", sourceNodeId: "5", sourcePreviewName: "b" }] }]) {
    const listed = file([]);
    const nodes = (listed["nodes"] as JsonObject[]).map((node) => ({ ...node, properties }));
    const editor = new Editor(catalogue, readWorkflow({ ...listed, nodes }, catalogue, () => "fresh"));
    expect(editor.layout(instance(editor)).media).toBeNull();
    editor.run.output("1:5", { images: [{ filename: "a.png", subfolder: "", type: "temp" }] });
    expect(editor.mediaId(instance(editor))).toBe("1:5");
    expect(editor.layout(instance(editor)).media).not.toBeNull();
  }
});
