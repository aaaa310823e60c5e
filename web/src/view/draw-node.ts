/** Nodes and groups, in as much detail as the zoom can show. */

import { TITLE } from "../graph/create";
import { BYPASSED, type Graph, type Group, type GraphNode, MUTED, linkInto, wiring } from "../graph/document";
import { isNote } from "../graph/definitions";
import type { Editor } from "../editor/editor";
import { frameRect } from "../editor/frames";
import type { NodeLayout, PlacedSocket } from "../editor/geometry";
import { accepts } from "../editor/wiring";
import type { NodeRun } from "../editor/run";
import { formatTime } from "../words/units";
import { type Formats, drawSocket, drawWidget } from "./draw-widget";
import { cutTo, fonts, widthOf, wrap } from "./text";
import { type Theme, dark, light } from "./theme";
import { t } from "../words/words";

export interface NodeLooks {
  readonly theme: Theme;
  readonly hoveredWidget: { readonly node: string; readonly key: string } | null;
  readonly hoveredNode: string | null;
  readonly editing: { readonly node: string; readonly key: string } | null;
  readonly image: (node: GraphNode) => readonly HTMLImageElement[];
  readonly now: number;
  readonly formats: Formats;
  /** What a comparison says of nodes. */
  readonly marks: ReadonlyMap<string, "added" | "removed" | "changed">;
  /** Words that extensions put beside a title. */
  readonly badge: (node: GraphNode) => string;
}

const RADIUS = 8;

/** Below this zoom nodes are plain rectangles. */
export const FAR = 0.22;

type Paths = ReadonlyMap<string, Path2D>;
const pictures = new WeakMap<Graph["nodes"], { readonly theme: Theme; readonly groups: Graph["groups"]; readonly paths: Paths }>();

/** Bodies and title bars, all of one colour in one path. */
function farPaths(editor: Editor, nodes: Iterable<GraphNode>, theme: Theme): Paths {
  const paths = new Map<string, Path2D>();
  const add = (color: string, x: number, y: number, w: number, h: number): void => {
    let path = paths.get(color);
    if (!path) paths.set(color, (path = new Path2D()));
    path.rect(x, y, w, h);
  };
  const hidden = editor.folded.nodes;
  for (const node of nodes) {
    if (hidden.has(node.id)) continue;
    const layout = editor.layout(node);
    const top = layout.titled ? TITLE : 0;
    add(node.bgcolor ?? (node.mode === 0 ? theme.node : theme.canvas), node.pos[0], node.pos[1], layout.width, layout.height);
    add(node.color ?? (node.mode === BYPASSED ? theme.bypass : theme.border), node.pos[0], node.pos[1] - top, layout.width, Math.max(top, 4));
  }
  return paths;
}

/** When most of the graph is in view its shapes are kept from frame to frame: panning then only paints them elsewhere. */
export function drawFar(ctx: CanvasRenderingContext2D, editor: Editor, nodes: readonly GraphNode[], theme: Theme): void {
  const all = editor.graph.nodes;
  let paths: Paths;
  if (nodes.length * 2 > all.size && !editor.isLive) {
    const known = pictures.get(all);
    const { groups } = editor.graph;
    paths = known?.theme === theme && known.groups === groups ? known.paths : farPaths(editor, all.values(), theme);
    if (paths !== known?.paths) pictures.set(all, { theme, groups, paths });
  } else paths = farPaths(editor, nodes, theme);
  for (const [color, path] of paths) {
    ctx.fillStyle = color;
    ctx.fill(path);
  }
  const marks = new Map<string, Path2D>();
  for (const node of nodes) {
    const color = outline(editor, node, theme);
    if (color === null) continue;
    const layout = editor.layout(node);
    let path = marks.get(color);
    if (!path) marks.set(color, (path = new Path2D()));
    path.rect(node.pos[0], node.pos[1] - TITLE, layout.width, layout.height + TITLE);
  }
  ctx.lineWidth = 2 / editor.viewport.scale;
  for (const [color, path] of marks) {
    ctx.strokeStyle = color;
    ctx.stroke(path);
  }
}

