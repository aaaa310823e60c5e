import { describe, expect, test } from "vitest";
import { setMode, setValue } from "../../src/graph/edit";
import { fromPrompt } from "../../src/graph/from-prompt";
import type { JsonObject } from "../../src/graph/json";
import { toPrompt } from "../../src/graph/prompt";
import { formatDate, pickAlternatives } from "../../src/graph/rewrite";
import { readWorkflow } from "../../src/graph/workflow";
import { catalogue } from "../catalogue";
import { textToImage } from "../workflows";

const read = (file: JsonObject) => readWorkflow(file, catalogue, () => "fresh");

interface Draft {
  type: string;
  in?: Record<string, [number, number, string]>;
  out?: string[];
  values?: unknown;
  mode?: number;
}

/** A file from a short form: inputs name their source as [node, slot, type]. Nodes are numbered from 1. */
function file(drafts: Draft[], more: JsonObject = {}, special: { from?: [number, number][]; to?: [number, number][] } = {}): JsonObject {
  let id = 0;
  const links: unknown[] = [];
  const nodes = drafts.map((draft, i) => ({
    id: i + 1,
    type: draft.type,
    mode: draft.mode ?? 0,
    inputs: Object.entries(draft.in ?? {}).map(([name, [from, slot, type]], toSlot) => {
      links.push({ id: ++id, origin_id: from, origin_slot: slot, target_id: i + 1, target_slot: toSlot, type });
      const widget = catalogue.get(draft.type)?.inputs.find((input) => input.name === name)?.widget;
      return { name, type, link: id, ...(widget ? { widget: { name } } : {}) };
    }),
    outputs: (draft.out ?? catalogue.get(draft.type)?.outputs.map((output) => output.type) ?? []).map((type) => ({ name: type, type })),
    widgets_values: draft.values,
  }));
  for (const [from, slot] of special.to ?? []) links.push({ id: ++id, origin_id: from, origin_slot: slot, target_id: -20, target_slot: 0, type: "IMAGE" });
  return { nodes, links, version: 1, ...more } as unknown as JsonObject;
}
const image: [number, number, string] = [1, 0, "IMAGE"];

