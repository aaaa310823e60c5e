/** Widgets as they look while nobody edits them. Real fields appear on top when one is touched. */

import type { Editor } from "../editor/editor";
import { type PlacedWidget, isArea } from "../editor/geometry";
import { formatNumber } from "../editor/number";
import { type GraphNode, type Rect, linkInto } from "../graph/document";
import type { Json } from "../graph/json";
import { isNote } from "../graph/definitions";
import { cutTo, fonts, widthOf, wrap } from "./text";
import { type Theme, typeStyle } from "./theme";
import { t } from "../words/words";

export interface WidgetLooks {
  readonly theme: Theme;
  readonly hovered: string | null;
  /** The widget a real field now stands over. */
  readonly editing: string | null;
  readonly problem: (key: string) => boolean;
  readonly formats: Formats;
}

export const LINE = 17;

export function drawWidget(ctx: CanvasRenderingContext2D, editor: Editor, node: GraphNode, placed: PlacedWidget, looks: WidgetLooks): void {
  const { entry, rect } = placed;
  const { theme } = looks;
  const [x, y, w, h] = rect;
  const connected = placed.socket !== null && placed.socket.socket.index >= 0 && linkInto(editor.graph, node.id, placed.socket.socket.index) !== undefined;
  const value = editor.value(node, entry.key, entry.spec.initial);
  const seed = entry.role === "control" ? editor.run.seeds.get(editor.executionId(node.id)) : undefined;
  const label = entry.role === "control" ? (seed && seed[1] !== node.values?.[seed[0]] ? t("last {seed}", { seed: String(seed[1]) }) : t("after run")) : (placed.socket?.socket.label ?? entry.input?.label ?? entry.name);
  const note = isNote(node.type);
  if (!note) {
    ctx.beginPath();
    ctx.roundRect(x, y, w, h, isArea(entry) ? 6 : 5);
    ctx.fillStyle = connected ? "transparent" : looks.hovered === entry.key ? theme.fieldHover : theme.field;
    ctx.fill();
    if (looks.problem(entry.key)) {
      ctx.strokeStyle = theme.danger;
      ctx.lineWidth = 1.5;
      ctx.stroke();
    } else if (connected) {
      ctx.strokeStyle = theme.border;
      ctx.lineWidth = 1;
      ctx.setLineDash([3, 3]);
      ctx.stroke();
      ctx.setLineDash([]);
    }
  }
  if (looks.editing === entry.key) return;
  if (isArea(entry)) {
    drawArea(ctx, placed, value, note ? node : null, looks, connected ? t("{name} ← linked", { name: label }) : null);
    return;
  }
  const middle = y + h / 2 + 0.5;
  ctx.font = fonts.label;
  ctx.textBaseline = "middle";
  ctx.textAlign = "left";
  const spec = entry.spec;
  if (!connected && spec.kind === "number" && spec.max - spec.min <= 1000 && spec.display !== "color" && spec.max > spec.min) drawRange(ctx, placed, (Number(value) - spec.min) / (spec.max - spec.min), theme);
  const right = spec.kind === "combo" ? 20 : spec.kind === "toggle" ? 36 : 8;
  const shown = connected ? "" : formatValue(placed, value, looks.formats);
  const labelWidth = Math.min(widthOf(ctx, label), w * (shown === "" ? 1 : 0.55) - 12);
  ctx.fillStyle = theme.muted;
  ctx.fillText(cutTo(ctx, label, labelWidth + 0.5), x + 8, middle);
  if (connected) return;
  ctx.textAlign = "right";
  ctx.fillStyle = entry.role === "control" ? theme.muted : missingChoice(placed, value) ? theme.danger : theme.text;
  if (spec.kind !== "toggle") ctx.fillText(cutTo(ctx, shown, w - labelWidth - right - 20), x + w - right, middle);
  if (spec.kind === "combo") drawChevron(ctx, x + w - 12, middle, theme);
  if (spec.kind === "toggle") drawToggle(ctx, x + w - 30, middle, value === true, theme);
  if (spec.kind === "number" && spec.display === "color" && typeof value === "number") {
    ctx.beginPath();
    ctx.roundRect(x + w - 14 - widthOf(ctx, shown) - 12, middle - 6, 12, 12, 3);
    ctx.fillStyle = `#${value.toString(16).padStart(6, "0")}`;
    ctx.fill();
    ctx.strokeStyle = theme.border;
    ctx.lineWidth = 1;
    ctx.stroke();
  }
}

/** How packs' own widgets write their values; filled by extensions. */
export type Formats = (type: string) => ((value: Json) => string) | undefined;

