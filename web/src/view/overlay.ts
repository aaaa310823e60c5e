/**
 * Real elements over the drawn widgets of near nodes, taken from a pool. Until one has the focus it is transparent and
 * lets the pointer through, so the picture does not depend on it; keyboard and screen readers find it all the same.
 */

import type { App } from "../app/app";
import type { Editor } from "../editor/editor";
import { type PlacedWidget, isArea } from "../editor/geometry";
import { typedNumber } from "../editor/number";
import { clampNumber } from "../editor/number";
import { NEAR } from "../editor/viewport";
import type { GraphNode, NodeId } from "../graph/document";
import { linkInto } from "../graph/document";
import { parseJson } from "../graph/json";
import { formatValue } from "./draw-widget";
import { Completer } from "./completer";
import { weigh } from "./weights";
import { t } from "../words/words";

type Field = HTMLInputElement | HTMLTextAreaElement | HTMLButtonElement;
type Kind = "input" | "area" | "button";

interface Slot {
  readonly kind: Kind;
  readonly element: Field;
  node: NodeId;
  key: string;
  placed: PlacedWidget | null;
  /** What was last written to the element. */
  shown: string;
  box: string;
}

const MOST = 400;

export class Overlay {
  private readonly slots = new Map<string, Slot>();
  private readonly pool: Record<Kind, Slot[]> = { input: [], area: [], button: [] };
  private readonly bySlot = new WeakMap<Element, Slot>();
  private wanted: string | null = null;
  private transform = "";
  private armed: Slot | null = null;
  private stamp: readonly unknown[] = [];
  private shown: readonly GraphNode[] = [];
  private order: readonly string[] = [];
  private readonly completer: Completer;

  constructor(
    private readonly app: App,
    private readonly root: HTMLElement,
    private readonly open: (node: NodeId, key: string) => void,
    private readonly redraw: () => void,
  ) {
    this.completer = new Completer(root);
  }

  /** The widget whose element has the focus: the canvas leaves it out. */
  get editing(): { readonly node: NodeId; readonly key: string } | null {
    const slot = document.activeElement ? this.bySlot.get(document.activeElement) : undefined;
    return slot && slot.kind !== "button" ? { node: slot.node, key: slot.key } : null;
  }

  /** Moves the elements to where their widgets are drawn; called after each frame. */
  sync(shown: readonly GraphNode[]): void {
    this.shown = shown;
    const editor = this.app.active;
    const { scale, offset } = editor.viewport;
    const transform = `translate(${offset[0] * scale}px, ${offset[1] * scale}px) scale(${scale})`;
    if (transform !== this.transform) this.root.style.transform = this.transform = transform;
    const moving = editor.gesture.kind === "panning" || editor.gesture.kind === "moving";
    const stamp = [editor, editor.graph, editor.viewport, this.wanted, editor.run.media.size, editor.run.text.size];
    // While the hand moves the canvas, the elements only follow; who enters and leaves is settled when it rests.
    const same = this.stamp.length > 0 && this.stamp.every((part, i) => part === stamp[i]);
    if (same || (moving && this.wanted === null && this.stamp[1] === editor.graph)) return;
    this.stamp = moving ? [] : stamp;
    const keep = new Set<string>();
    const kept = editor.graph.nodes.get(this.wanted?.split("\n")[0] ?? this.editing?.node ?? "");
    const near = scale >= NEAR ? shown : [];
    for (const node of kept && !near.includes(kept) ? [kept, ...near] : near) {
      const layout = editor.layout(node);
      for (const placed of layout.widgets) {
        const name = `${node.id}\n${placed.entry.key}`;
        if (keep.size >= MOST) break;
        if (this.isConnected(editor, node, placed)) continue;
        keep.add(name);
        this.place(name, node, placed);
      }
    }
    for (const [name, slot] of this.slots) {
      if (keep.has(name)) continue;
      this.slots.delete(name);
      slot.element.hidden = true;
      if (slot.element === document.activeElement) slot.element.blur();
      this.pool[slot.kind].push(slot);
    }
    this.order = [...keep];
    if (this.editing === null) this.arrange();
    if (this.wanted !== null) {
      const slot = this.slots.get(this.wanted);
      this.wanted = null;
      if (slot) {
        slot.element.focus({ preventScroll: true });
        if (slot.element instanceof HTMLInputElement) slot.element.select();
      }
    }
  }