/** The frame that says what is going on with the node; null for nothing. */
function outline(editor: Editor, node: GraphNode, theme: Theme): string | null {
  const run = runOf(editor, node);
  if (run?.state === "error") return theme.danger;
  if (editor.selection.nodes.has(node.id)) return theme.accent;
  return run?.state === "running" ? theme.good : null;
}

/** An instance shows what runs inside it. */
export function runOf(editor: Editor, node: GraphNode): NodeRun | undefined {
  const id = editor.executionId(node.id);
  const own = editor.run.nodes.get(id);
  if (own || !editor.document.subgraphs.has(node.type)) return own;
  let found: NodeRun | undefined;
  for (const [inner, run] of editor.run.nodes) {
    if (inner.startsWith(`${id}:`) && (!found || run.state === "running" || run.state === "error")) found = run;
  }
  return found;
}

export function drawNode(ctx: CanvasRenderingContext2D, editor: Editor, node: GraphNode, given: NodeLooks): void {
  // What stands on a coloured body takes the theme that can be read on it.
  const theme = node.bgcolor ? { ...(isLight(node.bgcolor) ? light : dark), accent: given.theme.accent, field: isLight(node.bgcolor) ? "#ffffff88" : "#00000055" } : given.theme;
  const looks = node.bgcolor ? { ...given, theme } : given;
  const layout = editor.layout(node);
  const run = runOf(editor, node);
  const missing = !editor.definition(node.type);
  ctx.save();
  ctx.translate(node.pos[0], node.pos[1]);
  if (node.mode !== 0) ctx.globalAlpha = node.mode === MUTED ? 0.4 : 0.6;
  drawBody(ctx, editor, node, layout, given.theme, missing);
  if (layout.titled) drawTitle(ctx, editor, node, layout, looks, run, missing);
  const near = editor.viewport.scale >= 0.3;
  if (near && !node.collapsed) {
    const hovered = looks.hoveredWidget?.node === node.id ? looks.hoveredWidget.key : null;
    const editing = looks.editing?.node === node.id ? looks.editing.key : null;
    const id = editor.executionId(node.id);
    const problem = (key: string): boolean => editor.run.problems.some((one) => one.node === id && one.input === key);
    if (editor.viewport.scale >= 0.42) for (const widget of layout.widgets) drawWidget(ctx, editor, node, widget, { theme, hovered, editing, problem, formats: looks.formats });
    else drawWidgetBars(ctx, layout, theme);
    if (missing) drawMissing(ctx, node, layout, given.theme);
    if (layout.media) drawMedia(ctx, editor, node, layout, looks);
  }
  const mark = looks.marks.get(node.id);
  if (mark) drawMark(ctx, layout, mark === "added" ? given.theme.good : given.theme.warn);
  const alpha = ctx.globalAlpha;
  drawSockets(ctx, editor, node, layout, theme);
  ctx.globalAlpha = alpha;
  if (run) drawRun(ctx, layout, run, looks);
  if (near && run?.state === "error") drawProblem(ctx, editor, node, layout, given.theme);
  ctx.restore();
}

/** A frame round a node that a comparison names. */
function drawMark(ctx: CanvasRenderingContext2D, layout: NodeLayout, color: string): void {
  const top = layout.titled ? -TITLE : 0;
  ctx.beginPath();
  ctx.roundRect(-4, top - 4, layout.width + 8, layout.height - top + 8, RADIUS + 4);
  ctx.lineWidth = 2;
  ctx.strokeStyle = color;
  ctx.stroke();
}

