/** What a prompt says about the picture it makes, in the words people ask with: model, seed, steps, prompts. */

import type { Json } from "./json";
import { isArray, isObject, text } from "./json";

export interface Fact {
  readonly name: string;
  readonly value: string;
}

interface Node {
  readonly type: string;
  readonly inputs: Readonly<Record<string, Json | undefined>>;
}
type Nodes = ReadonlyMap<string, Node>;

const SAMPLING: readonly (readonly [input: string, name: string])[] = [["seed", "Seed"], ["noise_seed", "Seed"], ["steps", "Steps"], ["cfg", "CFG"], ["sampler_name", "Sampler"], ["scheduler", "Schedule"], ["denoise", "Denoise"]];
const FILES: readonly (readonly [input: string, name: string])[] = [["ckpt_name", "Checkpoint"], ["unet_name", "Model"], ["lora_name", "LoRA"], ["vae_name", "VAE"], ["control_net_name", "ControlNet"]];

function nodesOf(prompt: Json | null): Nodes {
  const nodes = new Map<string, Node>();
  if (isObject(prompt)) for (const [id, node] of Object.entries(prompt)) if (isObject(node) && isObject(node["inputs"])) nodes.set(id, { type: text(node["class_type"]) ?? "", inputs: node["inputs"] });
  return nodes;
}

/** The value of an input; through a link, that of the only plain value of the node it comes from. */
function resolved(nodes: Nodes, value: Json | undefined): string | null {
  if (!isArray(value)) return value === undefined || value === null || typeof value === "object" ? null : String(value);
  const plain = Object.values(nodes.get(String(value[0]))?.inputs ?? {}).filter((one) => one !== undefined && one !== null && typeof one !== "object");
  return plain.length === 1 ? String(plain[0]) : null;
}

/** The words behind a conditioning: of the nearest node up the link that has a text. */
function wordsBehind(nodes: Nodes, value: Json | undefined, steps = 0): string | null {
  const node = isArray(value) && steps < 32 ? nodes.get(String(value[0])) : undefined;
  if (!node) return null;
  const own = node.inputs["text"] ?? node.inputs["text_g"] ?? node.inputs["prompt"];
  const said = own === undefined ? null : resolved(nodes, own);
  if (said !== null) return said;
  for (const input of ["conditioning", "positive", "conditioning_1", "conditioning_to"]) {
    const found = wordsBehind(nodes, node.inputs[input], steps + 1);
    if (found !== null) return found;
  }
  return null;
}

export function describePrompt(prompt: Json | null): readonly Fact[] {
  const nodes = nodesOf(prompt);
  const facts: Fact[] = [];
  const add = (name: string, value: string | null): void => {
    if (value !== null && value !== "" && !facts.some((fact) => fact.name === name && fact.value === value)) facts.push({ name, value });
  };
  for (const node of nodes.values()) {
    if (!("positive" in node.inputs) || !("steps" in node.inputs || "latent_image" in node.inputs)) continue;
    add("Prompt", wordsBehind(nodes, node.inputs["positive"]));
    add("Negative prompt", wordsBehind(nodes, node.inputs["negative"]));
  }
  for (const [input, name] of FILES) for (const node of nodes.values()) if (input in node.inputs) add(name, resolved(nodes, node.inputs[input]));
  for (const [input, name] of SAMPLING) for (const node of nodes.values()) if (input in node.inputs) add(name, resolved(nodes, node.inputs[input]));
  for (const node of nodes.values()) if (/^Empty\w*Latent/.test(node.type)) add("Size", `${resolved(nodes, node.inputs["width"]) ?? "?"} × ${resolved(nodes, node.inputs["height"]) ?? "?"}`);
  return facts;
}
