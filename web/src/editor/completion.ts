/** What is being named at the caret of a prompt: an embedding (`embedding:name`) or a LoRA (`<lora:name:1>`). */

export interface Naming {
  readonly kind: "embedding" | "lora";
  /** Where the name begins; it ends at the caret. */
  readonly from: number;
  readonly words: string;
}

export function namingAt(text: string, caret: number): Naming | null {
  const before = text.slice(0, caret);
  const lora = /<lora:([^<>:\n]*)$/i.exec(before);
  if (lora) return { kind: "lora", from: caret - (lora[1]?.length ?? 0), words: lora[1] ?? "" };
  const embedding = /(?:^|[\s,(])embedding:([^\s,():]*)$/i.exec(before);
  return embedding ? { kind: "embedding", from: caret - (embedding[1]?.length ?? 0), words: embedding[1] ?? "" } : null;
}

/** What stands in the text for the chosen name. A tag is closed only if it is not yet. */
export function completed({ kind }: Naming, name: string, after: string): string {
  if (kind === "embedding") return name;
  const bare = name.replace(/\.(safetensors|ckpt|pt|bin)$/i, "");
  return /^:[^<>]*>/.test(after) ? bare : `${bare}:1>`;
}
