/** Socket types: which fit, which do not and why, and which node would mend it. */

import { t } from "../words/words";
import type { Catalogue, NodeDefinition } from "./definitions";

/** `*` and the legacy numbers fit everything; `A,B` is a union; letter case does not count. */
export function members(type: string): readonly string[] | "any" {
  const list = type.split(",").map((name) => name.trim().toUpperCase());
  return list.some((name) => name === "*" || name === "" || name === "0" || name === "-1") ? "any" : list;
}

const verdicts = new Map<string, boolean>();

export function fits(output: string, input: string): boolean {
  if (output === input) return true;
  const key = `${output}>${input}`;
  const known = verdicts.get(key);
  if (known !== undefined) return known;
  const [from, to] = [members(output), members(input)];
  const verdict = from === "any" || to === "any" || from.some((name) => to.includes(name));
  verdicts.set(key, verdict);
  return verdict;
}

/** "an IMAGE", "a LATENT": types in a sentence. */
export function readable(type: string): string {
  if (members(type) === "any") return t("anything");
  const name = type.split(",").map((part) => part.trim()).join(t(" or "));
  return /^[AEIOU]/i.test(name) ? t("an {type}", { type: name }) : t("a {type}", { type: name });
}

const conversions = new Map<string, string>([
  ["IMAGE>LATENT", "VAEEncode"],
  ["LATENT>IMAGE", "VAEDecode"],
  ["IMAGE>MASK", "ImageToMask"],
  ["MASK>IMAGE", "MaskToImage"],
]);

/** The simplest node that takes the one type and gives the other, if there is one. */
export function mending(catalogue: Catalogue, output: string, input: string): NodeDefinition | null {
  const preferred = catalogue.get(conversions.get(`${output}>${input}`) ?? "");
  if (preferred) return preferred;
  let best: NodeDefinition | null = null;
  for (const definition of catalogue.values()) {
    if (definition.virtual || definition.deprecated) continue;
    const takes = definition.inputs.some((slot) => members(slot.type) !== "any" && fits(output, slot.type));
    const gives = definition.outputs.some((slot) => members(slot.type) !== "any" && fits(slot.type, input));
    if (takes && gives && (!best || definition.inputs.length < best.inputs.length)) best = definition;
  }
  return best;
}
