import { afterEach, describe, expect, test } from "vitest";
import { commands } from "../../src/app/commands";
import { readCatalogue } from "../../src/graph/definitions";
import { de } from "../../src/words/de";
import { translateNodes } from "../../src/words/languages";
import { speak, t } from "../../src/words/words";

const sources = import.meta.glob<string>("../../src/**/*.{ts,tsx}", { query: "?raw", import: "default", eager: true });
const templates = import.meta.glob<{ readonly extra: { readonly heddle: { readonly about: string } } }>("../../../examples/*.json", { import: "default", eager: true });

/** Every sentence that is passed to `t` as it stands. */
function spoken(): Set<string> {
  const found = new Set<string>();
  for (const source of Object.values(sources)) for (const [, sentence] of source.matchAll(/\bt\(\s*"((?:[^"\\]|\\.)*)"/g)) found.add(JSON.parse(`"${sentence}"`) as string);
  return found;
}

/** What reaches `t` through a variable. */
const LISTED = [
  ...commands.flatMap(({ name, group }) => [name, group]),
  ...["Running", "Waiting", "Done", "Failed", "Stopped", "New", "Gone", "Changed", "running", "done", "cached", "error"],
  ...["Prompt", "Negative prompt", "Checkpoint", "Model", "LoRA", "VAE", "ControlNet", "Seed", "Steps", "CFG", "Sampler", "Schedule", "Denoise", "Size"],
  ...["None", "Red", "Amber", "Green", "Teal", "Blue", "Violet"],
];
const examples = Object.entries(templates).flatMap(([path, file]) => [(path.split("/").at(-1) ?? "").replace(/\.json$/, "").replaceAll("-", " ").replace(/^./, (letter) => letter.toUpperCase()), file.extra.heddle.about]);

afterEach(() => speak({}));

describe("German", () => {
  test("has every sentence of the page, and none that nobody says", () => {
    const wanted = new Set([...spoken(), ...LISTED, ...examples]);
    expect([...wanted].filter((sentence) => !(sentence in de))).toEqual([]);
    expect(Object.keys(de).filter((sentence) => !wanted.has(sentence))).toEqual([]);
  });

  test("keeps the parts of each sentence", () => {
    const parts = (sentence: string): string[] => [...sentence.matchAll(/\{\w+\}/g)].map(([part]) => part).sort();
    expect(Object.entries(de).filter(([english, german]) => parts(english).join() !== parts(german).join())).toEqual([]);
  });
});

test("a sentence nobody translated is said in English, with its parts", () => {
  speak({ "Saved {name}.": "{name} ist gespeichert." });
  expect([t("Saved {name}.", { name: "a" }), t("Saved {other}", { other: 1 })]).toEqual(["a ist gespeichert.", "Saved 1"]);
});

test("packs' texts change what is read, not what files and prompts hold", () => {
  const info = { Blur: { input: { required: { radius: ["INT", { default: 1 }] } }, output: ["IMAGE"], output_name: ["IMAGE"], display_name: "Blur" } };
  const texts = { de: { nodeDefs: { Blur: { display_name: "Weichzeichnen", description: "Macht weich.", inputs: { radius: { name: "Radius", tooltip: "In Pixeln" } }, outputs: { 0: { name: "Bild" } } } } } };
  const blur = readCatalogue(translateNodes(info, texts, "de")).get("Blur");
  expect([blur?.title, blur?.description, blur?.inputs[0]?.name, blur?.inputs[0]?.label, blur?.inputs[0]?.tooltip, blur?.outputs[0]?.name]).toEqual(["Weichzeichnen", "Macht weich.", "radius", "Radius", "In Pixeln", "IMAGE"]);
  expect(readCatalogue(translateNodes(info, texts, "en")).get("Blur")?.title).toBe("Blur");
});
