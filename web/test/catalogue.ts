/** A handful of node definitions in the shape of `GET /object_info`, enough to have every kind of widget. */

import { type Catalogue, readCatalogue } from "../src/graph/definitions";
import type { Json, JsonObject } from "../src/graph/json";

const node = (required: JsonObject, output: readonly Json[], more: JsonObject = {}): JsonObject => ({
  input: { required, ...(more["optional"] ? { optional: more["optional"] } : {}) },
  output,
  output_name: output.map(String),
  output_is_list: output.map(() => false),
  ...more,
});

const size = { default: 512, min: 16, max: 16384, step: 8 };

export const objectInfo: JsonObject = {
  CheckpointLoaderSimple: node({ ckpt_name: [["a.safetensors", "b.safetensors"]] }, ["MODEL", "CLIP", "VAE"], { display_name: "Load Checkpoint", category: "loaders" }),
  CLIPTextEncode: node({ text: ["STRING", { multiline: true, dynamicPrompts: true }], clip: ["CLIP"] }, ["CONDITIONING"], { display_name: "CLIP Text Encode (Prompt)", category: "conditioning" }),
  EmptyLatentImage: node({ width: ["INT", size], height: ["INT", size], batch_size: ["INT", { default: 1, min: 1, max: 64 }] }, ["LATENT"], { category: "latent" }),
  KSampler: node(
    {
      model: ["MODEL"],
      seed: ["INT", { default: 0, min: 0, max: 18446744073709551615, control_after_generate: true }],
      steps: ["INT", { default: 20, min: 1, max: 10000 }],
      cfg: ["FLOAT", { default: 8, min: 0, max: 100, step: 0.1, round: 0.01 }],
      sampler_name: [["euler", "heun", "dpmpp_2m"]],
      scheduler: [["normal", "karras"]],
      positive: ["CONDITIONING"],
      negative: ["CONDITIONING"],
      latent_image: ["LATENT"],
      denoise: ["FLOAT", { default: 1, min: 0, max: 1, step: 0.01 }],
    },
    ["LATENT"],
    { category: "sampling" },
  ),
  VAEDecode: node({ samples: ["LATENT"], vae: ["VAE"] }, ["IMAGE"], { display_name: "VAE Decode", category: "latent" }),
  VAEEncode: node({ pixels: ["IMAGE"], vae: ["VAE"] }, ["LATENT"], { display_name: "VAE Encode", category: "latent" }),
  SaveImage: node({ images: ["IMAGE"], filename_prefix: ["STRING", { default: "ComfyUI" }] }, [], { display_name: "Save Image", category: "image", output_node: true }),
  PreviewImage: node({ images: ["IMAGE"] }, [], { display_name: "Preview Image", category: "image", output_node: true }),
  LoadImage: node({ image: [["example.png", "b.png"], { image_upload: true }] }, ["IMAGE", "MASK"], { display_name: "Load Image", category: "image" }),
  ImageScale: node(
    { image: ["IMAGE"], upscale_method: [["nearest-exact", "lanczos"]], width: ["INT", size], height: ["INT", size], crop: [["disabled", "center"]] },
    ["IMAGE"],
    { display_name: "Upscale Image", category: "image/upscaling" },
  ),
  ImageInvert: node({ image: ["IMAGE"] }, ["IMAGE"], { display_name: "Invert Image", category: "image" }),
  ImageBlur: node({ image: ["IMAGE"], blur_radius: ["INT", { default: 1, min: 1, max: 31 }], sigma: ["FLOAT", { default: 1, min: 0.1, max: 10, step: 0.1 }] }, ["IMAGE"], { category: "image" }),
  EmptyImage: node({ width: ["INT", size], height: ["INT", size], batch_size: ["INT", { default: 1, min: 1 }], color: ["INT", { default: 0, min: 0, max: 0xffffff, display: "color" }] }, ["IMAGE"], { category: "image" }),
  PrimitiveInt: node({ value: ["INT", { default: 0, control_after_generate: true }] }, ["INT"], { display_name: "Int", category: "utils" }),
  Switch: node({ on: ["BOOLEAN", { default: true }], any: ["*"] }, ["*"], { optional: { other: ["*"] }, category: "utils" }),
  Multi: node({ tags: ["COMBO", { multiselect: true, options: ["k", "l"], default: ["k"] }] }, ["STRING"]),
};

export const catalogue: Catalogue = readCatalogue(objectInfo);