/** A node that is gone, where it was. */
export function drawGhost(ctx: CanvasRenderingContext2D, editor: Editor, node: GraphNode, theme: Theme): void {
  const [x, y] = node.pos;
  ctx.beginPath();
  ctx.roundRect(x, y - TITLE, node.size[0], node.size[1] + TITLE, RADIUS);
  ctx.lineWidth = 1.5;
  ctx.strokeStyle = theme.danger;
  ctx.setLineDash([6, 4]);
  ctx.stroke();
  ctx.setLineDash([]);
  ctx.font = fonts.title;
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  ctx.fillStyle = theme.danger;
  ctx.fillText(cutTo(ctx, editor.title(node), node.size[0] - 24), x + 12, y - TITLE / 2);
}

/** What went wrong, in its first words, below the node. */
function drawProblem(ctx: CanvasRenderingContext2D, editor: Editor, node: GraphNode, layout: NodeLayout, theme: Theme): void {
  const id = editor.executionId(node.id);
  const problem = editor.run.problems.find((one) => one.node === id || one.node.startsWith(`${id}:`));
  if (!problem) return;
  const said = problem.details && !problem.details.includes("\n") ? `${problem.message}: ${problem.details}` : problem.message;
  ctx.font = fonts.small;
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  const lines = wrap(ctx, said, layout.width - 20).slice(0, 3);
  ctx.beginPath();
  ctx.roundRect(0, layout.height + 6, layout.width, lines.length * 15 + 10, 6);
  ctx.globalAlpha = 1;
  ctx.fillStyle = theme.node;
  ctx.fill();
  ctx.lineWidth = 1;
  ctx.strokeStyle = theme.danger;
  ctx.stroke();
  ctx.fillStyle = theme.danger;
  lines.forEach((line, i) => ctx.fillText(line, 10, layout.height + 21 + i * 15));
}

function drawBody(ctx: CanvasRenderingContext2D, editor: Editor, node: GraphNode, layout: NodeLayout, theme: Theme, missing: boolean): void {
  const top = layout.titled ? -TITLE : 0;
  const height = layout.height - top;
  if (editor.viewport.scale > 0.5) {
    // A soft edge below lifts the node off the grid; a blurred shadow would cost a third of the frame.
    ctx.beginPath();
    ctx.roundRect(-1, top + 1.5, layout.width + 2, height + 1.5, RADIUS + 1);
    ctx.fillStyle = theme.shadow;
    ctx.fill();
  }
  ctx.beginPath();
  ctx.roundRect(0, top, layout.width, height, RADIUS);
  ctx.fillStyle = node.bgcolor ?? theme.node;
  ctx.fill();
  if (layout.titled) {
    ctx.beginPath();
    ctx.roundRect(0, -TITLE, layout.width, TITLE, layout.height === 0 ? RADIUS : [RADIUS, RADIUS, 0, 0]);
    ctx.fillStyle = node.color ?? theme.head;
    ctx.fill();
  }
  const color = outline(editor, node, theme);
  ctx.beginPath();
  ctx.roundRect(0, top, layout.width, height, RADIUS);
  ctx.lineWidth = color ? 2 : 1;
  ctx.strokeStyle = color ?? (missing ? theme.danger : node.mode === BYPASSED ? theme.bypass : theme.border);
  if (node.mode !== 0 || missing) ctx.setLineDash([6, 4]);
  ctx.stroke();
  ctx.setLineDash([]);
}

/** A node whose type nobody knows keeps its place and says why it cannot run. */
function drawMissing(ctx: CanvasRenderingContext2D, node: GraphNode, layout: NodeLayout, theme: Theme): void {
  const pack = node.properties["cnr_id"] ?? node.properties["aux_id"];
  const text = typeof pack === "string" ? t("Not installed. It comes with the pack {pack}.", { pack }) : t("Not installed: no pack here has this node.");
  ctx.font = fonts.small;
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  ctx.fillStyle = theme.danger;
  const lines = wrap(ctx, text, layout.width - 20).slice(0, 3);
  lines.forEach((line, i) => ctx.fillText(line, 10, layout.height - 10 - (lines.length - 1 - i) * 15));
}

