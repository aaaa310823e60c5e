/** The page as a whole: open documents, what is queued, what is shown over the canvas. Panels read it, commands change it. */

import { Editor, type Notice } from "../editor/editor";
import type { LinkEnd, Target } from "../editor/gesture";
import type { MediaRef } from "../editor/run";
import { type Catalogue, EDITOR_NODES, readCatalogue } from "../graph/definitions";
import { type Document, type NodeId, type Point, type Rect, emptyDocument } from "../graph/document";
import { type JobItem, http } from "../client/http";
import { Drafts } from "../client/drafts";
import type { Embedded } from "../client/embedded";
import type { Connection } from "../client/socket";
import { Extensions } from "../extend/extensions";
import type { Block } from "./blocks";
import { Comparison } from "./comparison";
import type { Json } from "../graph/json";
import { languageOf, setLanguage, translateNodes } from "../words/languages";
import { type Settings, remembered, saveSettings } from "./settings";

export type Dialog =
  | { readonly kind: "palette"; readonly at: Point; readonly end: LinkEnd | null }
  | { readonly kind: "commands" }
  | { readonly kind: "find" }
  | { readonly kind: "connect"; readonly node: NodeId }
  | { readonly kind: "versions" }
  | { readonly kind: "conflict"; readonly editor: Editor }
  | { readonly kind: "compare" }
  | { readonly kind: "templates" }
  | { readonly kind: "memory" }
  | { readonly kind: "run-many" }
  | { readonly kind: "save-block" }
  | { readonly kind: "shown-widgets"; readonly node: NodeId }
  | { readonly kind: "mask"; readonly node: NodeId; readonly media: MediaRef }
  | { readonly kind: "settings" }
  | { readonly kind: "shortcuts" }
  | { readonly kind: "open" }
  | { readonly kind: "save-as" }
  | { readonly kind: "menu"; readonly target: Target; readonly at: Point; readonly screen: Point }
  | { readonly kind: "combo"; readonly node: NodeId; readonly key: string; readonly anchor: Rect }
  | { readonly kind: "rename"; readonly target: Target; readonly anchor: Rect; readonly value: string }
  | { readonly kind: "lightbox"; readonly images: readonly MediaRef[]; readonly index: number; readonly against?: MediaRef }
  | { readonly kind: "gallery" }
  | { readonly kind: "dropped"; readonly file: File; readonly embedded: Embedded; readonly at: Point };

export interface Toast extends Notice {
  readonly id: number;
  readonly about?: string;
}

export class App {
  catalogue: Catalogue = readCatalogue(null);
  /** What the server said of nodes, and the texts that packs bring for them; the catalogue is made of both. */
  private info: Json = null;
  private texts: Json = null;
  private language = "en";
  /** False until the server has said which nodes it has. */
  ready = false;
  /** What was open before is open again. */
  restored = false;
  tabs: readonly Editor[] = [];
  active: Editor;
  settings: Settings = remembered();
  dialog: Dialog | null = null;
  toasts: readonly Toast[] = [];
  jobs: readonly JobItem[] = [];
  remaining = 0;
  /** The queue begins no further job; null while it is not known whether the server can do that. */
  paused: boolean | null = null;
  /** Queue by itself after each change, when nothing waits. */
  live = false;
  connection: Connection = "connecting";
  /** The linear form instead of the canvas; narrow pages begin with it. */
  form = typeof matchMedia === "function" && matchMedia("(max-width: 700px)").matches;
  comparison: Comparison | null = null;
  /** Blocks that may be added, as they were when last asked for. */
  blocks: readonly Block[] = [];
  sidebar: "queue" | "none" | `panel:${string}` = "none";
  readonly extensions = new Extensions(this);
  readonly drafts = new Drafts();
  /** Bumped by every change; what panels compare. */
  version = 0;
  /** Brings nodes into view (all of them without an argument); the surface knows how large it is. */
  reveal: ((nodes?: ReadonlySet<NodeId>) => void) | null = null;
  /** Asks for a new name where the old one stands. */
  rename: ((target: Target) => void) | null = null;
  private readonly listeners = new Set<() => void>();
  private readonly drawListeners = new Set<() => void>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly editorListeners = new Map<Editor, () => void>();
  private nextToast = 1;

  constructor() {
    this.active = this.adopt(new Editor(this.catalogue));
    this.tabs = [this.active];
  }

  /** For panels: told at once of what concerns them, and a few times a second of what happens on the canvas. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): number => this.version;

  /** For the canvas: told of every change; it draws once per frame. */
  onDraw(listener: () => void): void {
    this.drawListeners.add(listener);
  }

