/** The sockets a node shows: those of the file first (their order is the links' order), then those only the definition has. */

import { type NodeDefinition, isNote } from "./definitions";
import type { GraphNode } from "./document";

export interface Socket {
  readonly name: string;
  readonly label: string;
  readonly type: string;
  /** In `node.inputs` or `node.outputs`; -1 while the file has no such slot. */
  readonly index: number;
  /** The widget this socket stands for. */
  readonly widget: string | null;
  readonly optional: boolean;
}

export function inputSockets(node: GraphNode, definition: NodeDefinition | undefined): readonly Socket[] {
  const declared = new Map(definition?.inputs.map((input) => [input.name, input]));
  const sockets: Socket[] = node.inputs.map((slot, index) => {
    const input = declared.get(slot.name);
    return {
      name: slot.name,
      label: slot.label ?? input?.label ?? slot.name,
      type: slot.type,
      index,
      widget: slot.widget ?? (input?.widget ? slot.name : null),
      optional: slot.optional ?? input?.optional ?? false,
    };
  });
  if (definition && !isNote(definition.type)) {
    const present = new Set(node.inputs.map((slot) => slot.name));
    for (const input of definition.inputs) {
      if (present.has(input.name)) continue;
      const { name, label, type, optional } = input;
      sockets.push({ name, label, type, index: -1, widget: input.widget ? name : null, optional });
    }
  }
  return sockets;
}

export function outputSockets(node: GraphNode, definition: NodeDefinition | undefined): readonly Socket[] {
  const count = Math.max(node.outputs.length, definition?.outputs.length ?? 0);
  return Array.from({ length: count }, (_, i) => {
    const slot = node.outputs[i];
    const output = definition?.outputs[i];
    const name = slot?.name ?? output?.name ?? "";
    return {
      name,
      label: slot?.label ?? (name || output?.name) ?? name,
      type: slot?.type ?? output?.type ?? "*",
      index: slot ? i : -1,
      widget: null,
      optional: false,
    };
  });
}
