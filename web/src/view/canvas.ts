/** The drawing: on demand, once per frame, only what is visible, in device pixels. */

import type { GraphNode, Point, Rect } from "../graph/document";
import type { Editor } from "../editor/editor";
import { frameRect } from "../editor/frames";
import { type LinkStyle, overlaps, rectOf, socketPoint } from "../editor/geometry";
import type { LinkEnd } from "../editor/gesture";
import { nodesIn } from "../editor/hit";
import { visible } from "../editor/viewport";
import { typeOf } from "../editor/wiring";
import { drawLinks, tracePath } from "./draw-link";
import { FAR, type NodeLooks, drawFar, drawGhost, drawGroup, drawNode } from "./draw-node";
import { fonts } from "./text";
import { type Theme, typeStyle } from "./theme";

export interface Looks extends NodeLooks {
  readonly linkStyle: LinkStyle;
  readonly linksHidden: boolean;
  readonly hoveredLink: number | null;
  readonly grid: boolean;
  /** Nodes that a comparison says are gone. */
  readonly ghosts: readonly GraphNode[];
}

export class Canvas {
  private readonly ctx: CanvasRenderingContext2D;
  private requested = 0;
  /** The nodes of the last picture. */
  shown: readonly GraphNode[] = [];
  width = 0;
  height = 0;
  /** Called once per frame, before drawing; returns what to draw. */
  frame: () => { readonly editor: Editor; readonly looks: Looks } | null = () => null;
  /** Called after drawing: the overlay follows the picture. */
  drawn: () => void = () => undefined;

  constructor(readonly element: HTMLCanvasElement) {
    const ctx = element.getContext("2d", { alpha: false });
    if (!ctx) throw new Error("This browser gives no 2D canvas.");
    this.ctx = ctx;
  }

  resize(width: number, height: number): void {
    this.width = width;
    this.height = height;
    const ratio = devicePixelRatio;
    this.element.width = Math.round(width * ratio);
    this.element.height = Math.round(height * ratio);
    this.request();
  }

  request(): void {
    if (this.requested) return;
    this.requested = requestAnimationFrame(() => {
      this.requested = 0;
      this.draw();
    });
  }

  draw(): void {
    const scene = this.frame();
    if (!scene || this.width === 0) return;
    const { editor, looks } = scene;
    const { ctx } = this;
    const { scale, offset } = editor.viewport;
    const ratio = devicePixelRatio;
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.fillStyle = looks.theme.canvas;
    ctx.fillRect(0, 0, this.width, this.height);
    const view = visible(editor.viewport, this.width, this.height);
    // Whole device pixels for the origin: text and hairlines stay sharp while panning.
    const [tx, ty] = [Math.round(offset[0] * scale * ratio), Math.round(offset[1] * scale * ratio)];
    ctx.setTransform(ratio * scale, 0, 0, ratio * scale, tx, ty);
    if (looks.grid) drawGrid(ctx, view, scale, looks.theme);
    const { folded } = editor;
    editor.graph.groups.forEach((group, i) => {
      if (!folded.groups.has(i) && overlaps(frameRect(group), view)) drawGroup(ctx, group, editor.selection.groups.has(i), looks.theme, scale);
    });
    const selected = editor.selection.nodes;
    drawLinks(ctx, editor, looks.theme, view, {
      style: looks.linkStyle,
      hidden: looks.linksHidden && editor.gesture.kind !== "linking",
      hovered: looks.hoveredLink,
      emphasised: (link) => selected.size > 0 && selected.size < 100 && (selected.has(link.from) || selected.has(link.to)),
    });
    drawEnds(ctx, editor, looks.theme);
    for (const node of looks.ghosts) drawGhost(ctx, editor, node, looks.theme);
    const nodes = nodesIn(editor, view);
    this.shown = nodes;
    if (scale < FAR) drawFar(ctx, editor, nodes, looks.theme);
    else for (const node of nodes) drawNode(ctx, editor, node, looks);
    this.drawGesture(editor, looks);
    this.drawn();
  }

