import { expect, test } from "vitest";
import { fromParameters, readParameters } from "../../src/app/parameters";
import { catalogue } from "../catalogue";

const TEXT = `a house, (red:1.2)
with a garden
Negative prompt: blurry
Steps: 25, Sampler: DPM++ 2M Karras, CFG scale: 6.5, Seed: 42, Size: 640x448, Model hash: abc, Model: b, Lora hashes: "x: 1, y: 2", Version: v1.9`;

test("the text is taken apart, quoted values whole", () => {
  const read = readParameters(TEXT);
  expect([read?.positive, read?.negative]).toEqual(["a house, (red:1.2)\nwith a garden", "blurry"]);
  expect(Object.fromEntries(read?.settings ?? [])).toMatchObject({ Steps: "25", Sampler: "DPM++ 2M Karras", Size: "640x448", Model: "b", "Lora hashes": "x: 1, y: 2" });
  expect(readParameters("just words")).toBeNull();
});

test("the graph makes such a picture", () => {
  const document = fromParameters(TEXT, catalogue, "id");
  const values = Object.fromEntries([...(document?.root.nodes.values() ?? [])].map((node) => [node.title ?? node.type, node.values]));
  expect(values["KSampler"]).toMatchObject({ seed: 42, control_after_generate: "fixed", steps: 25, cfg: 6.5, sampler_name: "dpmpp_2m", scheduler: "karras" });
  expect(values["EmptyLatentImage"]).toMatchObject({ width: 640, height: 448 });
  expect(values["CheckpointLoaderSimple"]).toEqual({ ckpt_name: "b.safetensors" });
  expect(values["Positive prompt"]).toEqual({ text: "a house, (red:1.2)\nwith a garden" });
});
