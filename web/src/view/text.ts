/** Text on the canvas: fonts, cutting to a width, wrapping. Measurements are remembered, they cost more than drawing. */

export const FONT = '"Inter", "Segoe UI Variable Text", "Segoe UI", system-ui, -apple-system, "Roboto", "Helvetica Neue", "Liberation Sans", sans-serif';
export const MONO = 'ui-monospace, "SF Mono", "Cascadia Code", "JetBrains Mono", "Liberation Mono", monospace';

export const fonts = {
  title: `600 13px ${FONT}`,
  label: `12px ${FONT}`,
  small: `11px ${FONT}`,
  text: `12.5px ${FONT}`,
  group: `600 18px ${FONT}`,
} as const;

const LIMIT = 20_000;
const widths = new Map<string, number>();
const cuts = new Map<string, string>();
const wraps = new Map<string, readonly string[]>();

export function widthOf(ctx: CanvasRenderingContext2D, text: string): number {
  const key = `${ctx.font}|${text}`;
  const known = widths.get(key);
  if (known !== undefined) return known;
  if (widths.size > LIMIT) widths.clear();
  const width = ctx.measureText(text).width;
  widths.set(key, width);
  return width;
}

/** The text, or as much of its beginning as fits with an ellipsis. */
export function cutTo(ctx: CanvasRenderingContext2D, text: string, width: number): string {
  if (text.length * 12 < width || widthOf(ctx, text) <= width) return text;
  const key = `${ctx.font}|${Math.round(width)}|${text}`;
  const known = cuts.get(key);
  if (known !== undefined) return known;
  if (cuts.size > LIMIT) cuts.clear();
  let [low, high] = [0, text.length];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (ctx.measureText(`${text.slice(0, middle)}…`).width <= width) low = middle;
    else high = middle - 1;
  }
  const cut = low === 0 ? "" : `${text.slice(0, low).trimEnd()}…`;
  cuts.set(key, cut);
  return cut;
}

/** Lines of at most this width, broken at spaces. */
export function wrap(ctx: CanvasRenderingContext2D, text: string, width: number, limit = 200): readonly string[] {
  const key = `${ctx.font}|${Math.round(width)}|${text}`;
  const known = wraps.get(key);
  if (known) return known;
  if (wraps.size > 2_000) wraps.clear();
  const lines: string[] = [];
  for (const paragraph of text.split("\n")) {
    let line = "";
    for (const word of paragraph.split(/(?<=[\s-])/)) {
      if (line !== "" && ctx.measureText((line + word).trimEnd()).width > width) {
        lines.push(line);
        line = "";
      }
      line += word;
      while (ctx.measureText(line.trimEnd()).width > width && line.length > 1) {
        let end = line.length - 1;
        while (end > 1 && ctx.measureText(line.slice(0, end)).width > width) end--;
        lines.push(line.slice(0, end));
        line = line.slice(end);
      }
      if (lines.length >= limit) break;
    }
    lines.push(line);
    if (lines.length >= limit) break;
  }
  wraps.set(key, lines);
  return lines;
}
