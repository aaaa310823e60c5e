/**
 * The page's words. They are written in English where they are used, and that sentence is also their key: a language is
 * a map from English sentences to its own. One language is set for the page as a whole.
 */

export type Catalogue = Readonly<Record<string, string>>;

let words: Catalogue = {};

/** Sets the language; what is drawn next speaks it. English needs no catalogue. */
export function speak(catalogue: Catalogue): void {
  words = catalogue;
}

/** The sentence in the language that is set, with `{name}` replaced by its part. */
export function t(english: string, parts: Readonly<Record<string, string | number>> = {}): string {
  const sentence = words[english] ?? english;
  return sentence.replace(/\{(\w+)\}/g, (whole, name: string) => String(parts[name] ?? whole));
}
