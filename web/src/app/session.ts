/** What was open comes back: drafts of every changed document, and the list of tabs. */

import { http } from "../client/http";
import type { Editor } from "../editor/editor";
import type { Document } from "../graph/document";
import { parseJson } from "../graph/json";
import { readWorkflow } from "../graph/workflow";
import type { App } from "./app";
import { fileText } from "./files";
import { lookForOthers } from "./saved";
import { startDocument } from "./start";

const KEY = "heddle.tabs";
const QUIET_MS = 800;

interface Tab {
  readonly id: string;
  readonly name: string | null;
  readonly tag?: string | null;
}

export class Session {
  private readonly stored = new Map<Editor, Document>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private restored = false;

  constructor(private readonly app: App) {
    app.subscribe(() => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.keep(), QUIET_MS);
    });
    addEventListener("pagehide", () => this.keep());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible" && this.restored) void lookForOthers(app);
    });
  }

  /** Opens what was open before, or the start graph. Called once, when the node definitions are here. */
  async restore(): Promise<void> {
    const { app } = this;
    for (const tab of this.remembered()) {
      const draft = await this.app.drafts.latest(tab.id);
      if (!draft) continue;
      const document = readWorkflow(parseJson(draft.file), app.catalogue, () => tab.id);
      const editor = app.open(document, tab.name);
      editor.tag = tab.tag ?? null;
      this.stored.set(editor, editor.document);
    }
    if (app.tabs.length === 1 && app.active.document.root.nodes.size === 0 && app.active.name === null) {
      app.open(startDocument(app.catalogue, crypto.randomUUID()), null);
    }
    this.restored = app.restored = true;
    app.reveal?.();
  }

  private remembered(): readonly Tab[] {
    try {
      const list = JSON.parse(sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY) ?? "[]") as unknown;
      return Array.isArray(list) ? list.filter((tab): tab is Tab => typeof (tab as Tab | null)?.id === "string") : [];
    } catch {
      return [];
    }
  }

  private keep(): void {
    if (!this.restored) return;
    const { app } = this;
    for (const editor of app.tabs) {
      if (this.stored.get(editor) === editor.document || editor.isLive) continue;
      this.stored.set(editor, editor.document);
      const file = fileText(app, editor);
      void app.drafts.append({ document: editor.document.id, time: Date.now(), name: editor.name, file });
      // Also on the server, where another browser finds it. What was only opened is nobody's work yet.
      if (editor.dirty) void http.keepDraft(editor.document.id, { workflow: parseJson(file), title: editor.name ?? "", file: editor.name === null ? null : `workflows/${editor.name}.json`, base: editor.tag }).catch(() => undefined);
    }
    const tabs = JSON.stringify(app.tabs.map((editor): Tab => ({ id: editor.document.id, name: editor.name, tag: editor.tag })));
    try {
      sessionStorage.setItem(KEY, tabs);
      localStorage.setItem(KEY, tabs);
    } catch {
      // Without storage the next visit begins with the start graph.
    }
  }
}
