/** Between graph units and screen pixels, as files store it: screen = (graph + offset) × scale. */

import type { Point, Rect } from "../graph/document";

export interface Viewport {
  readonly scale: number;
  readonly offset: Point;
}

export const MIN_SCALE = 0.05;
export const MAX_SCALE = 4;
/** From here on rows can be read, so they carry real elements. */
export const NEAR = 0.55;

export const toScreen = (view: Viewport, [x, y]: Point): Point => [(x + view.offset[0]) * view.scale, (y + view.offset[1]) * view.scale];
export const toGraph = (view: Viewport, [x, y]: Point): Point => [x / view.scale - view.offset[0], y / view.scale - view.offset[1]];

export const visible = (view: Viewport, width: number, height: number): Rect => [-view.offset[0], -view.offset[1], width / view.scale, height / view.scale];

export const pan = (view: Viewport, dx: number, dy: number): Viewport => ({
  ...view,
  offset: [view.offset[0] + dx / view.scale, view.offset[1] + dy / view.scale],
});

/** Zooms so that what is under the point stays there. */
export function zoomAt(view: Viewport, at: Point, factor: number): Viewport {
  const scale = Math.min(MAX_SCALE, Math.max(MIN_SCALE, view.scale * factor));
  const [x, y] = toGraph(view, at);
  return { scale, offset: [at[0] / scale - x, at[1] / scale - y] };
}

/** Shows a rectangle whole, with a margin, never larger than life. */
export function fit(rect: Rect, width: number, height: number, margin = 48): Viewport {
  const scale = Math.max(MIN_SCALE, Math.min(1, (width - 2 * margin) / Math.max(1, rect[2]), (height - 2 * margin) / Math.max(1, rect[3])));
  return { scale, offset: [width / 2 / scale - rect[0] - rect[2] / 2, height / 2 / scale - rect[1] - rect[3] / 2] };
}
