/** Painting a mask: strokes on a grid of numbers 0…255, with undo by keeping the old grid. No canvas, no DOM. */

export interface Mask {
  readonly width: number;
  readonly height: number;
  /** 255 where masked. */
  readonly data: Uint8ClampedArray;
}

export interface Brush {
  /** In pixels of the picture. */
  readonly radius: number;
  /** 0 is soft from the middle on, 1 has a hard edge. */
  readonly hardness: number;
  readonly erase: boolean;
}

export const emptyMask = (width: number, height: number): Mask => ({ width, height, data: new Uint8ClampedArray(width * height) });

export const invertMask = (mask: Mask): Mask => ({ ...mask, data: mask.data.map((value) => 255 - value) });

/** Lays a straight piece of a stroke over the mask, in place: a stroke is many pieces and one step of undo. */
export function paint(mask: Mask, from: readonly [number, number], to: readonly [number, number], { radius, hardness, erase }: Brush): void {
  const { width, height, data } = mask;
  const [x0, x1] = [Math.max(0, Math.floor(Math.min(from[0], to[0]) - radius)), Math.min(width - 1, Math.ceil(Math.max(from[0], to[0]) + radius))];
  const [y0, y1] = [Math.max(0, Math.floor(Math.min(from[1], to[1]) - radius)), Math.min(height - 1, Math.ceil(Math.max(from[1], to[1]) + radius))];
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
  const length = dx * dx + dy * dy;
  const core = radius * hardness;
  for (let y = y0; y <= y1; y++) {
    for (let x = x0; x <= x1; x++) {
      const t = length === 0 ? 0 : Math.max(0, Math.min(1, ((x + 0.5 - from[0]) * dx + (y + 0.5 - from[1]) * dy) / length));
      const distance = Math.hypot(x + 0.5 - from[0] - t * dx, y + 0.5 - from[1] - t * dy);
      if (distance > radius) continue;
      const strength = distance <= core ? 255 : 255 * (1 - (distance - core) / Math.max(1e-6, radius - core));
      const i = y * width + x;
      const before = data[i] ?? 0;
      // Going over a place again must not wear the soft edge away: the stronger touch counts.
      data[i] = erase ? Math.min(before, 255 - strength) : Math.max(before, strength);
    }
  }
}

/** The mask blurred by a box of this radius, twice each way, which is near enough to a Gaussian for an edge. */
export function feather(mask: Mask, radius: number): Mask {
  let data = mask.data;
  for (let pass = 0; pass < 2; pass++) {
    data = blurLines(data, mask.width, mask.height, radius, 1, mask.width);
    data = blurLines(data, mask.height, mask.width, radius, mask.width, 1);
  }
  return { ...mask, data };
}

function blurLines(data: Uint8ClampedArray, length: number, lines: number, radius: number, step: number, stride: number): Uint8ClampedArray {
  const out = new Uint8ClampedArray(data.length);
  const span = 2 * radius + 1;
  for (let line = 0; line < lines; line++) {
    const start = line * stride;
    const at = (i: number): number => data[start + Math.max(0, Math.min(length - 1, i)) * step] ?? 0;
    let sum = 0;
    for (let i = -radius; i <= radius; i++) sum += at(i);
    for (let i = 0; i < length; i++) {
      out[start + i * step] = sum / span;
      sum += at(i + radius + 1) - at(i - radius);
    }
  }
  return out;
}
