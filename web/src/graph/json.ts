/** JSON as the files hold it: whole numbers beyond 2^53 (seeds) keep their digits as bigint. */

export type Json = null | boolean | number | bigint | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json | undefined;
}

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export const isArray = (value: Json | undefined): value is readonly Json[] => Array.isArray(value);

/** Equal as JSON values: key order does not matter, an absent key and `undefined` are the same. */
export function sameJson(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) {
    return typeof a === "number" && typeof b === "number" && Number.isNaN(a) && Number.isNaN(b);
  }
  if (isArray(a) || isArray(b)) {
    return isArray(a) && isArray(b) && a.length === b.length && a.every((item, i) => sameJson(item, b[i]));
  }
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  for (const key of keys) if (!sameJson(a[key], b[key])) return false;
  return true;
}

// The proposal "JSON.parse source text access" is in every current engine, but not yet in TypeScript's library types.
interface SourceAccess {
  parse(text: string, reviver: (key: string, value: unknown, context?: { source?: string }) => unknown): unknown;
  rawJSON?(text: string): unknown;
}
const native = JSON as unknown as SourceAccess;

const WHOLE = /^-?\d+$/;

/** Parses strictly first; then as Python writes it, where NaN and Infinity may stand bare (they become null). */
export function parseJson(text: string): Json {
  const revive = (_key: string, value: unknown, context?: { source?: string }): unknown =>
    typeof value === "number" && !Number.isSafeInteger(value) && context?.source && WHOLE.test(context.source)
      ? BigInt(context.source)
      : value;
  // The reviver makes parsing five times slower and matters only where a long run of digits exists.
  const parse = (source: string): Json =>
    (/\d{16}/.test(source) ? native.parse(source, revive) : JSON.parse(source)) as Json;
  try {
    return parse(text);
  } catch (error) {
    if (!/NaN|Infinity/.test(text)) throw error;
    return parse(text.replace(/("(?:[^"\\]|\\.)*")|-?\b(?:NaN|Infinity)\b/g, (match, quoted) => (quoted ? match : "null")));
  }
}

/** The inverse of `parseJson`; `indent` as in JSON.stringify. */
export function formatJson(value: Json, indent?: number): string {
  return JSON.stringify(
    value,
    (_key, item: unknown) => (typeof item === "bigint" ? (native.rawJSON?.(item.toString()) ?? Number(item)) : item),
    indent,
  );
}

export const text = (value: Json | undefined): string | null => (typeof value === "string" ? value : null);
export const number = (value: Json | undefined): number | null => {
  if (typeof value === "number") return Number.isFinite(value) ? value : null;
  if (typeof value === "bigint") return Number(value);
  // Old files hold slot indices as strings of digits.
  return typeof value === "string" && WHOLE.test(value) ? Number(value) : null;
};