  /** The page's order is the graph's, for those who walk it without a pointer. Moving the focused one would blur it. */
  private arrange(): void {
    let before: Element | null = null;
    for (const name of this.order) {
      const element = this.slots.get(name)?.element;
      if (!element) continue;
      const after: ChildNode | null = before ? before.nextSibling : this.root.firstChild;
      if (after !== element) this.root.insertBefore(element, after);
      before = element;
    }
  }

  private isConnected(editor: Editor, node: GraphNode, placed: PlacedWidget): boolean {
    const index = placed.socket?.socket.index ?? -1;
    return index >= 0 && linkInto(editor.graph, node.id, index) !== undefined;
  }

  focus(node: NodeId, key: string): void {
    this.wanted = `${node}\n${key}`;
    this.stamp = [];
    // Now, not with the next frame: what is typed right after the click belongs into the field.
    this.sync(this.shown);
  }

  /** Lets the pointer reach a text area under it, so that a click sets the caret and the wheel scrolls. */
  arm(node: NodeId | null, key: string | null): void {
    const slot = node !== null && key !== null ? this.slots.get(`${node}\n${key}`) : undefined;
    const next = slot?.kind === "area" ? slot : null;
    if (next === this.armed) return;
    this.armed?.element.classList.remove("armed");
    this.armed = next;
    next?.element.classList.add("armed");
  }

  private place(name: string, node: GraphNode, placed: PlacedWidget): void {
    const editor = this.app.active;
    const { entry } = placed;
    const kind: Kind = isArea(entry) ? "area" : entry.spec.kind === "combo" || entry.spec.kind === "toggle" ? "button" : "input";
    let slot = this.slots.get(name);
    if (!slot || slot.kind !== kind) {
      slot = this.pool[kind].pop() ?? this.make(kind);
      slot.element.hidden = false;
      slot.shown = "\u0000";
      slot.box = "";
      this.slots.set(name, slot);
    }
    slot.node = node.id;
    slot.key = entry.key;
    slot.placed = placed;
    const [x, y, w, h] = placed.rect;
    const box = `${node.pos[0] + x},${node.pos[1] + y},${w},${h}`;
    const { element } = slot;
    if (box !== slot.box) {
      slot.box = box;
      element.style.cssText = `left:${node.pos[0] + x}px;top:${node.pos[1] + y}px;width:${w}px;height:${h}px`;
    }
    const value = editor.value(node, entry.key, entry.spec.initial);
    const shown = formatValue(placed, value);
    const label = `${editor.title(node)}, ${entry.role === "control" ? t("seed after each run") : (entry.input?.label ?? entry.name)}`;
    if (element.ariaLabel !== label) element.ariaLabel = label;
    if (shown === slot.shown) return;
    slot.shown = shown;
    if (element instanceof HTMLButtonElement) {
      element.textContent = shown;
      if (entry.spec.kind === "toggle") {
        element.role = "switch";
        element.ariaChecked = String(value === true);
        element.removeAttribute("aria-haspopup");
      } else {
        element.role = null;
        element.ariaChecked = null;
        element.ariaHasPopup = "listbox";
      }
    } else if (element !== document.activeElement || element instanceof HTMLTextAreaElement) {
      if (element.value !== shown) element.value = shown;
    }
  }

  private make(kind: Kind): Slot {
    const element = document.createElement(kind === "area" ? "textarea" : kind);
    element.className = `field field-${kind}`;
    const slot: Slot = { kind, element, node: "", key: "", placed: null, shown: "", box: "" };
    this.bySlot.set(element, slot);
    element.addEventListener("focus", () => this.focused(slot));
    element.addEventListener("blur", () => this.blurred(slot));
    element.addEventListener("pointerleave", () => this.armed === slot && this.arm(null, null));
    element.addEventListener("keydown", (event) => this.key(slot, event as KeyboardEvent));
    if (element instanceof HTMLButtonElement) element.addEventListener("click", () => this.open(slot.node, slot.key));
    else element.addEventListener("input", () => this.typed(slot));
    if (element instanceof HTMLTextAreaElement) {
      element.addEventListener("input", () => void this.completer.look(element));
      element.addEventListener("click", () => void this.completer.look(element));
    }
    if (element instanceof HTMLInputElement) {
      element.autocomplete = "off";
      element.spellcheck = false;
    }
    this.root.append(element);
    return slot;
  }

