import { expect, test } from "vitest";
import { leadIn, leadOut, removeSlot, renameSlot } from "../../src/graph/boundary";
import { type Document, wiring } from "../../src/graph/document";
import { definitionOf } from "../../src/graph/instances";
import { toPrompt } from "../../src/graph/prompt";
import { pack } from "../../src/graph/subgraph";
import { readWorkflow } from "../../src/graph/workflow";
import { catalogue } from "../catalogue";
import { textToImage } from "../workflows";

let count = 0;
const fresh = (): string => `id-${++count}`;

/** The sampler of the classic graph as a subgraph of its own. */
function packed(): { document: Document; id: string; instance: string; sampler: string } {
  const document = readWorkflow(textToImage, catalogue, fresh);
  const sampler = [...document.root.nodes.values()].find((node) => node.type === "KSampler")?.id ?? "";
  const made = pack(document, null, new Set([sampler]), "Sub", fresh);
  return { ...made, id: made.document.root.nodes.get(made.instance)?.type ?? "", sampler };
}
const definitions = (document: Document) => (type: string) => definitionOf(document, catalogue, type);

test("an exposed value appears on the instance, and what is set there reaches the node inside", () => {
  const { document, id, instance, sampler } = packed();
  const led = leadIn(document, id, document.subgraphs.get(id)?.inputs.length ?? 0, { node: sampler, input: "steps" }, definitions(document), fresh);
  if (!led.ok) throw new Error(led.reason.code);
  const widget = definitionOf(led.value, catalogue, id)?.inputs.find((input) => input.name === "steps")?.widget;
  expect(widget?.initial).toBe(document.subgraphs.get(id)?.graph.nodes.get(sampler)?.values?.["steps"]);
  const node = led.value.root.nodes.get(instance);
  if (!node) throw new Error("no instance");
  const set = { ...led.value, root: { ...led.value.root, nodes: new Map(led.value.root.nodes).set(instance, { ...node, values: { steps: 7 } }) } };
  expect(toPrompt(set, catalogue)[`${instance}:${sampler}`]?.inputs["steps"]).toBe(7);
});

test("types that do not fit are refused at the edge too", () => {
  const { document, id, sampler } = packed();
  const led = leadIn(document, id, 0, { node: sampler, input: "steps" }, definitions(document), fresh);
  expect(led.ok ? null : led.reason.code).toBe("types");
});

test("taking the first input away leaves the others connected to what they were", () => {
  const { document, id, instance } = packed();
  const names = document.subgraphs.get(id)?.inputs.map((slot) => slot.name) ?? [];
  const sources = (at: Document): string[] => {
    const node = at.root.nodes.get(instance);
    return [...(wiring(at.root).into.get(instance) ?? [])].map(([slot, link]) => `${node?.inputs[slot]?.name}<${link.from}/${link.fromSlot}`).sort();
  };
  const before = sources(document).filter((line) => !line.startsWith(`${names[0]}<`));
  const without = removeSlot(document, id, "input", 0);
  expect(sources(without)).toEqual(before);
  expect(without.subgraphs.get(id)?.inputs.map((slot) => slot.name)).toEqual(names.slice(1));
});

test("a second output leads out, and taking the first away keeps it", () => {
  const { document, id, sampler } = packed();
  const led = leadOut(document, id, { node: sampler, output: 0 }, 1, definitions(document), fresh);
  if (!led.ok) throw new Error(led.reason.code);
  const without = removeSlot(led.value, id, "output", 0);
  expect(without.subgraphs.get(id)?.outputs.length).toBe(1);
  expect([...(without.subgraphs.get(id)?.graph.links.values() ?? [])].filter((link) => link.to === "-20").map((link) => link.toSlot)).toEqual([0]);
});

test("a renamed slot keeps its identity", () => {
  const { document, id } = packed();
  const renamed = renameSlot(document, id, "input", 0, "which model");
  const slot = renamed.subgraphs.get(id)?.inputs[0];
  expect([slot?.name, slot?.label]).toEqual([document.subgraphs.get(id)?.inputs[0]?.name, "which model"]);
  expect(definitionOf(renamed, catalogue, id)?.inputs[0]?.label).toBe("which model");
});