export function formatValue(placed: PlacedWidget, value: Json, formats?: Formats): string {
  const { spec } = placed.entry;
  const own = spec.kind === "other" ? formats?.(spec.type) : undefined;
  if (own) return own(value);
  if (spec.kind === "number") return spec.display === "color" && typeof value === "number" ? `#${value.toString(16).padStart(6, "0")}` : formatNumber(spec, value);
  if (spec.kind === "toggle") return value === true ? spec.on : spec.off;
  if (value === null || value === undefined) return spec.kind === "combo" ? t("none") : "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** A choice the server does not offer (a model or file that is not there). */
export function missingChoice(placed: PlacedWidget, value: Json): boolean {
  const { spec, role } = placed.entry;
  return role === "value" && spec.kind === "combo" && !Array.isArray(value) && !spec.upload && !spec.options.includes(value);
}

function drawRange(ctx: CanvasRenderingContext2D, { rect: [x, y, w, h] }: PlacedWidget, share: number, theme: Theme): void {
  if (!(share > 0)) return;
  ctx.save();
  ctx.beginPath();
  ctx.roundRect(x, y, w, h, 5);
  ctx.clip();
  ctx.fillStyle = theme.fill;
  ctx.fillRect(x, y, w * Math.min(1, share), h);
  ctx.restore();
}

function drawChevron(ctx: CanvasRenderingContext2D, x: number, y: number, theme: Theme): void {
  ctx.beginPath();
  ctx.moveTo(x - 3.5, y - 1.5);
  ctx.lineTo(x, y + 2);
  ctx.lineTo(x + 3.5, y - 1.5);
  ctx.strokeStyle = theme.faint;
  ctx.lineWidth = 1.5;
  ctx.stroke();
}

function drawToggle(ctx: CanvasRenderingContext2D, x: number, y: number, on: boolean, theme: Theme): void {
  ctx.beginPath();
  ctx.roundRect(x, y - 6, 22, 12, 6);
  ctx.fillStyle = on ? theme.accent : theme.border;
  ctx.fill();
  ctx.beginPath();
  ctx.arc(on ? x + 16 : x + 6, y, 4, 0, Math.PI * 2);
  ctx.fillStyle = on ? theme.onAccent : theme.muted;
  ctx.fill();
}

function drawArea(ctx: CanvasRenderingContext2D, placed: PlacedWidget, value: Json, note: GraphNode | null, { theme }: WidgetLooks, instead: string | null): void {
  const [x, y, w, h] = placed.rect;
  ctx.font = fonts.text;
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  const { spec } = placed.entry;
  const content = instead ?? String(value ?? "");
  const placeholder = spec.kind === "text" && content === "" ? spec.placeholder || placed.entry.name : null;
  ctx.fillStyle = placeholder !== null || instead !== null ? theme.faint : note ? "#fff" : theme.text;
  if (note) ctx.globalAlpha *= 0.92;
  if (note?.type === "MarkdownNote") return drawMarkdown(ctx, content, placed.rect);
  const lines = wrap(ctx, placeholder ?? content, w - 16);
  const room = Math.floor((h - 8) / LINE);
  for (let i = 0; i < Math.min(lines.length, room); i++) ctx.fillText(lines[i] ?? "", x + 8, y + 17 + i * LINE);
}

/** The little Markdown that notes use, line by line: headings, lists, and the marks inside a line left out. */
function drawMarkdown(ctx: CanvasRenderingContext2D, source: string, [x, y, w, h]: Rect): void {
  let at = y + 17;
  for (const line of source.split("\n")) {
    const heading = /^#{1,6}\s+/.exec(line);
    const item = /^(\s*)(?:[-*+]|\d+\.)\s+/.exec(line);
    const plain = line
      .slice((heading ?? item)?.[0].length ?? 0)
      .replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1")
      .replace(/(\*\*|__|`|~~)(.+?)\1/g, "$2")
      .replace(/<[^>]+>/g, "");
    const indent = item ? 14 + (item[1]?.length ?? 0) * 4 : 0;
    ctx.font = heading ? fonts.title : fonts.text;
    if (item && at < y + h) ctx.fillText("•", x + indent - 4, at);
    for (const part of wrap(ctx, plain, w - 16 - indent)) {
      if (at > y + h - 4) return;
      ctx.fillText(part, x + 8 + indent, at);
      at += plain === "" ? LINE / 2 : LINE;
    }
    if (heading) at += 4;
  }
}

/** A dot in the type's own shape. Hollow: optional. */
export function drawSocket(ctx: CanvasRenderingContext2D, theme: Theme, type: string, x: number, y: number, look: { readonly connected: boolean; readonly optional: boolean; readonly dimmed: boolean; readonly lit: boolean; readonly small: boolean }): void {
  const { color, shape } = typeStyle(theme, type);
  const r = (look.small ? 3.5 : 4.5) * (look.lit ? 1.35 : 1);
  ctx.globalAlpha = look.dimmed ? 0.2 : 1;
  ctx.beginPath();
  switch (shape) {
    case "circle":
      ctx.arc(x, y, r, 0, Math.PI * 2);
      break;
    case "square":
      ctx.rect(x - r * 0.9, y - r * 0.9, r * 1.8, r * 1.8);
      break;
    case "bar":
      ctx.roundRect(x - r * 0.7, y - r * 1.1, r * 1.4, r * 2.2, 1.5);
      break;
    case "diamond":
      polygon(ctx, x, y, r * 1.25, 4, 0);
      break;
    case "triangle":
      polygon(ctx, x - r * 0.15, y, r * 1.3, 3, 0);
      break;
    case "hexagon":
      polygon(ctx, x, y, r * 1.1, 6, 0);
      break;
  }
  ctx.fillStyle = look.connected || look.lit ? color : look.optional ? theme.node : color;
  ctx.fill();
  ctx.lineWidth = look.optional && !look.connected ? 1.5 : 1;
  ctx.strokeStyle = look.optional && !look.connected ? color : theme.node;
  ctx.stroke();
  ctx.globalAlpha = 1;
}

function polygon(ctx: CanvasRenderingContext2D, x: number, y: number, r: number, corners: number, turn: number): void {
  for (let i = 0; i < corners; i++) {
    const angle = turn + (i / corners) * Math.PI * 2;
    if (i === 0) ctx.moveTo(x + r * Math.cos(angle), y + r * Math.sin(angle));
    else ctx.lineTo(x + r * Math.cos(angle), y + r * Math.sin(angle));
  }
  ctx.closePath();
}