  private focused(slot: Slot): void {
    const editor = this.app.active;
    if (!editor.selection.nodes.has(slot.node)) editor.select({ nodes: new Set([slot.node]) });
    this.bringIntoView(slot);
    this.redraw();
  }

  /** Tabbing to a field outside the window moves the canvas, not the page. */
  private bringIntoView(slot: Slot): void {
    const area = this.root.parentElement?.getBoundingClientRect();
    const box = slot.element.getBoundingClientRect();
    if (!area || (box.left >= area.left && box.right <= area.right && box.top >= area.top && box.bottom <= area.bottom)) return;
    this.app.reveal?.(new Set([slot.node]));
  }

  private blurred(slot: Slot): void {
    if (slot.element instanceof HTMLTextAreaElement) slot.element.scrollTop = 0;
    this.completer.close();
    this.commit(slot);
    this.app.active.sealEdits();
    this.redraw();
  }

  /** Text is taken as it is typed; numbers when they are finished. */
  private typed(slot: Slot): void {
    const spec = slot.placed?.entry.spec;
    if (!(slot.element instanceof HTMLTextAreaElement) && spec?.kind !== "text") return;
    if (slot.element instanceof HTMLButtonElement) return;
    slot.shown = slot.element.value;
    this.app.active.setValue(slot.node, slot.key, slot.element.value, "Type", `type ${slot.node} ${slot.key}`);
  }

  private commit(slot: Slot): void {
    const spec = slot.placed?.entry.spec;
    if (!(slot.element instanceof HTMLInputElement) || !spec || spec.kind === "text" || slot.element.value === slot.shown) return;
    const source = slot.element.value;
    slot.shown = "\u0000";
    this.stamp = [];
    if (spec.kind === "number") {
      const color = spec.display === "color" ? /^#?([0-9a-f]{6})$/i.exec(source.trim())?.[1] : undefined;
      const value = color ? parseInt(color, 16) : typedNumber(spec, source);
      if (value === null) this.app.notify({ tone: "info", text: t("“{text}” is not a number.", { text: source }) });
      else this.app.active.setValue(slot.node, slot.key, value);
    } else if (spec.kind === "other") {
      let value: ReturnType<typeof parseJson> = source;
      try {
        value = parseJson(source);
      } catch {
        // Not JSON: kept as text.
      }
      this.app.active.setValue(slot.node, slot.key, value);
    }
    this.redraw();
  }

  private key(slot: Slot, event: KeyboardEvent): void {
    const { element } = slot;
    if (this.completer.key(event)) return;
    if (event.key === "Tab") {
      const next = this.order[this.order.indexOf(`${slot.node}\n${slot.key}`) + (event.shiftKey ? -1 : 1)]?.split("\n");
      if (!next) return;
      event.preventDefault();
      return this.focus(next[0] ?? "", next[1] ?? "");
    }
    if (event.key === "Escape") {
      event.stopPropagation();
      if (element instanceof HTMLInputElement && slot.shown !== "\u0000") element.value = slot.shown;
      return this.leave();
    }
    if (element instanceof HTMLTextAreaElement) {
      if ((event.ctrlKey || event.metaKey) && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
        event.preventDefault();
        const change = weigh(element.value, element.selectionStart, element.selectionEnd, event.key === "ArrowUp" ? 0.05 : -0.05);
        // Through the browser's own editing, so that the field's undo knows it.
        element.setSelectionRange(change.from, change.to);
        document.execCommand("insertText", false, change.text);
        element.setSelectionRange(change.select[0], change.select[1]);
      }
      return;
    }
    if (!(element instanceof HTMLInputElement)) return;
    if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      return this.leave();
    }
    const spec = slot.placed?.entry.spec;
    if (spec?.kind === "number" && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
      event.preventDefault();
      const now = typedNumber(spec, element.value);
      const by = (event.key === "ArrowUp" ? 1 : -1) * spec.step * (event.shiftKey ? 10 : 1);
      const value = clampNumber(spec, Number(now ?? 0) + by);
      this.app.active.setValue(slot.node, slot.key, value, `Change ${slot.key}`, `step ${slot.node} ${slot.key}`);
      element.value = slot.placed ? formatValue(slot.placed, value) : String(value);
      slot.shown = element.value;
      element.select();
    }
  }

  private leave(): void {
    document.querySelector<HTMLElement>("#canvas")?.focus();
  }
}
