/** The list of names under the caret of a prompt. */

import { http } from "../client/http";
import { type Naming, completed, namingAt } from "../editor/completion";
import { score } from "../editor/search";
import { t } from "../words/words";

const MOST = 12;

export class Completer {
  private readonly list = document.createElement("ul");
  private readonly names = new Map<Naming["kind"], Promise<readonly string[]>>();
  private field: HTMLTextAreaElement | null = null;
  private naming: Naming | null = null;
  private shown: readonly string[] = [];
  private at = 0;

  constructor(root: HTMLElement) {
    this.list.className = "completions";
    this.list.id = "completions";
    this.list.role = "listbox";
    this.list.ariaLabel = t("Names");
    this.list.hidden = true;
    // Pressed, not clicked: a click would first take the focus from the field.
    this.list.addEventListener("pointerdown", (event) => {
      const index = [...this.list.children].indexOf(event.target as Element);
      event.preventDefault();
      if (index >= 0) this.take(index);
    });
    root.append(this.list);
  }

  /** Called after each change of a text and each move of its caret. */
  async look(field: HTMLTextAreaElement): Promise<void> {
    const naming = namingAt(field.value, field.selectionStart);
    if (!naming || field.selectionStart !== field.selectionEnd) return this.close();
    [this.field, this.naming] = [field, naming];
    const names = await this.known(naming.kind);
    if (this.naming !== naming || document.activeElement !== field) return;
    const found = names.map((name) => ({ name, points: score(naming.words, name) })).filter(({ points }) => points > 0);
    if (naming.words !== "") found.sort((a, b) => b.points - a.points);
    this.shown = found.slice(0, MOST).map(({ name }) => name);
    this.at = 0;
    if (this.shown.length === 0) return this.close();
    this.draw(field);
  }

  close(): void {
    this.naming = null;
    this.list.hidden = true;
    this.field?.removeAttribute("aria-activedescendant");
    this.field?.removeAttribute("aria-controls");
  }

  /** True when the key was for the list. */
  key(event: KeyboardEvent): boolean {
    if (this.list.hidden) return false;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined && !event.ctrlKey && !event.metaKey && this.field) {
      this.at = (this.at + step + this.shown.length) % this.shown.length;
      this.draw(this.field);
    } else if ((event.key === "Enter" || event.key === "Tab") && !event.ctrlKey && !event.metaKey) this.take(this.at);
    else if (event.key === "Escape") this.close();
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  }

  private take(index: number): void {
    const { field, naming } = this;
    const name = this.shown[index];
    if (!field || !naming || name === undefined) return;
    const caret = field.selectionStart;
    // Through the browser's own editing, so that the field's undo knows it.
    field.setSelectionRange(naming.from, caret);
    document.execCommand("insertText", false, completed(naming, name, field.value.slice(caret)));
    this.close();
  }

  /** Asked for once in a while: files may be added while the page is open. */
  private known(kind: Naming["kind"]): Promise<readonly string[]> {
    const before = this.names.get(kind);
    if (before) return before;
    const asked = (kind === "embedding" ? http.embeddings() : http.models("loras").then((files) => files.map(({ name }) => name))).catch(() => []);
    this.names.set(kind, asked);
    setTimeout(() => this.names.delete(kind), 30_000);
    return asked;
  }

  private draw(field: HTMLTextAreaElement): void {
    this.list.replaceChildren(
      ...this.shown.map((name, i) => {
        const item = document.createElement("li");
        item.role = "option";
        item.id = `completion-${i}`;
        item.ariaSelected = String(i === this.at);
        item.className = i === this.at ? "option at" : "option";
        item.textContent = name;
        return item;
      }),
    );
    field.setAttribute("aria-controls", this.list.id);
    field.setAttribute("aria-activedescendant", `completion-${this.at}`);
    const [x, y] = caretPlace(field);
    this.list.style.left = `${field.offsetLeft + x}px`;
    this.list.style.top = `${field.offsetTop + Math.min(y, field.offsetHeight)}px`;
    this.list.hidden = false;
  }
}

/** Below the caret, in the field's own pixels: found by laying the same text out in a box of the same shape. */
function caretPlace(field: HTMLTextAreaElement): readonly [number, number] {
  const style = getComputedStyle(field);
  const box = document.createElement("div");
  box.style.cssText = `position:absolute;visibility:hidden;white-space:pre-wrap;overflow-wrap:break-word;width:${field.clientWidth}px;padding:${style.padding};font:${style.font};line-height:${style.lineHeight}`;
  box.textContent = field.value.slice(0, field.selectionStart);
  const mark = document.createElement("span");
  mark.textContent = "\u200b";
  box.append(mark);
  field.parentElement?.append(box);
  const place = [mark.offsetLeft, mark.offsetTop + mark.offsetHeight - field.scrollTop] as const;
  box.remove();
  return place;
}
