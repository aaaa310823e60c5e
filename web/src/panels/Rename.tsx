/** A name, changed where it is written. */

import { type ReactNode, useState } from "react";
import { Dialog as AriaDialog, Modal, ModalOverlay } from "react-aria-components";
import type { Dialog } from "../app/app";
import type { Editor } from "../editor/editor";
import type { Target } from "../editor/gesture";
import { setPortal, together } from "../editor/portals";
import { renameSlot } from "../graph/boundary";
import { changeGroup, changeNodes, renameSocket } from "../graph/edit";
import { inputSockets, outputSockets } from "../graph/sockets";
import { t } from "../words/words";
import { useApp } from "./use-app";

export function Rename({ target, value, anchor }: Extract<Dialog, { kind: "rename" }>): ReactNode {
  const app = useApp();
  const [text, setText] = useState(value);
  const finish = (): void => {
    app.setDialog(null);
    if (text !== value) rename(app.active, target, text.trim());
  };
  return (
    <ModalOverlay isOpen isDismissable onOpenChange={(open) => !open && finish()} className="veil clear">
      <Modal className="float rename" style={{ left: anchor[0], top: anchor[1], width: Math.max(160, anchor[2]) }}>
        <AriaDialog aria-label={t("Rename")}>
          <input
            autoFocus
            aria-label={t("Title")}
            value={text}
            onFocus={(event) => event.target.select()}
            onChange={(event) => setText(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter") finish();
              if (event.key !== "Escape") return;
              event.stopPropagation();
              app.setDialog(null);
            }}
          />
        </AriaDialog>
      </Modal>
    </ModalOverlay>
  );
}

/** An empty name gives a thing its own name back. */
function rename(editor: Editor, target: Target, name: string): void {
  const node = "node" in target ? editor.graph.nodes.get(target.node) : undefined;
  const { ref } = editor;
  if (target.kind === "group") return editor.edit("Rename", (graph) => changeGroup(graph, target.group, (group) => ({ ...group, title: name })));
  if (target.kind === "end" && ref !== null) return editor.editDocument("Rename", (document) => renameSlot(document, ref, target.side, target.slot, name));
  if (target.kind === "portal" || target.kind === "link") {
    const link = editor.graph.links.get(target.link);
    if (link && name !== "") editor.edit("Rename", (graph) => setPortal(graph, together(graph, link).map(({ id }) => id), name));
    return;
  }
  if (!node) return;
  const definition = editor.definition(node.type);
  const inputs = inputSockets(node, definition);
  const slot = target.kind === "output" ? target.output : target.kind === "input" ? inputs.findIndex((one) => one.name === target.input) : -1;
  const socket = target.kind === "output" ? outputSockets(node, definition)[slot] : inputs[slot];
  if (slot >= 0 && socket && (target.kind === "input" || target.kind === "output")) {
    return editor.edit("Rename", (graph) => renameSocket(graph, { node: node.id, side: target.kind, socket, slot }, name, editor.definition));
  }
  editor.edit("Rename", (graph) => changeNodes(graph, [node.id], (one) => ({ ...one, title: name === "" ? null : name })));
}
