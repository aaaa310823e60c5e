/** The languages the page speaks. English is written in the sources; the others are fetched when they are wanted. */

import type { Settings } from "../app/settings";
import { type Json, type JsonObject, isObject, text } from "../graph/json";
import { type Catalogue, speak } from "./words";

const CATALOGUES: Readonly<Record<string, () => Promise<Catalogue>>> = {
  de: async () => (await import("./de")).de,
};

/** The wanted language's code: one of ours, or the nearest to the browser's. */
export const languageOf = (wanted: Settings["language"]): string => (wanted !== "system" ? wanted : ((navigator.languages.map((name) => name.slice(0, 2)).find((code) => code === "en" || code in CATALOGUES)) ?? "en"));

export async function setLanguage(code: string): Promise<void> {
  speak((await CATALOGUES[code]?.()) ?? {});
  document.documentElement.lang = code in CATALOGUES ? code : "en";
}

/**
 * Node definitions with the texts that packs bring for a language (`GET /i18n`): titles, descriptions, names and tips of
 * inputs. Names of outputs stay, because files keep them.
 */
export function translateNodes(info: Json, texts: Json, code: string): Json {
  const found = isObject(texts) && isObject(texts[code]) ? texts[code]["nodeDefs"] : undefined;
  if (!isObject(info) || !isObject(found)) return info;
  return Object.fromEntries(
    Object.entries(info).map(([type, declared]) => {
      const words = found[type];
      return [type, isObject(declared) && isObject(words) ? translated(declared, words) : declared];
    }),
  );
}

function translated(declared: JsonObject, words: JsonObject): JsonObject {
  const inputs = isObject(words["inputs"]) ? words["inputs"] : {};
  const sections = isObject(declared["input"]) ? declared["input"] : {};
  const section = (value: Json | undefined): Json | undefined =>
    isObject(value) ? Object.fromEntries(Object.entries(value).map(([name, input]) => [name, withWords(input, inputs[name])])) : value;
  return {
    ...declared,
    display_name: text(words["display_name"]) ?? declared["display_name"],
    description: text(words["description"]) ?? declared["description"],
    input: Object.fromEntries(Object.entries(sections).map(([key, value]) => [key, section(value)])),
  };
}

function withWords(input: Json | undefined, words: Json | undefined): Json | undefined {
  if (!Array.isArray(input) || !isObject(words)) return input;
  const [kind, options] = input as readonly (Json | undefined)[];
  const more = { ...(text(words["name"]) === null ? {} : { display_name: text(words["name"]) }), ...(text(words["tooltip"]) === null ? {} : { tooltip: text(words["tooltip"]) }) };
  return [kind ?? null, { ...(isObject(options) ? options : {}), ...more }];
}