function drawTitle(ctx: CanvasRenderingContext2D, editor: Editor, node: GraphNode, layout: NodeLayout, looks: NodeLooks, run: NodeRun | undefined, missing: boolean): void {
  const { theme } = looks;
  const middle = -TITLE / 2 + 0.5;
  // The mark that folds the node; it points where the rest is.
  ctx.beginPath();
  if (node.collapsed) {
    ctx.moveTo(11, middle - 4);
    ctx.lineTo(15, middle);
    ctx.lineTo(11, middle + 4);
  } else {
    ctx.moveTo(9, middle - 2);
    ctx.lineTo(13, middle + 2);
    ctx.lineTo(17, middle - 2);
  }
  ctx.lineWidth = 1.5;
  ctx.strokeStyle = node.color && isNote(node.type) ? "#ffffffaa" : theme.faint;
  ctx.stroke();
  ctx.font = fonts.title;
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  ctx.fillStyle = missing ? theme.danger : node.color ? readableOn(node.color) : theme.text;
  const title = editor.title(node);
  const mark = node.mode === MUTED ? t("muted") : node.mode === BYPASSED ? t("bypassed") : node.pinned ? t("pinned") : runMark(run) || looks.badge(node);
  // How long it took gives way to the title; everything else is worth cutting it for.
  const told = run?.state === "done" && widthOf(ctx, title) > layout.width - 48 - markWidth(ctx, mark) ? "" : mark;
  ctx.fillText(cutTo(ctx, title, layout.width - 40 - (told ? markWidth(ctx, told) + 8 : 0)), 26, middle);
  if (run?.state !== "running" && willRun(editor, node)) {
    // Computed anew by the next run; what has no dot comes from what is known already.
    ctx.beginPath();
    ctx.arc(layout.width - 10, -TITLE + 8, 2.5, 0, Math.PI * 2);
    ctx.fillStyle = theme.accent;
    ctx.fill();
  }
  if (!told || node.collapsed) return;
  ctx.font = fonts.small;
  ctx.textAlign = "right";
  ctx.fillStyle = node.mode === BYPASSED ? theme.bypass : theme.faint;
  ctx.fillText(told, layout.width - 10, middle);
}

function markWidth(ctx: CanvasRenderingContext2D, mark: string): number {
  const { font } = ctx;
  ctx.font = fonts.small;
  const width = widthOf(ctx, mark);
  ctx.font = font;
  return width;
}

export function willRun(editor: Editor, node: GraphNode): boolean {
  const { fresh } = editor.run;
  if (!fresh) return false;
  const id = editor.executionId(node.id);
  if (fresh.has(id)) return true;
  if (!editor.document.subgraphs.has(node.type)) return false;
  for (const inner of fresh) if (inner.startsWith(`${id}:`)) return true;
  return false;
}

function runMark(run: NodeRun | undefined): string {
  if (!run) return "";
  if (run.state === "cached") return t("cached");
  if (run.state === "running" && run.max > 1) return `${run.value} / ${run.max}`;
  if (run.state === "done" && run.took !== null && run.took >= 50) return formatTime(run.took);
  return "";
}

const lightness = new Map<string, boolean>();
/** Nodes coloured by their users keep a title one can read. */
function readableOn(color: string): string {
  return isLight(color) ? "#15181d" : "#f4f5f7";
}

function isLight(color: string): boolean {
  let known = lightness.get(color);
  if (known === undefined) {
    const hex = /^#([0-9a-f]{3,8})$/i.exec(color)?.[1];
    const full = hex && hex.length < 6 ? [...hex].map((c) => c + c).join("") : hex;
    const [r, g, b] = full ? [0, 2, 4].map((i) => parseInt(full.slice(i, i + 2), 16)) : [];
    known = r !== undefined && (r * 299 + (g ?? 0) * 587 + (b ?? 0) * 114) / 1000 > 150;
    lightness.set(color, known);
  }
  return known;
}

