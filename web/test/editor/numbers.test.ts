import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { NumberSpec } from "../../src/graph/definitions";
import { clampNumber, evaluate, formatNumber, scrub, typedNumber } from "../../src/editor/number";
import { weigh } from "../../src/view/weights";

const float: NumberSpec = { kind: "number", integer: false, min: 0, max: 100, step: 0.1, round: 0.01, initial: 8, control: null, display: "number" };
const int: NumberSpec = { ...float, integer: true, min: 1, max: 10_000, step: 1, round: null };

describe("a number that is typed", () => {
  test("may be arithmetic", () => {
    expect(["2*(3+4)", "-2^2", "1,5 + 1", "10 % 4", "1e3", "7 8", "2*", "x", ""].map(evaluate)).toEqual([14, 4, 2.5, 2, 1000, null, null, null, null]);
  });

  test("agrees with JavaScript on any sum and product", () => {
    const term = fc.integer({ min: 1, max: 999 }).map(String);
    const expression = fc.array(fc.tuple(fc.constantFrom("+", "-", "*", "/"), term), { maxLength: 6 });
    fc.assert(
      fc.property(term, expression, (first, rest) => {
        const source = first + rest.map(([op, value]) => ` ${op} ${value}`).join("");
        expect(evaluate(source)).toBeCloseTo(Number(new Function(`return ${source}`)()), 6);
      }),
    );
  });

  test("keeps its range, its step and every digit of a large seed", () => {
    expect(typedNumber(int, "99999")).toBe(10_000);
    expect(typedNumber(float, "7.123456")).toBe(7.12);
    expect(typedNumber({ ...int, max: 2 ** 64 }, "18446744073709551615")).toBe(18446744073709551615n);
    expect(typedNumber(int, "many")).toBeNull();
  });
});

describe("a number that is scrubbed", () => {
  test("moves a step every eight pixels, finer with Shift, and stops at the ends", () => {
    expect(scrub(float, 8, 16, false)).toBe(8.2);
    expect(scrub(float, 8, 16, true)).toBe(8.02);
    expect(scrub(float, 8, -9_999, false)).toBe(0);
    expect(scrub(int, 20, 8, true)).toBe(21);
  });

  test("never leaves its range", () => {
    fc.assert(fc.property(fc.double({ min: 0, max: 100, noNaN: true }), fc.integer({ min: -5000, max: 5000 }), (start, dx) => {
      const value = scrub(float, start, dx, false);
      expect(value).toBeGreaterThanOrEqual(0);
      expect(value).toBeLessThanOrEqual(100);
    }));
  });

  test("is shown with as many places as its step has", () => {
    expect([formatNumber(float, 8), formatNumber(float, 8.05), formatNumber(int, 20)]).toEqual(["8.0", "8.05", "20"]);
    expect(clampNumber(float, 0.1 + 0.2)).toBe(0.3);
  });
});

describe("the weight of words", () => {
  const apply = (text: string, start: number, end: number, by: number): string => {
    const change = weigh(text, start, end, by);
    return text.slice(0, change.from) + change.text + text.slice(change.to);
  };
  test("rises on the word at the caret and goes away at one", () => {
    expect(apply("a red house", 3, 3, 0.05)).toBe("a (red:1.05) house");
    expect(apply("a (red:1.05) house", 4, 4, -0.05)).toBe("a red house");
    expect(apply("a (red:1.05) house", 4, 4, 0.05)).toBe("a (red:1.1) house");
    expect(apply("a red house", 2, 11, 0.1)).toBe("a (red house:1.1)");
  });
});
