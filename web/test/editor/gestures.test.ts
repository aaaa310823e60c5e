import { describe, expect, test } from "vitest";
import { type Gesture, type Intent, type Pointer, type Target, idle, step } from "../../src/editor/gesture";

const empty: Target = { kind: "empty" };
const event = (type: Pointer["type"], at: readonly [number, number], target: Target = empty, more: Partial<Pointer> = {}): Pointer => ({ type, at, screen: at, target, button: 0, shift: false, ctrl: false, alt: false, hand: false, ...more });

/** What a hand did, as the kinds of what was meant. */
function play(...events: Pointer[]): { gesture: Gesture; meant: Intent[] } {
  let gesture = idle;
  const meant: Intent[] = [];
  for (const one of events) {
    const [next, intent] = step(gesture, one);
    gesture = next;
    if (intent) meant.push(intent);
  }
  return { gesture, meant };
}
const output: Target = { kind: "output", node: "1", output: 0 };
const input: Target = { kind: "input", node: "2", input: "image" };
const title: Target = { kind: "title", node: "1" };

describe("on the canvas", () => {
  test("press on a slot, move, release over another: linked", () => {
    const { meant, gesture } = play(event("down", [0, 0], output), event("move", [20, 0]), event("up", [50, 0], input));
    expect(meant.at(-1)).toMatchObject({ kind: "drop-link", from: { side: "output", node: "1", output: 0 }, target: input });
    expect(gesture).toBe(idle);
  });

  test("a press that hardly moves is a click, not a drag", () => {
    const { meant } = play(event("down", [0, 0], title), event("move", [2, 2], title), event("up", [2, 2], title));
    expect(meant.map((intent) => intent.kind)).toEqual(["press", "click"]);
  });

  test("dragging a title moves the node by the whole way, the slop included", () => {
    const { meant } = play(event("down", [0, 0], title), event("move", [10, 0], title), event("up", [12, 4], title));
    expect(meant.at(-1)).toMatchObject({ kind: "move", by: [12, 4], live: false });
  });

  test("empty space pans; with Ctrl it selects a region; with the right button it cuts", () => {
    const drag = (more: Partial<Pointer>): string | undefined => play(event("down", [0, 0], empty, more), event("move", [30, 0], empty, more), event("up", [60, 0], empty, more)).meant.at(-1)?.kind;
    expect([drag({}), drag({ ctrl: true }), drag({ button: 2 })]).toEqual(["pan", "box", "cut"]);
  });

  test("Space or the middle button pan wherever they press", () => {
    expect(play(event("down", [0, 0], title, { hand: true }), event("move", [9, 9])).meant.at(-1)).toEqual({ kind: "pan", by: [9, 9] });
    expect(play(event("down", [0, 0], title, { button: 1 }), event("move", [5, 5])).meant.at(-1)?.kind).toBe("pan");
  });

  test("a number scrubs sideways, other widgets are clicked", () => {
    const number: Target = { kind: "widget", node: "1", key: "steps", scrub: true };
    expect(play(event("down", [0, 0], number), event("move", [40, 0]), event("up", [48, 0])).meant.at(-1)).toMatchObject({ kind: "scrub", dx: 48, live: false });
    expect(play(event("down", [0, 0], number), event("up", [0, 0], number)).meant.at(-1)?.kind).toBe("click");
  });

  test("Escape takes any drag back", () => {
    for (const target of [title, output, empty]) {
      const { meant, gesture } = play(event("down", [0, 0], target), event("move", [30, 0]), event("cancel", [30, 0]));
      expect(meant.at(-1)?.kind).toBe("cancel");
      expect(gesture).toBe(idle);
    }
  });
});
