/** A part of a prompt: what some nodes need and no more. Nodes that show nothing themselves get a viewer at their output. */

import type { Catalogue } from "./definitions";
import type { Prompt, PromptNode } from "./prompt";

export interface Part {
  readonly prompt: Prompt;
  /** The output nodes to run. */
  readonly targets: readonly string[];
}

/** Marks a viewer's id; before it stands the id of the node it looks at. */
const LOOK = "_look";
const VIEWERS: Readonly<Record<string, readonly [type: string, input: string]>> = { IMAGE: ["PreviewImage", "images"] };
const ANY: readonly [type: string, input: string] = ["PreviewAny", "source"];

/** The node whose result this is: a viewer's own belongs to what it looks at. */
export const lookedAt = (id: string): string => (id.endsWith(LOOK) ? id.slice(0, -LOOK.length) : id);
export const isLook = (id: string): boolean => id.endsWith(LOOK);

const sourcesOf = (prompt: Prompt, node: PromptNode): readonly string[] =>
  Object.values(node.inputs).flatMap((value) => (Array.isArray(value) && value.length === 2 && typeof value[0] === "string" && value[0] in prompt ? [value[0]] : []));

/** What has to run for these nodes to have run. Ids that are not in the prompt (muted, bypassed) are left out. */
export function upTo(prompt: Prompt, ids: Iterable<string>, catalogue: Catalogue): Part {
  const wanted = new Set([...ids].filter((id) => id in prompt));
  const needed = new Set(wanted);
  const open = [...wanted];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    const node = prompt[id];
    for (const source of node ? sourcesOf(prompt, node) : []) {
      if (needed.has(source)) continue;
      needed.add(source);
      open.push(source);
    }
  }
  const part: Record<string, PromptNode> = {};
  for (const [id, node] of Object.entries(prompt)) if (needed.has(id)) part[id] = node;
  const targets: string[] = [];
  for (const id of wanted) {
    const definition = catalogue.get(prompt[id]?.class_type ?? "");
    if (definition?.isOutput) {
      targets.push(id);
      continue;
    }
    const slot = Math.max(0, definition?.outputs.findIndex((output) => output.type in VIEWERS) ?? 0);
    const [type, input] = VIEWERS[definition?.outputs[slot]?.type ?? ""] ?? ANY;
    if (!definition?.outputs.length || !catalogue.has(type)) continue;
    part[id + LOOK] = { class_type: type, inputs: { [input]: [id, slot] }, _meta: { title: catalogue.get(type)?.title ?? type } };
    targets.push(id + LOOK);
  }
  return { prompt: part, targets };
}
