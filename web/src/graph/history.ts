/** Which nodes a run would compute anew: those whose own values, or anything before them, differ from what ran before. */

import type { Prompt } from "./prompt";

/** Names histories by number: two nodes with one number were made the same way from the same beginnings. */
export class Histories {
  private readonly numbers = new Map<string, number>();

  /** The number of each node of a prompt. A node in a circle has none. */
  of(prompt: Prompt): ReadonlyMap<string, number> {
    const known = new Map<string, number>();
    const open = new Set<string>();
    const visit = (id: string): number | null => {
      const done = known.get(id);
      const node = prompt[id];
      if (done !== undefined) return done;
      if (!node || open.has(id)) return null;
      open.add(id);
      const inputs = Object.keys(node.inputs)
        .sort()
        .map((name) => {
          const value = node.inputs[name];
          const isLink = Array.isArray(value) && value.length === 2 && typeof value[0] === "string" && value[0] in prompt;
          return [name, isLink ? { from: visit(value[0] as string), slot: value[1] } : { value: typeof value === "bigint" ? `${value}n` : value }];
        });
      open.delete(id);
      const text = JSON.stringify([node.class_type, inputs], (_key, value: unknown) => (typeof value === "bigint" ? `${value}n` : value));
      let number = this.numbers.get(text);
      if (number === undefined) this.numbers.set(text, (number = this.numbers.size));
      known.set(id, number);
      return number;
    };
    for (const id of Object.keys(prompt)) visit(id);
    return known;
  }
}