  private drawGesture(editor: Editor, { theme, linkStyle }: Looks): void {
    const { ctx } = this;
    const { gesture } = editor;
    const hair = 1 / editor.viewport.scale;
    if (gesture.kind === "boxing") {
      const [x, y, w, h] = rectOf(gesture.from, gesture.to);
      ctx.fillStyle = theme.accent;
      ctx.globalAlpha = 0.12;
      ctx.fillRect(x, y, w, h);
      ctx.globalAlpha = 1;
      ctx.lineWidth = hair;
      ctx.strokeStyle = theme.accent;
      ctx.strokeRect(x, y, w, h);
    } else if (gesture.kind === "lassoing") {
      ctx.beginPath();
      gesture.path.forEach(([x, y], i) => (i === 0 ? ctx.moveTo(x, y) : ctx.lineTo(x, y)));
      ctx.closePath();
      ctx.fillStyle = theme.accent;
      ctx.globalAlpha = 0.12;
      ctx.fill();
      ctx.globalAlpha = 1;
      ctx.lineWidth = hair;
      ctx.strokeStyle = theme.accent;
      ctx.stroke();
    } else if (gesture.kind === "moving") {
      ctx.beginPath();
      for (const { axis, at, from, to } of editor.guides) {
        ctx.moveTo(axis === 0 ? at : from, axis === 0 ? from : at);
        ctx.lineTo(axis === 0 ? at : to, axis === 0 ? to : at);
      }
      ctx.lineWidth = hair;
      ctx.strokeStyle = theme.accent;
      ctx.stroke();
    } else if (gesture.kind === "cutting") {
      ctx.beginPath();
      gesture.path.forEach(([x, y], i) => (i === 0 ? ctx.moveTo(x, y) : ctx.lineTo(x, y)));
      ctx.lineWidth = 2 * hair;
      ctx.strokeStyle = theme.danger;
      ctx.setLineDash([6 * hair, 4 * hair]);
      ctx.stroke();
      ctx.setLineDash([]);
    } else if (gesture.kind === "linking") {
      const start = endPoint(editor, gesture.from);
      if (!start) return;
      ctx.beginPath();
      tracePath(ctx, gesture.from.side === "output" ? [start, gesture.at] : [gesture.at, start], linkStyle);
      ctx.lineWidth = 2.5;
      ctx.strokeStyle = typeStyle(theme, typeOf(editor, gesture.from)).color;
      ctx.stroke();
    }
  }
}

function endPoint(editor: Editor, end: LinkEnd): Point | null {
  const node = editor.graph.nodes.get(end.node);
  if (!node) return end.side === "output" ? (editor.ends?.input(end.output) ?? null) : (editor.ends?.output(Number(end.input)) ?? null);
  const layout = editor.layout(node);
  return socketPoint(node, end.side === "output" ? layout.outputs.find((placed) => placed.slot === end.output) : layout.inputs.find((placed) => placed.socket.name === end.input));
}

/** Dots every 32 units; when they would crowd, every fourth of them. */
function drawGrid(ctx: CanvasRenderingContext2D, [x, y, w, h]: Rect, scale: number, theme: Theme): void {
  let gap = 32;
  while (gap * scale < 20) gap *= 4;
  const dot = Math.max(1, 1.5 * Math.min(1, scale)) / scale;
  ctx.beginPath();
  for (let gx = Math.floor(x / gap) * gap; gx < x + w; gx += gap) {
    for (let gy = Math.floor(y / gap) * gap; gy < y + h; gy += gap) ctx.rect(gx - dot / 2, gy - dot / 2, dot, dot);
  }
  ctx.fillStyle = theme.grid;
  ctx.fill();
}

/** The slots at both ends of a subgraph, and a hollow one after the last: what is led there becomes a new slot. */
function drawEnds(ctx: CanvasRenderingContext2D, editor: Editor, theme: Theme): void {
  const { ends, ref } = editor;
  const subgraph = ref === null ? undefined : editor.document.subgraphs.get(ref);
  if (!ends || !subgraph) return;
  ctx.font = fonts.label;
  ctx.textBaseline = "middle";
  for (const [side, slots] of [["input", subgraph.inputs], ["output", subgraph.outputs]] as const) {
    ctx.textAlign = side === "input" ? "right" : "left";
    slots.forEach((slot, i) => {
      const [x, y] = ends[side](i);
      ctx.fillStyle = theme.muted;
      ctx.fillText(slot.label ?? slot.name, side === "input" ? x - 12 : x + 12, y);
      ctx.fillStyle = typeStyle(theme, slot.type).color;
      ctx.fillRect(x - 4, y - 4, 8, 8);
    });
    const [x, y] = ends[side](slots.length);
    ctx.fillStyle = theme.faint;
    ctx.fillText("+", side === "input" ? x - 12 : x + 12, y);
    ctx.strokeStyle = theme.faint;
    ctx.lineWidth = 1.5;
    ctx.strokeRect(x - 3.5, y - 3.5, 7, 7);
  }
}
