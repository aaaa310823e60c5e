import { expect, test } from "vitest";
import { completed, namingAt } from "../../src/editor/completion";

const at = (text: string) => namingAt(text, text.length);

test("names are looked for where one is being written, and nowhere else", () => {
  expect(at("a boat, embedding:sun")).toEqual({ kind: "embedding", from: 18, words: "sun" });
  expect(at("(embedding:")).toMatchObject({ kind: "embedding", words: "" });
  expect(at("<lora:styles/oi")).toMatchObject({ kind: "lora", from: 6, words: "styles/oi" });
  for (const text of ["a boat", "embedding:sun set", "my_embedding:x", "<lora:a:1> and", ""]) expect(at(text)).toBeNull();
});

test("a tag is closed once, without the file's ending", () => {
  const naming = at("<lora:oi");
  if (!naming) throw new Error("nothing is named");
  expect(completed(naming, "styles/oil.safetensors", "")).toBe("styles/oil:1>");
  expect(completed(naming, "styles/oil.safetensors", ":0.7> more")).toBe("styles/oil");
});