  changed(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.version++;
    for (const listener of this.drawListeners) listener();
    for (const listener of this.listeners) listener();
  }

  private adopt(editor: Editor): Editor {
    const listen = (): void => {
      for (const listener of this.drawListeners) listener();
      // A pan or a drag changes the editor with every frame; panels need not follow each one.
      this.timer ??= setTimeout(() => this.changed(), 80);
    };
    this.editorListeners.set(editor, editor.subscribe(listen));
    return editor;
  }

  setDefinitions(info: Json, texts: Json = this.texts): void {
    [this.info, this.texts] = [info, texts];
    const catalogue = readCatalogue(translateNodes(info, texts, this.language), new Set(this.extensions.widgets.keys()));
    this.catalogue = catalogue;
    this.ready = catalogue.size > EDITOR_NODES.length;
    for (const tab of this.tabs) tab.setCatalogue(catalogue);
    this.changed();
  }

  // Documents

  open(document: Document, name: string | null): Editor {
    // A page that was only just opened and not touched makes room for what is opened first.
    const blank = this.tabs.length === 1 && this.active.name === null && !this.active.dirty && this.active.document.root.nodes.size === 0;
    const editor = this.adopt(new Editor(this.catalogue, this.tabs.some((tab) => tab.document.id === document.id) ? { ...document, id: crypto.randomUUID() } : document));
    editor.name = name;
    editor.saved = editor.document;
    if (blank) this.drop(this.active);
    this.tabs = blank ? [editor] : [...this.tabs, editor];
    this.active = editor;
    this.changed();
    return editor;
  }

  show(editor: Editor): void {
    this.active = editor;
    this.dialog = null;
    this.changed();
  }

  close(editor: Editor): void {
    const at = this.tabs.indexOf(editor);
    if (at < 0) return;
    this.drop(editor);
    const rest = this.tabs.filter((tab) => tab !== editor);
    if (rest.length === 0) rest.push(this.adopt(new Editor(this.catalogue, emptyDocument(crypto.randomUUID()))));
    this.tabs = rest;
    if (this.active === editor) this.active = rest[Math.min(at, rest.length - 1)] ?? this.active;
    this.changed();
  }

  private drop(editor: Editor): void {
    this.editorListeners.get(editor)?.();
    this.editorListeners.delete(editor);
  }

  /** Shows what a document differs in from another; null ends it. */
  compare(wanted: { readonly editor: Editor; readonly name: string; readonly before: Document } | null): void {
    this.comparison = wanted && new Comparison(wanted.editor, wanted.name, wanted.before);
    this.changed();
  }

  // What is shown

  setDialog(dialog: Dialog | null): void {
    this.dialog = dialog;
    this.changed();
  }

  notify(notice: Notice): void {
    const toast = { ...notice, id: this.nextToast++ };
    this.toasts = [...this.toasts.filter((other) => other.text !== notice.text).slice(-3), toast];
    this.changed();
    setTimeout(() => this.dismiss(toast.id), notice.tone === "error" ? 12_000 : 7_000);
  }

  /** A line that says how far something is; null when it is over. */
  progress(what: string, text: string | null): void {
    const others = this.toasts.filter((toast) => toast.about !== what);
    this.toasts = text === null ? others : [...others, { id: this.nextToast++, tone: "info", text, about: what }];
    this.changed();
  }

  fail(error: unknown): void {
    this.notify({ tone: "error", text: error instanceof Error ? error.message : String(error) });
  }

  dismiss(id: number): void {
    if (!this.toasts.some((toast) => toast.id === id)) return;
    this.toasts = this.toasts.filter((toast) => toast.id !== id);
    this.changed();
  }

  /** Speaks the language of the settings; fetches it first if it is new. */
  async speak(): Promise<void> {
    const code = languageOf(this.settings.language);
    if (code === this.language) return;
    this.language = code;
    await setLanguage(code);
    if (this.ready) this.setDefinitions(this.info);
    else this.changed();
  }

  set(settings: Partial<Settings>): void {
    this.settings = { ...this.settings, ...settings };
    saveSettings(this.settings);
    void this.speak();
    this.changed();
  }

  used(type: string): void {
    const { uses } = this.settings;
    this.set({ uses: { ...uses, [type]: (uses[type] ?? 0) + 1 } });
  }

  /** Whether the queue is held; asked when the panel that shows it opens. */
  async refreshQueue(): Promise<void> {
    this.paused = await http.paused();
    await this.refreshJobs();
  }

  async refreshJobs(): Promise<void> {
    try {
      this.jobs = await http.jobs(60);
    } catch {
      // The connection mark says it already.
    }
    this.changed();
  }
}
