/** A few words about what the pointer rests on: what a socket or value is for, and which values it may have. */

import type { App } from "../app/app";
import type { Editor } from "../editor/editor";
import type { Target } from "../editor/gesture";
import type { WidgetSpec } from "../graph/definitions";
import type { Point } from "../graph/document";
import { readable } from "../graph/types";
import { t } from "../words/words";

const WAIT_MS = 600;

export class Tip {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private about = "";

  constructor(
    private readonly app: App,
    private readonly element: HTMLElement,
  ) {}

  /** Called with every frame: shows after a rest, and goes with the first move to something else. */
  follow(target: Target, at: Point): void {
    const editor = this.app.active;
    const idle = editor.gesture.kind === "idle" && this.app.dialog === null;
    const about = idle && "node" in target ? JSON.stringify(target) : "";
    if (about === this.about) return;
    this.about = about;
    clearTimeout(this.timer);
    this.element.hidden = true;
    if (about === "") return;
    this.timer = setTimeout(() => this.show(editor, target, at), WAIT_MS);
  }

  private show(editor: Editor, target: Target, [x, y]: Point): void {
    const lines = tipFor(editor, target);
    if (lines.length === 0) return;
    this.element.replaceChildren(...lines.map((line) => Object.assign(document.createElement("p"), { textContent: line })));
    this.element.style.cssText = `left:${x + 14}px;top:${y + 18}px`;
    this.element.hidden = false;
  }
}

export function tipFor(editor: Editor, target: Target): readonly string[] {
  const node = "node" in target ? editor.graph.nodes.get(target.node) : undefined;
  const definition = node && editor.definition(node.type);
  if (!node) return [];
  const id = editor.executionId(node.id);
  const problems = editor.run.problems.filter((one) => one.node === id);
  const said = (list: typeof problems): readonly string[] => list.map((one) => [one.message, one.details.split("\n")[0]].filter(Boolean).join(": "));
  switch (target.kind) {
    case "title":
    case "body":
      return [...said(problems), ...(definition?.description ? [definition.description] : []), ...(node.title !== null && definition ? [definition.title] : [])];
    case "output": {
      const output = definition?.outputs[target.output];
      return output ? [t("gives {type}", { type: readable(output.type) }), output.tooltip].filter(Boolean) : [];
    }
    case "input":
    case "widget": {
      const name = target.kind === "input" ? target.input : target.key;
      const input = definition?.inputs.find((one) => one.name === name);
      if (!input) return [];
      const range = input.widget ? rangeOf(input.widget) : t("takes {type}", { type: readable(input.type) });
      return [...said(problems.filter((one) => one.input === name)), input.tooltip, range].filter(Boolean);
    }
    default:
      return [];
  }
}

function rangeOf(spec: WidgetSpec): string {
  if (spec.kind === "number") return t("{min} to {max}, step {step}, usually {initial}", { min: short(spec.min), max: short(spec.max), step: spec.step, initial: short(Number(spec.initial)) });
  return spec.kind === "combo" && spec.options.length > 1 ? t("{count} choices", { count: spec.options.length }) : "";
}

/** Bounds beyond a million are there so that there are some; digits would not tell more. */
const short = (value: number): string => (Math.abs(value) > 1e6 ? value.toPrecision(2) : String(value));
