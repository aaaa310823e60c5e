import { expect, test } from "vitest";
import { startDocument } from "../../src/app/start";
import { setValue } from "../../src/graph/edit";
import { Histories } from "../../src/graph/history";
import { toPrompt } from "../../src/graph/prompt";
import { catalogue } from "../catalogue";

test("a new seed makes only what depends on it new", () => {
  const document = startDocument(catalogue, "doc");
  const sampler = [...document.root.nodes.values()].find((node) => node.type === "KSampler")?.id ?? "";
  const histories = new Histories();
  const before = new Set(histories.of(toPrompt(document, catalogue)).values());
  const after = histories.of(toPrompt({ ...document, root: setValue(document.root, sampler, "seed", 5) }, catalogue));
  const anew = [...after].filter(([, number]) => !before.has(number)).map(([id]) => document.root.nodes.get(id)?.type);
  expect(anew.sort()).toEqual(["KSampler", "SaveImage", "VAEDecode"]);
});

test("two nodes made the same way share a history, a circle has an end", () => {
  const histories = new Histories();
  const node = (inputs: Record<string, never>) => ({ class_type: "A", inputs, _meta: { title: "" } });
  expect(new Set(histories.of({ 1: node({}), 2: node({}) }).values()).size).toBe(1);
  const circle = { 1: { ...node({}), inputs: { x: ["2", 0] } }, 2: { ...node({}), inputs: { x: ["1", 0] } } };
  expect(histories.of(circle).size).toBe(2);
});
