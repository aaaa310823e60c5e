import { describe, expect, test } from "vitest";
import { readDefinition, widgetEntries } from "../../src/graph/definitions";
import type { JsonObject } from "../../src/graph/json";
import { readValues } from "../../src/graph/values";
import { catalogue } from "../catalogue";

const definition = (type: string) => {
  const found = catalogue.get(type);
  if (!found) throw new Error(type);
  return found;
};
const values = (type: string, file: JsonObject) => readValues(definition(type), file);

describe("widget values of a file", () => {
  test("follow the order of the definition, seed control behind the seed", () => {
    expect(widgetEntries(definition("KSampler")).map((entry) => entry.name)).toEqual(["seed", "control_after_generate", "steps", "cfg", "sampler_name", "scheduler", "denoise"]);
    expect(values("KSampler", { widgets_values: [5, "fixed", 20, 7, "heun", "karras", 0.5] })).toEqual({ seed: 5, control_after_generate: "fixed", steps: 20, cfg: 7, sampler_name: "heun", scheduler: "karras", denoise: 0.5 });
  });

  test("have the caption of an upload button at the end of the required ones", () => {
    expect(values("LoadImage", { widgets_values: ["b.png", "image"] })).toEqual({ image: "b.png", upload: "image" });
  });

  test("are filled from the defaults where the list is short", () => {
    expect(values("KSampler", { widgets_values: [5] })["scheduler"]).toBe("normal");
  });

  test("skip the dummies that editors before 1.16 stored for forced inputs", () => {
    const forced = readDefinition("F", { input: { required: { a: ["INT", { forceInput: true }], b: ["INT", {}], c: ["STRING", { forceInput: true }], d: ["STRING", {}] } } });
    expect(readValues(forced, { widgets_values: [1, 2, "no", "yes"] })).toEqual({ b: 2, d: "yes" });
    expect(readValues(forced, { widgets_values: [2, "yes"] })).toEqual({ b: 2, d: "yes" });
  });

  test("are taken by name where names are stored", () => {
    expect(values("KSampler", { widgets_values: [1, 2, 3], widgets_values_named: { steps: 33 } })["steps"]).toBe(33);
    expect(values("KSampler", { widgets_values: { steps: 44 } })["steps"]).toBe(44);
  });

  test("keep a missing file and a null choice, which is how a missing model is recognised", () => {
    expect(values("CheckpointLoaderSimple", { widgets_values: ["gone.safetensors"] })["ckpt_name"]).toBe("gone.safetensors");
    expect(values("CheckpointLoaderSimple", { widgets_values: [null] })["ckpt_name"]).toBeNull();
  });
});
