/** Raising and lowering the weight of words in a prompt: `word` → `(word:1.05)`. */

export interface TextChange {
  readonly from: number;
  readonly to: number;
  readonly text: string;
  readonly select: readonly [number, number];
}

const WEIGHTED = /^\((.*):(-?\d*\.?\d+)\)$/s;

/** The change that moves the weight of the selection, or of the word or bracket at the caret, by a step. */
export function weigh(text: string, start: number, end: number, by: number): TextChange {
  let [from, to] = [start, end];
  const bracket = around(text, from, to);
  if (bracket) [from, to] = bracket;
  else if (from === to) {
    while (from > 0 && !/[\s,.()]/.test(text[from - 1] ?? " ")) from--;
    while (to < text.length && !/[\s,.()]/.test(text[to] ?? " ")) to++;
  }
  while (from < to && text[from] === " ") from++;
  while (to > from && text[to - 1] === " ") to--;
  const part = text.slice(from, to);
  const known = WEIGHTED.exec(part);
  const words = known?.[1] ?? part;
  if (words === "") return { from, to, text: part, select: [from, to] };
  const weight = Math.round((Number(known?.[2] ?? 1) + by) * 100) / 100;
  const next = weight === 1 ? words : `(${words}:${weight})`;
  return { from, to, text: next, select: [from, from + next.length] };
}

/** The innermost `(…:1.1)` the range lies in. */
function around(text: string, from: number, to: number): readonly [number, number] | null {
  if (WEIGHTED.test(text.slice(from, to))) return [from, to];
  let depth = 0;
  for (let open = from - 1; open >= 0; open--) {
    if (text[open] === ")") depth++;
    else if (text[open] === "(" && depth-- === 0) {
      const close = text.indexOf(")", to);
      return close >= 0 && WEIGHTED.test(text.slice(open, close + 1)) ? [open, close + 1] : null;
    }
  }
  return null;
}