describe("the prompt", () => {
  test("holds widget values by name, links over them, and no seed control", () => {
    const prompt = toPrompt(read(textToImage), catalogue, { random: () => 0 });
    expect(prompt["3"]).toEqual({
      class_type: "KSampler",
      inputs: { seed: 156680208700286, steps: 20, cfg: 8, sampler_name: "euler", scheduler: "normal", denoise: 1, model: ["4", 0], positive: ["6", 0], negative: ["7", 0], latent_image: ["5", 0] },
      _meta: { title: "KSampler" },
    });
    expect(prompt["6"]).toMatchObject({ inputs: { text: "a red house" }, _meta: { title: "Positive" } });
  });

  test("leaves out a bypassed node without a fitting input, and a muted one", () => {
    const prompt = toPrompt(read(textToImage), catalogue);
    expect(Object.keys(prompt).sort()).toEqual(["3", "4", "5", "6", "7"]);
  });

  test("passes through a bypassed node by type, through chains", () => {
    const source = file([{ type: "LoadImage", values: ["b.png", "image"] }, { type: "ImageInvert", in: { image }, mode: 4 }, { type: "ImageBlur", in: { image: [2, 0, "IMAGE"] }, mode: 4 }, { type: "PreviewImage", in: { images: [3, 0, "IMAGE"] } }]);
    expect(toPrompt(read(source), catalogue)["4"]?.inputs).toEqual({ images: ["1", 0] });
    const document = read(source);
    const muted = { ...document, root: setMode(document.root, ["2"], 2) };
    expect(toPrompt(muted, catalogue)["4"]?.inputs).toEqual({});
  });

  test("resolves Reroute nodes and drops notes", () => {
    const source = file([{ type: "LoadImage" }, { type: "Reroute", in: { "": [1, 0, "*"] }, out: ["IMAGE"] }, { type: "PreviewImage", in: { images: [2, 0, "IMAGE"] } }, { type: "Note", values: ["hello"] }]);
    const prompt = toPrompt(read(source), catalogue);
    expect(Object.keys(prompt)).toEqual(["1", "3"]);
    expect(prompt["3"]?.inputs).toEqual({ images: ["1", 0] });
  });

  test("puts a primitive's value in place of its target's", () => {
    const source = file([{ type: "PrimitiveNode", out: ["INT"], values: [77, "fixed"] }, { type: "EmptyLatentImage", in: { width: [1, 0, "INT"] }, values: [1, 2, 3] }]);
    expect(toPrompt(read(source), catalogue)).toEqual({ 2: { class_type: "EmptyLatentImage", inputs: { width: 77, height: 2, batch_size: 3 }, _meta: { title: "EmptyLatentImage" } } });
  });

  test("survives a cycle", () => {
    const source = file([{ type: "Reroute", in: { "": [2, 0, "*"] }, out: ["*"] }, { type: "Reroute", in: { "": [1, 0, "*"] }, out: ["*"] }, { type: "PreviewImage", in: { images: [1, 0, "IMAGE"] } }]);
    expect(toPrompt(read(source), catalogue)["3"]?.inputs).toEqual({});
  });

  test("wraps an array value, which would read as a link", () => {
    expect(toPrompt(read(file([{ type: "Multi", values: [["k", "l"]] }])), catalogue)["1"]?.inputs).toEqual({ tags: { __value__: ["k", "l"] } });
  });

  test("flattens subgraphs: joined ids, links through both ends, values of the instance before those inside", () => {
    const inner = {
      ...file([{ type: "ImageBlur", in: { image: [-10, 0, "IMAGE"], sigma: [-10, 1, "FLOAT"] }, values: [3, 1] }], {}, { to: [[1, 0]] }),
      id: "sub", name: "Soften", inputs: [{ name: "image", type: "IMAGE" }, { name: "sigma", type: "FLOAT" }], outputs: [{ name: "IMAGE", type: "IMAGE" }],
    } as unknown as JsonObject;
    const source = file([{ type: "LoadImage", values: ["b.png", "image"] }, { type: "sub", in: { image }, out: ["IMAGE"], values: [2.5] }, { type: "PreviewImage", in: { images: [2, 0, "IMAGE"] } }], { definitions: { subgraphs: [inner] } });
    const prompt = toPrompt(read(source), catalogue);
    expect(Object.keys(prompt).sort()).toEqual(["1", "2:1", "3"]);
    expect(prompt["2:1"]?.inputs).toEqual({ blur_radius: 3, sigma: 2.5, image: ["1", 0] });
    expect(prompt["3"]?.inputs).toEqual({ images: ["2:1", 0] });
    const document = read(source);
    expect(toPrompt({ ...document, root: setValue(document.root, "2", "sigma", 4) }, catalogue)["2:1"]?.inputs["sigma"]).toBe(4);
    expect(toPrompt({ ...document, root: setMode(document.root, ["2"], 4) }, catalogue)["3"]?.inputs).toEqual({ images: ["1", 0] });
    expect(Object.keys(toPrompt({ ...document, root: setMode(document.root, ["2"], 2) }, catalogue))).toEqual(["1", "3"]);
  });

  test("becomes a graph and the same prompt again", () => {
    const prompt = toPrompt(read(textToImage), catalogue, { random: () => 0 });
    const document = fromPrompt(prompt as unknown as JsonObject, catalogue, "x");
    expect(toPrompt(document, catalogue)).toEqual(prompt);
    const places = new Set([...document.root.nodes.values()].map((node) => node.pos.join()));
    expect(places.size).toBe(document.root.nodes.size);
  });
});

describe("text on its way to the prompt", () => {
  test("picks one alternative, nested ones too, and drops comments", () => {
    expect(pickAlternatives("a {x|y|{p|q}} // no\n/* never */b", () => 0.99)).toBe("a q \nb");
    expect(pickAlternatives("\\{kept\\} {open", () => 0)).toBe("{kept} {open");
  });

  test("writes the date in a file name", () => {
    expect(formatDate("yyyy-MM-dd_hhmmss", new Date(2026, 0, 2, 3, 4, 5))).toBe("2026-01-02_030405");
  });
});
