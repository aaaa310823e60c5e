/** Smart guides: a moving thing catches on the edges and middles of what stands still. */

import type { Point, Rect } from "../graph/document";

/** A line to draw: `axis` 0 is upright at x = `at`, 1 lies at y = `at`. */
export interface Guide {
  readonly axis: 0 | 1;
  readonly at: number;
  readonly from: number;
  readonly to: number;
}

export interface Aligned {
  readonly by: Point;
  readonly guides: readonly Guide[];
}

/** What is further away than this is no neighbour: a line across the whole graph says nothing. */
const NEIGHBOURHOOD = 1200;
const PLACES = [0, 0.5, 1] as const;

/** How far `moving` has to go for its edges or middles to lie on those of the nearest of `others`, at most `reach` each way. */
export function align(moving: Rect, others: readonly Rect[], reach: number): Aligned {
  const guides: Guide[] = [];
  const by: [number, number] = [0, 0];
  for (const axis of [0, 1] as const) {
    const [size, across, breadth] = axis === 0 ? ([2, 1, 3] as const) : ([3, 0, 2] as const);
    let best: { readonly shift: number; readonly at: number; readonly gap: number; readonly other: Rect } | null = null;
    for (const other of others) {
      const gap = Math.max(0, other[across] - moving[across] - moving[breadth], moving[across] - other[across] - other[breadth]);
      if (gap > NEIGHBOURHOOD) continue;
      for (const place of PLACES) {
        const at = other[axis] + other[size] * place;
        const shift = at - moving[axis] - moving[size] * place;
        if (Math.abs(shift) > reach) continue;
        if (!best || Math.abs(shift) < Math.abs(best.shift) || (Math.abs(shift) === Math.abs(best.shift) && gap < best.gap)) best = { shift, at, gap, other };
      }
    }
    if (!best) continue;
    by[axis] = best.shift;
    guides.push({ axis, at: best.at, from: Math.min(moving[across], best.other[across]), to: Math.max(moving[across] + moving[breadth], best.other[across] + best.other[breadth]) });
  }
  return { by, guides };
}