function drawWidgetBars(ctx: CanvasRenderingContext2D, layout: NodeLayout, theme: Theme): void {
  ctx.fillStyle = theme.field;
  ctx.beginPath();
  for (const { rect } of layout.widgets) ctx.rect(...rect);
  ctx.fill();
}

function drawSockets(ctx: CanvasRenderingContext2D, editor: Editor, node: GraphNode, layout: NodeLayout, theme: Theme): void {
  const { gesture, graph, viewport } = editor;
  const dragging = gesture.kind === "linking" ? gesture : null;
  const labelled = viewport.scale >= 0.42 && !node.collapsed && layout.titled;
  const leaving = wiring(graph).outOf.get(node.id);
  ctx.textBaseline = "middle";
  const draw = (placed: PlacedSocket, side: "input" | "output"): void => {
    const { socket } = placed;
    const connected = side === "input" ? socket.index >= 0 && linkInto(graph, node.id, socket.index) !== undefined : (leaving?.some((link) => link.fromSlot === placed.slot) ?? false);
    const fitting = dragging ? accepts(editor, dragging.from, node.id, side === "input" ? { side, input: socket.name } : { side, output: placed.slot }) : false;
    // A widget's dot is shown only when it is used or could be.
    const isWidget = socket.widget !== null;
    if (isWidget && !connected && !fitting && editor.hovered !== node.id) return;
    const origin = dragging?.from.node === node.id && (dragging.from.side === "output" ? side === "output" && dragging.from.output === placed.slot : side === "input" && dragging.from.input === socket.name);
    const over = fitting && dragging !== null && dragging.over.kind === side && dragging.over.node === node.id && (dragging.over.kind === "input" ? dragging.over.input === socket.name : dragging.over.kind === "output" && dragging.over.output === placed.slot);
    const dimmed = dragging !== null && !fitting && !origin;
    if (node.collapsed && !connected && !fitting) return;
    drawSocket(ctx, theme, socket.type, placed.x, placed.y, { connected, optional: socket.optional && side === "input", dimmed, lit: over || (fitting && !isWidget), small: isWidget });
    if (!labelled || isWidget) return;
    ctx.font = fonts.label;
    ctx.globalAlpha = (dimmed ? 0.35 : 1) * (node.mode === 0 ? 1 : 0.6);
    ctx.fillStyle = fitting ? theme.text : theme.muted;
    ctx.textAlign = side === "input" ? "left" : "right";
    const other = side === "input" ? layout.outputs.length > 0 : layout.inputs.length > 0;
    const text = cutTo(ctx, socket.label, other ? layout.width / 2 - 8 : layout.width - 24);
    ctx.fillText(text, side === "input" ? placed.x + 12 : placed.x - 12, placed.y + 0.5);
    ctx.globalAlpha = 1;
  };
  for (const placed of layout.inputs) draw(placed, "input");
  for (const placed of layout.outputs) draw(placed, "output");
}

