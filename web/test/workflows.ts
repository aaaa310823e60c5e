/** A file with the quirks of several editor versions at once: object points, digits in quotes, unknown keys, a missing node. */

import type { JsonObject } from "../src/graph/json";

export const textToImage: JsonObject = {
  id: "2c5c4a0e-7b0f-4e57-a3a4-1f5d1f6f0001",
  revision: 0,
  last_node_id: 9,
  last_link_id: 9,
  nodes: [
    { id: 4, type: "CheckpointLoaderSimple", pos: [26, 474], size: [315, 98], flags: {}, order: 0, mode: 0, inputs: [], outputs: [{ name: "MODEL", type: "MODEL", slot_index: 0, links: [1] }, { name: "CLIP", type: "CLIP", slot_index: 1, links: [3, 5] }, { name: "VAE", type: "VAE", slot_index: 2, links: [8] }], properties: { "Node name for S&R": "CheckpointLoaderSimple", models: [{ name: "a.safetensors", url: "u", directory: "checkpoints" }] }, widgets_values: ["a.safetensors"] },
    { id: 5, type: "EmptyLatentImage", pos: [473, 609], size: [315, 106], flags: { collapsed: true }, order: 1, mode: 0, outputs: [{ name: "LATENT", type: "LATENT", links: [2] }], properties: {}, widgets_values: [512, 512, 1] },
    { id: 6, type: "CLIPTextEncode", pos: { 0: 415, 1: 186 }, size: { 0: 422.84, 1: 164.31 }, flags: {}, order: 2, mode: 0, inputs: [{ name: "clip", type: "CLIP", link: 3 }], outputs: [{ name: "CONDITIONING", type: "CONDITIONING", links: [4] }], title: "Positive", properties: {}, widgets_values: ["a {red|blue} house"] },
    { id: 7, type: "CLIPTextEncode", pos: [413, 389], size: [425, 180], flags: {}, order: 3, mode: 0, inputs: [{ name: "clip", type: "CLIP", link: 5, localized_name: "clip" }], outputs: [{ name: "CONDITIONING", type: "CONDITIONING", links: [6] }], properties: {}, widgets_values: ["text"], color: "#322", bgcolor: "#533", shape: 1, a_pack: { deep: [1, { x: null }] } },
    { id: 3, type: "KSampler", pos: [863, 186], size: [315, 262], flags: {}, order: 4, mode: 0, inputs: [{ name: "model", type: "MODEL", link: 1 }, { name: "positive", type: "CONDITIONING", link: 4 }, { name: "negative", type: "CONDITIONING", link: 6 }, { name: "latent_image", type: "LATENT", link: 2 }], outputs: [{ name: "LATENT", type: "LATENT", links: [7] }], properties: {}, widgets_values: [156680208700286, true, 20, 8, "euler", "normal", 1, "surplus"] },
    { id: 8, type: "VAEDecode", pos: [1209, 188], size: [210, 46], flags: {}, order: 5, mode: 4, inputs: [{ name: "samples", type: "LATENT", link: 7 }, { name: "vae", type: "VAE", link: 8 }], outputs: [{ name: "IMAGE", type: "IMAGE", links: [9] }], properties: {} },
    { id: 9, type: "MysteryNode", pos: [1451, 189], size: [210, 58], flags: {}, order: 6, mode: 2, inputs: [{ name: "images", type: "IMAGE", link: 9, pos: [1, 2] }], outputs: [], properties: { cnr_id: "some-pack" }, widgets_values: { steps: 20, "x.y": [1, 2] }, widgets_values_named: { steps: 20 } },
  ],
  links: [[1, 4, 0, 3, 0, "MODEL"], [2, 5, 0, 3, 3, "LATENT"], [3, 4, 1, 6, 0, "CLIP"], [4, 6, 0, 3, 1, "CONDITIONING"], [5, 4, 1, 7, 0, "CLIP"], [6, 7, 0, 3, 2, "CONDITIONING"], [7, 3, 0, 8, 0, "LATENT"], [8, "4", "2", 8, 1, "VAE"], [9, 8, 0, 9, 0, "IMAGE"]],
  groups: [{ id: 1, title: "Step 1", bounding: [10, 20, 300, 400], color: "#3f789e", font_size: 24, flags: {} }, { title: "old", bounding: [0, 0, 1, 1] }],
  config: { links_ontop: false },
  extra: { ds: { scale: 0.9, offset: [1, 2] }, frontendVersion: "1.27.10", node_versions: {} },
  version: 0.4,
  models: [],
  something_of_a_pack: { keep: ["me"] },
};
