import { describe, expect, test } from "vitest";
import { emptyMask, feather, invertMask, paint } from "../../src/editor/mask";

const brush = { radius: 4, hardness: 1, erase: false };

describe("a mask", () => {
  test("is painted along the stroke and nowhere else", () => {
    const mask = emptyMask(32, 16);
    paint(mask, [8, 8], [24, 8], brush);
    const at = (x: number, y: number): number => mask.data[y * 32 + x] ?? -1;
    expect([at(8, 8), at(16, 8), at(24, 8), at(16, 11)]).toEqual([255, 255, 255, 255]);
    expect([at(2, 8), at(16, 14), at(16, 1)]).toEqual([0, 0, 0]);
  });

  test("has a soft edge that a second stroke does not wear away", () => {
    const mask = emptyMask(32, 32);
    const soft = { ...brush, radius: 10, hardness: 0.2 };
    paint(mask, [16, 16], [16, 16], soft);
    const once = mask.data.slice();
    paint(mask, [16, 16], [16, 16], soft);
    expect(mask.data).toEqual(once);
    expect(once[16 * 32 + 22]).toBeGreaterThan(0);
    expect(once[16 * 32 + 22]).toBeLessThan(255);
  });

  test("is erased where the brush goes, and inverted twice it is itself", () => {
    const mask = emptyMask(16, 16);
    paint(mask, [8, 8], [8, 8], { ...brush, radius: 7 });
    expect(invertMask(invertMask(mask)).data).toEqual(mask.data);
    paint(mask, [8, 8], [8, 8], { ...brush, radius: 12, erase: true });
    expect(Math.max(...mask.data)).toBe(0);
  });

  test("keeps its weight when it is feathered", () => {
    const mask = emptyMask(64, 64);
    paint(mask, [32, 32], [32, 32], { ...brush, radius: 10 });
    const sum = (data: Uint8ClampedArray): number => data.reduce((total, value) => total + value, 0);
    const soft = feather(mask, 3);
    expect(Math.abs(sum(soft.data) / sum(mask.data) - 1)).toBeLessThan(0.02);
    expect(new Set(soft.data).size).toBeGreaterThan(8);
  });
});
