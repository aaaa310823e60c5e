/** What comes and goes through the clipboard, and what is dropped on the canvas. */

import { type Context, byId, copy, pasteText } from "../app/commands";
import { dropFile, uploadKey, useAsInput } from "../app/files";
import { hit } from "../editor/hit";
import { toGraph } from "../editor/viewport";
import type { Point } from "../graph/document";

export class Transfer {
  constructor(
    private readonly context: Context,
    /** A place on the page in pixels of the canvas. */
    private readonly local: (event: { readonly clientX: number; readonly clientY: number }) => Point,
  ) {
    addEventListener("copy", (event) => this.copied(event, false));
    addEventListener("cut", (event) => this.copied(event, true));
    addEventListener("paste", (event) => this.pasted(event));
    addEventListener("dragover", (event) => event.preventDefault());
    addEventListener("drop", (event) => this.dropped(event));
  }

  private isTyping(event: Event): boolean {
    return this.context.app.dialog !== null || event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement;
  }

  private copied(event: ClipboardEvent, cut: boolean): void {
    if (this.isTyping(event) || String(getSelection() ?? "") !== "") return;
    const content = copy(this.context.app);
    if (!content || !event.clipboardData) return;
    event.preventDefault();
    event.clipboardData.setData("text/html", content.html);
    event.clipboardData.setData("text/plain", content.plain);
    if (cut) byId.get("delete")?.run(this.context);
  }

  private pasted(event: ClipboardEvent): void {
    if (this.isTyping(event) || !event.clipboardData) return;
    const { app, surface } = this.context;
    const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
    if (file) {
      event.preventDefault();
      const [node] = app.active.selectedNodes;
      return void useAsInput(app, file, surface.pointer, node && uploadKey(app.active, node.id) !== null ? node.id : null);
    }
    if (pasteText(this.context, event.clipboardData.getData("text/html"), event.clipboardData.getData("text/plain"), true)) event.preventDefault();
  }

  private dropped(event: DragEvent): void {
    event.preventDefault();
    const { app } = this.context;
    const at = toGraph(app.active.viewport, this.local(event));
    const target = hit(app.active, at);
    const loader = "node" in target && uploadKey(app.active, target.node) !== null ? target.node : null;
    for (const file of event.dataTransfer?.files ?? []) {
      if (loader !== null && file.type.startsWith("image/")) void useAsInput(app, file, at, loader);
      else void dropFile(app, file, at);
    }
  }
}
