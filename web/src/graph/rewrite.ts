/** Text that the editor rewrites on its way into the prompt; the workflow keeps what was typed. */

import type { Random } from "./control";

/** Removes comments and picks one alternative of each `{a|b}`, nested ones included; a backslash escapes. */
export function pickAlternatives(template: string, random: Random): string {
  const source = template.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, "");
  let at = 0;
  const read = (inside: boolean): string => {
    const options = [""];
    const append = (text: string): void => {
      options[options.length - 1] += text;
    };
    while (at < source.length) {
      const char = source[at++] ?? "";
      if (char === "\\" && /[{}|]/.test(source[at] ?? "")) append(source[at++] ?? "");
      else if (char === "{") append(read(true));
      else if (char === "}" && inside) return options[Math.floor(random() * options.length)] ?? "";
      else if (char === "|" && inside) options.push("");
      else append(char);
    }
    // An unclosed brace is text.
    return inside ? `{${options.join("|")}` : options.join("");
  };
  return read(false);
}

const two = (value: number): string => String(value).padStart(2, "0");

export function formatDate(pattern: string, date: Date): string {
  const parts: Record<string, string> = {
    yyyy: String(date.getFullYear()),
    yy: two(date.getFullYear() % 100),
    MM: two(date.getMonth() + 1),
    M: String(date.getMonth() + 1),
    dd: two(date.getDate()),
    d: String(date.getDate()),
    hh: two(date.getHours()),
    h: String(date.getHours()),
    mm: two(date.getMinutes()),
    m: String(date.getMinutes()),
    ss: two(date.getSeconds()),
    s: String(date.getSeconds()),
  };
  return pattern.replace(/yyyy|yy|MM|M|dd|d|hh|h|mm|m|ss|s/g, (part) => parts[part] ?? part);
}

/** Replaces `%date:…%` and `%Node.widget%`; `%width%` and the like are the server's. `find` looks a value up. */
export function fillPrefix(prefix: string, date: Date, find: (node: string, widget: string) => string | null): string {
  return prefix.replace(/%([^%]+)%/g, (whole, name: string) => {
    if (name.startsWith("date:")) return formatDate(name.slice(5), date);
    const dot = name.lastIndexOf(".");
    const value = dot > 0 ? find(name.slice(0, dot), name.slice(dot + 1)) : null;
    return value === null ? whole : value.replace(/[/?<>\\:*|"\u0000-\u001f\u007f]/g, "_");
  });
}
