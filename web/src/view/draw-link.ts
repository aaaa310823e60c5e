/** Links: curves by type, straight and batched where they are too small to follow. */

import type { Graph, Link, LinkId, Point, Rect } from "../graph/document";
import type { Editor } from "../editor/editor";
import { type LinkStyle, curve, linkEnds, linkPath } from "../editor/geometry";
import { tagRect } from "../editor/portals";
import { cutTo, fonts } from "./text";
import { type Theme, typeStyle } from "./theme";

export function tracePath(path: Path2D | CanvasRenderingContext2D, points: readonly Point[], style: LinkStyle): void {
  for (let i = 0; i + 1 < points.length; i++) {
    const [a, b] = [points[i], points[i + 1]];
    if (!a || !b) continue;
    if (i === 0) path.moveTo(a[0], a[1]);
    if (style === "straight") path.lineTo(b[0], b[1]);
    else if (style === "stepped") {
      const middle = (a[0] + b[0]) / 2;
      path.lineTo(middle, a[1]);
      path.lineTo(middle, b[1]);
      path.lineTo(b[0], b[1]);
    } else {
      const [c, d] = curve(a, b);
      path.bezierCurveTo(c[0], c[1], d[0], d[1], b[0], b[1]);
    }
  }
}

const outside = (points: readonly Point[], [x, y, w, h]: Rect): boolean => {
  let [x0, y0, x1, y1] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [px, py] of points) {
    if (px < x0) x0 = px;
    if (px > x1) x1 = px;
    if (py < y0) y0 = py;
    if (py > y1) y1 = py;
  }
  return x1 + 160 < x || x0 - 160 > x + w || y1 < y || y0 > y + h;
};

/** A quick no: both nodes lie on the same side of the view. */
function beside(graph: Graph, link: Link, [x, y, w, h]: Rect): boolean {
  const source = graph.nodes.get(link.from);
  const target = graph.nodes.get(link.to);
  if (!source || !target || link.reroute !== null) return false;
  const [a, b] = [source.pos, target.pos];
  return (a[0] > x + w + 200 && b[0] > x + w + 200) || (a[1] > y + h + 200 && b[1] > y + h + 200) || (a[0] + source.size[0] < x - 200 && b[0] + target.size[0] < x - 200);
}

const pictures = new WeakMap<Graph, { readonly theme: Theme; readonly style: LinkStyle; readonly paths: ReadonlyMap<string, Path2D> }>();

export interface LinkLooks {
  readonly style: LinkStyle;
  readonly hidden: boolean;
  readonly hovered: LinkId | null;
  /** Links of selected nodes stand out; the rest stay calm. */
  readonly emphasised: (link: Link) => boolean;
}

export function drawLinks(ctx: CanvasRenderingContext2D, editor: Editor, theme: Theme, view: Rect, looks: LinkLooks): void {
  const { graph, viewport } = editor;
  const far = viewport.scale < 0.3;
  const strong: (readonly [string, Path2D])[] = [];
  const { ends } = editor;
  const folded = editor.folded.nodes;
  const portals: Link[] = [];
  const failing = new Set(editor.run.problems.flatMap((one) => (one.input === null ? [] : [`${one.node}\n${one.input}`])));
  const isFailing = (link: Link): boolean => failing.size > 0 && failing.has(`${editor.executionId(link.to)}\n${graph.nodes.get(link.to)?.inputs[link.toSlot]?.name}`);
  const build = (all: boolean): Map<string, Path2D> => {
    const batches = new Map<string, Path2D>();
    for (const link of graph.links.values()) {
      if (!all && beside(graph, link, view)) continue;
      const broken = isFailing(link);
      const emphasised = !far && (broken || looks.hovered === link.id || looks.emphasised(link));
      if (link.portal !== undefined && !far) portals.push(link);
      if ((looks.hidden || link.portal !== undefined) && !emphasised) continue;
      const points = link.portal === undefined ? linkPath(graph, link, editor.layout, ends, folded) : linkEnds(graph, link, editor.layout, ends, folded);
      if (!points || (!all && outside(points, view))) continue;
      const color = broken ? theme.danger : typeStyle(theme, link.type).color;
      let path = emphasised ? undefined : batches.get(color);
      if (!path) {
        path = new Path2D();
        if (emphasised) strong.push([color, path]);
        else batches.set(color, path);
      }
      tracePath(path, points, far && looks.style === "curve" ? "straight" : looks.style);
    }
    return batches;
  };
  let batches: ReadonlyMap<string, Path2D>;
  if (far && !editor.isLive && !looks.hidden) {
    const known = pictures.get(graph);
    batches = known?.theme === theme && known.style === looks.style ? known.paths : build(true);
    if (batches !== known?.paths) pictures.set(graph, { theme, style: looks.style, paths: batches });
  } else batches = build(false);
  ctx.lineCap = "round";
  ctx.lineJoin = "round";
  ctx.globalAlpha = theme.name === "dark" ? 0.62 : 0.75;
  ctx.lineWidth = far ? Math.max(1.4, 1 / viewport.scale) : 2;
  for (const [color, path] of batches) {
    ctx.strokeStyle = color;
    ctx.stroke(path);
  }
  ctx.globalAlpha = 1;
  ctx.lineWidth = 2.5;
  for (const [color, path] of strong) {
    ctx.strokeStyle = color;
    ctx.stroke(path);
  }
  if (!far) drawReroutes(ctx, editor, theme);
  for (const link of portals) drawPortal(ctx, editor, link, theme);
}

/** The tags at both ends of a link that is named instead of drawn. */
function drawPortal(ctx: CanvasRenderingContext2D, editor: Editor, link: Link, theme: Theme): void {
  const ends = editor.wireEnds(link);
  if (!ends || link.portal === undefined) return;
  const { color } = typeStyle(theme, link.type);
  for (const side of ["output", "input"] as const) {
    const [x, y, w, h] = tagRect(link.portal, side, side === "output" ? ends[0] : ends[1]);
    ctx.beginPath();
    ctx.roundRect(x, y, w, h, 9);
    ctx.fillStyle = theme.head;
    ctx.fill();
    ctx.lineWidth = 1.5;
    ctx.strokeStyle = color;
    ctx.stroke();
    ctx.font = fonts.small;
    ctx.textAlign = "center";
    ctx.textBaseline = "middle";
    ctx.fillStyle = theme.text;
    ctx.fillText(cutTo(ctx, link.portal, w - 12), x + w / 2, y + h / 2 + 0.5);
  }
}

function drawReroutes(ctx: CanvasRenderingContext2D, editor: Editor, theme: Theme): void {
  const folded = editor.folded.reroutes;
  for (const reroute of editor.graph.reroutes.values()) {
    if (folded.has(reroute.id)) continue;
    const selected = editor.selection.reroutes.has(reroute.id);
    ctx.beginPath();
    ctx.arc(reroute.pos[0], reroute.pos[1], 5, 0, Math.PI * 2);
    ctx.fillStyle = selected ? theme.accent : theme.head;
    ctx.fill();
    ctx.lineWidth = 1.5;
    ctx.strokeStyle = selected ? theme.accent : theme.muted;
    ctx.stroke();
  }
}
