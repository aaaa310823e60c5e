/** The text that AUTOMATIC1111's program writes into its pictures, as a graph that makes such a picture. */

import type { Catalogue } from "../graph/definitions";
import { type Document, emptyDocument } from "../graph/document";
import { changeNodes } from "../graph/edit";
import type { Json } from "../graph/json";
import { textToImage } from "./start";

export interface Parameters {
  readonly positive: string;
  readonly negative: string;
  /** "Steps", "CFG scale", … as they are written. */
  readonly settings: ReadonlyMap<string, string>;
}

/** Null when the text is something else. */
export function readParameters(text: string): Parameters | null {
  const lines = text.trim().split("\n");
  const last = lines.findLastIndex((line) => /^Steps: \d+/.test(line));
  if (last < 0) return null;
  const settings = new Map<string, string>();
  for (const [, key, quoted, plain] of (lines[last] ?? "").matchAll(/([A-Za-z][\w /-]*): (?:"((?:[^"\\]|\\.)*)"|([^,]*))(?:, |$)/g)) {
    if (key !== undefined) settings.set(key.trim(), (quoted ?? plain ?? "").trim());
  }
  const negative = lines.findIndex((line) => line.startsWith("Negative prompt: "));
  const end = negative < 0 || negative > last ? last : negative;
  return {
    positive: lines.slice(0, end).join("\n").trim(),
    negative: end === last ? "" : lines.slice(end, last).join("\n").slice("Negative prompt: ".length).trim(),
    settings,
  };
}

const SAMPLERS: readonly (readonly [name: string, sampler: string])[] = [
  ["DPM++ 3M SDE", "dpmpp_3m_sde"],
  ["DPM++ 2M SDE", "dpmpp_2m_sde"],
  ["DPM++ 2M", "dpmpp_2m"],
  ["DPM++ 2S a", "dpmpp_2s_ancestral"],
  ["DPM++ SDE", "dpmpp_sde"],
  ["DPM2 a", "dpm_2_ancestral"],
  ["DPM2", "dpm_2"],
  ["DPM fast", "dpm_fast"],
  ["DPM adaptive", "dpm_adaptive"],
  ["Euler a", "euler_ancestral"],
  ["Euler", "euler"],
  ["Heun", "heun"],
  ["LMS", "lms"],
  ["LCM", "lcm"],
  ["DDIM", "ddim"],
  ["UniPC", "uni_pc"],
];
const SCHEDULES: readonly (readonly [word: string, scheduler: string])[] = [["karras", "karras"], ["exponential", "exponential"], ["sgm uniform", "sgm_uniform"], ["simple", "simple"], ["beta", "beta"]];

export function fromParameters(text: string, catalogue: Catalogue, id: string): Document | null {
  const parameters = readParameters(text);
  const graph = parameters && textToImage(catalogue);
  if (!parameters || !graph) return null;
  const { settings } = parameters;
  const number = (key: string): number | null => (settings.has(key) && Number.isFinite(Number(settings.get(key))) ? Number(settings.get(key)) : null);
  const sampler = SAMPLERS.find(([name]) => (settings.get("Sampler") ?? "").startsWith(name))?.[1];
  const words = `${settings.get("Schedule type") ?? ""} ${settings.get("Sampler") ?? ""}`.toLowerCase();
  const scheduler = SCHEDULES.find(([word]) => words.includes(word))?.[1] ?? "normal";
  const [width, height] = (settings.get("Size") ?? "").split("x").map(Number);
  const wanted: Record<string, Record<string, Json | null | undefined>> = {
    CheckpointLoaderSimple: { ckpt_name: checkpoint(catalogue, settings.get("Model")) },
    EmptyLatentImage: { width: width || null, height: height || null, batch_size: number("Batch size") },
    KSampler: { seed: number("Seed"), control_after_generate: "fixed", steps: number("Steps"), cfg: number("CFG scale"), denoise: null, sampler_name: sampler, scheduler },
  };
  const root = changeNodes(graph, graph.nodes.keys(), (node) => {
    const values: Record<string, Json> = { ...node.values };
    for (const [key, value] of Object.entries(wanted[node.type] ?? {})) if (value !== null && value !== undefined) values[key] = value;
    if (node.title === "Positive prompt") values["text"] = parameters.positive;
    if (node.title === "Negative prompt") values["text"] = parameters.negative;
    return { ...node, values };
  });
  return { ...emptyDocument(id), root };
}

/** The file of that name here, or the name itself, so that one sees what is missing. */
function checkpoint(catalogue: Catalogue, model: string | undefined): string | null {
  const widget = catalogue.get("CheckpointLoaderSimple")?.inputs.find((input) => input.name === "ckpt_name")?.widget;
  if (model === undefined) return null;
  const files = widget?.kind === "combo" ? widget.options.map(String) : [];
  return files.find((file) => file.replace(/\.[^.]+$/, "").split("/").at(-1) === model) ?? `${model}.safetensors`;
}
