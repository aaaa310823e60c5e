/** Subgraphs from the selection and back, and what one shows of its inside. */

import type { Editor } from "../editor/editor";
import type { Target } from "../editor/gesture";
import { type Side, leadIn, leadOut, removeSlot } from "../graph/boundary";
import type { NodeId } from "../graph/document";
import { pack, unpack } from "../graph/subgraph";

export function makeSubgraph(editor: Editor): void {
  const { nodes } = editor.selection;
  let made = "";
  editor.editDocument("Make a subgraph", (document) => {
    const packed = pack(document, editor.ref, nodes, "Subgraph", () => crypto.randomUUID());
    made = packed.instance;
    return packed.document;
  });
  editor.select({ nodes: new Set([made]) });
}

export function takeApart(editor: Editor): void {
  const instance = editor.selectedNodes.find((node) => editor.document.subgraphs.has(node.type));
  if (!instance) return;
  let ids: ReadonlySet<NodeId> = new Set();
  editor.editDocument("Unpack", (document) => {
    const open = unpack(document, editor.ref, instance.id);
    ids = open?.ids ?? ids;
    return open?.document ?? document;
  });
  editor.select({ nodes: ids });
}


/** Shows a socket of the inside at the edge of the subgraph one is in, as a new slot. */
export function expose(editor: Editor, socket: Extract<Target, { kind: "input" | "output" }>): void {
  const { ref, document } = editor;
  const subgraph = ref === null ? undefined : document.subgraphs.get(ref);
  if (!subgraph) return;
  const fresh = (): string => crypto.randomUUID();
  const made = socket.kind === "input" ? leadIn(document, subgraph.id, subgraph.inputs.length, socket, editor.definition, fresh) : leadOut(document, subgraph.id, socket, subgraph.outputs.length, editor.definition, fresh);
  if (made.ok) editor.editDocument("Show at the edge", () => made.value);
}

export function removeEnd(editor: Editor, side: Side, slot: number): void {
  const { ref } = editor;
  if (ref !== null) editor.editDocument("Remove slot", (document) => removeSlot(document, ref, side, slot));
}