function drawMedia(ctx: CanvasRenderingContext2D, editor: Editor, node: GraphNode, layout: NodeLayout, looks: NodeLooks): void {
  if (!layout.media) return;
  const [x, y, w, h] = layout.media;
  const { theme } = looks;
  ctx.beginPath();
  ctx.roundRect(x, y, w, h, 6);
  ctx.fillStyle = theme.field;
  ctx.fill();
  const images = looks.image(node);
  const text = editor.run.text.get(editor.mediaId(node));
  if (images.length === 0) {
    ctx.font = fonts.text;
    ctx.textAlign = "left";
    ctx.textBaseline = "alphabetic";
    ctx.fillStyle = text === undefined ? theme.faint : theme.text;
    const lines = wrap(ctx, text ?? "…", w - 16, 40);
    for (let i = 0; i < Math.min(lines.length, Math.floor((h - 8) / 17)); i++) ctx.fillText(lines[i] ?? "", x + 8, y + 17 + i * 17);
    return;
  }
  ctx.save();
  ctx.clip();
  const columns = Math.min(images.length, Math.max(1, Math.round(Math.sqrt((images.length * w) / h))));
  const rows = Math.ceil(images.length / columns);
  images.forEach((image, i) => {
    const cell = [x + ((i % columns) * w) / columns, y + (Math.floor(i / columns) * h) / rows, w / columns, h / rows] as const;
    const scale = Math.min(cell[2] / image.naturalWidth, cell[3] / image.naturalHeight);
    const [iw, ih] = [image.naturalWidth * scale, image.naturalHeight * scale];
    ctx.imageSmoothingEnabled = scale * editor.viewport.scale < 3;
    ctx.imageSmoothingQuality = "high";
    ctx.drawImage(image, cell[0] + (cell[2] - iw) / 2, cell[1] + (cell[3] - ih) / 2, iw, ih);
  });
  ctx.restore();
}

function drawRun(ctx: CanvasRenderingContext2D, layout: NodeLayout, run: NodeRun, { theme, now }: NodeLooks): void {
  if (run.state !== "running") return;
  // Known progress fills from the left; unknown shows that it is alive by a slow pulse.
  const share = run.max > 1 ? run.value / run.max : 0;
  ctx.fillStyle = theme.good;
  if (share > 0) ctx.fillRect(1, -2, (layout.width - 2) * Math.min(1, share), 2);
  else {
    ctx.globalAlpha = 0.35 + 0.35 * Math.sin((now - run.startedAt) / 300);
    ctx.fillRect(1, -2, layout.width - 2, 2);
    ctx.globalAlpha = 1;
  }
}

export function drawGroup(ctx: CanvasRenderingContext2D, group: Group, selected: boolean, theme: Theme, scale: number): void {
  const [x, y, w, h] = frameRect(group);
  const color = group.color ?? theme.muted;
  ctx.beginPath();
  ctx.roundRect(x, y, w, h, 10);
  ctx.fillStyle = color;
  ctx.globalAlpha = theme.name === "dark" ? 0.1 : 0.14;
  ctx.fill();
  ctx.globalAlpha = selected ? 1 : 0.5;
  ctx.lineWidth = selected ? 2 : 1;
  ctx.strokeStyle = selected ? theme.accent : color;
  ctx.stroke();
  if (scale < 0.12) {
    ctx.globalAlpha = 1;
    return;
  }
  ctx.globalAlpha = 0.95;
  ctx.font = fonts.group;
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  ctx.fillStyle = theme.text;
  const title = cutTo(ctx, group.title, w - 40);
  if (widthOf(ctx, title) > 0) ctx.fillText(title, x + 28, y + 17);
  ctx.beginPath();
  if (group.folded) {
    ctx.moveTo(x + 12, y + 12);
    ctx.lineTo(x + 16, y + 16);
    ctx.lineTo(x + 12, y + 20);
  } else {
    ctx.moveTo(x + 10, y + 14);
    ctx.lineTo(x + 14, y + 18);
    ctx.lineTo(x + 18, y + 14);
  }
  ctx.strokeStyle = theme.muted;
  ctx.lineWidth = 1.5;
  ctx.stroke();
  if (group.folded) {
    ctx.globalAlpha = 1;
    return;
  }
  ctx.beginPath();
  ctx.moveTo(x + w - 5, y + h - 14);
  ctx.lineTo(x + w - 14, y + h - 5);
  ctx.moveTo(x + w - 5, y + h - 9);
  ctx.lineTo(x + w - 9, y + h - 5);
  ctx.strokeStyle = color;
  ctx.lineWidth = 1.5;
  ctx.stroke();
  ctx.globalAlpha = 1;
}
