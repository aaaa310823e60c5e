/** Numbers in widgets: how they are shown, scrubbed, stepped and typed, arithmetic included. */

import type { NumberSpec } from "../graph/definitions";
import type { Json } from "../graph/json";

export function clampNumber(spec: NumberSpec, value: number): number {
  const rounded = spec.integer ? Math.round(value) : spec.round ? Math.round(value / spec.round) * spec.round : value;
  const bounded = Math.min(spec.max, Math.max(spec.min, rounded));
  return Number(bounded.toFixed(10));
}

const decimals = (step: number): number => (Number.isInteger(step) ? 0 : Math.min(6, (String(step).split(".")[1] ?? "").length || Math.ceil(-Math.log10(step))));

export function formatNumber(spec: NumberSpec, value: Json): string {
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "number") return String(value ?? "");
  if (spec.integer) return String(value);
  const places = decimals(spec.step);
  const short = value.toFixed(places);
  return Number(short) === value ? short : String(Number(value.toPrecision(8)));
}

/** Steps of a widget per eight pixels of dragging; Shift makes it ten times finer. */
export function scrub(spec: NumberSpec, start: number, pixels: number, fine: boolean): number {
  const steps = Math.trunc(pixels / 8);
  const span = spec.max - spec.min;
  // Wide ranges would take many hands to cross: 1024 wide, a drag of 500 pixels moves by a quarter of the range.
  const pace = !fine && spec.integer && span > 512 && span <= 20_000 && spec.step === 1 ? 4 : 1;
  return clampNumber(spec, start + steps * spec.step * pace * (fine ? (spec.integer ? 1 : 0.1) : 1));
}

/** The value of what was typed: a number or arithmetic over + - * / ^ and brackets. Null if it is neither. */
export function evaluate(source: string): number | null {
  const tokens = source.replace(/,(?=\d)/g, ".").match(/\d+\.?\d*(?:e[+-]?\d+)?|\.\d+|[-+*/^()%]|\S/gi) ?? [];
  let at = 0;
  const peek = (): string | undefined => tokens[at];
  const primary = (): number => {
    const token = tokens[at++];
    if (token === "(") {
      const inner = sum();
      if (tokens[at++] !== ")") throw new SyntaxError("bracket");
      return inner;
    }
    if (token === "-") return -primary();
    if (token === "+") return primary();
    if (token === undefined || !/^[\d.]/.test(token)) throw new SyntaxError(token ?? "end");
    return Number(token);
  };
  const power = (): number => {
    const base = primary();
    if (peek() !== "^") return base;
    at++;
    return base ** power();
  };
  const product = (): number => {
    let value = power();
    for (let op = peek(); op === "*" || op === "/" || op === "%"; op = peek()) {
      at++;
      const right = power();
      value = op === "*" ? value * right : op === "/" ? value / right : value % right;
    }
    return value;
  };
  const sum = (): number => {
    let value = product();
    for (let op = peek(); op === "+" || op === "-"; op = peek()) {
      at++;
      const right = product();
      value = op === "+" ? value + right : value - right;
    }
    return value;
  };
  try {
    const value = sum();
    return at === tokens.length && Number.isFinite(value) ? value : null;
  } catch {
    return null;
  }
}

/** What a typed text means for the widget; whole numbers beyond 2^53 keep their digits. Null: not a number. */
export function typedNumber(spec: NumberSpec, source: string): Json | null {
  const trimmed = source.trim();
  if (spec.integer && /^-?\d{16,}$/.test(trimmed)) {
    const big = BigInt(trimmed);
    return Number.isSafeInteger(Number(big)) ? clampNumber(spec, Number(big)) : big;
  }
  const value = evaluate(trimmed);
  return value === null ? null : clampNumber(spec, value);
}
