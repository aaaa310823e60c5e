/** What a hand does on the canvas, as a state machine: pointer events in, meanings out. No DOM, no drawing. */

import { type LinkId, type NodeId, type Point, type Rect, SUBGRAPH_IN, SUBGRAPH_OUT } from "../graph/document";
import { rectOf } from "./geometry";

export type Target =
  | { readonly kind: "empty" }
  | { readonly kind: "title"; readonly node: NodeId }
  | { readonly kind: "body"; readonly node: NodeId }
  | { readonly kind: "media"; readonly node: NodeId }
  | { readonly kind: "collapse"; readonly node: NodeId }
  | { readonly kind: "resize"; readonly node: NodeId }
  | { readonly kind: "output"; readonly node: NodeId; readonly output: number }
  | { readonly kind: "input"; readonly node: NodeId; readonly input: string }
  | { readonly kind: "widget"; readonly node: NodeId; readonly key: string; readonly scrub: boolean }
  | { readonly kind: "link"; readonly link: LinkId }
  | { readonly kind: "reroute"; readonly reroute: number }
  /** The tag of a portal, at one end of its link. */
  | { readonly kind: "portal"; readonly link: LinkId; readonly side: "output" | "input" }
  /** A slot at the edge of the subgraph on screen; one past the last stands for a new one. */
  | { readonly kind: "end"; readonly side: "input" | "output"; readonly slot: number }
  | { readonly kind: "group"; readonly group: number }
  | { readonly kind: "group-fold"; readonly group: number }
  | { readonly kind: "group-resize"; readonly group: number };

export interface Pointer {
  readonly type: "down" | "move" | "up" | "cancel" | "double";
  readonly at: Point;
  readonly screen: Point;
  readonly target: Target;
  /** 0 left, 1 middle, 2 right. */
  readonly button: number;
  readonly shift: boolean;
  readonly ctrl: boolean;
  readonly alt: boolean;
  /** Space is held: everything pans. */
  readonly hand: boolean;
}

export type LinkEnd = { readonly side: "output"; readonly node: NodeId; readonly output: number } | { readonly side: "input"; readonly node: NodeId; readonly input: string };

export type Gesture =
  | { readonly kind: "idle" }
  | { readonly kind: "pressed"; readonly down: Pointer }
  | { readonly kind: "panning"; readonly last: Point }
  | { readonly kind: "boxing"; readonly from: Point; readonly to: Point; readonly add: boolean }
  | { readonly kind: "lassoing"; readonly path: readonly Point[]; readonly add: boolean }
  | { readonly kind: "moving"; readonly from: Point; readonly delta: Point; readonly target: Target }
  | { readonly kind: "resizing"; readonly target: Target; readonly from: Point; readonly delta: Point }
  | { readonly kind: "linking"; readonly from: LinkEnd; readonly at: Point; readonly over: Target }
  | { readonly kind: "scrubbing"; readonly node: NodeId; readonly key: string; readonly from: Point; readonly dx: number; readonly fine: boolean }
  | { readonly kind: "cutting"; readonly path: readonly Point[] };

/** What the user meant. `live` ones come while the hand still moves. */
export type Intent =
  | { readonly kind: "pan"; readonly by: Point }
  | { readonly kind: "press"; readonly target: Target; readonly add: boolean }
  | { readonly kind: "click"; readonly target: Target; readonly at: Point; readonly add: boolean; readonly alt: boolean }
  | { readonly kind: "double"; readonly target: Target; readonly at: Point }
  | { readonly kind: "menu"; readonly target: Target; readonly at: Point; readonly screen: Point }
  | { readonly kind: "box"; readonly rect: Rect; readonly add: boolean; readonly live: boolean }
  | { readonly kind: "lasso"; readonly path: readonly Point[]; readonly add: boolean; readonly live: boolean }
  | { readonly kind: "move"; readonly target: Target; readonly by: Point; readonly live: boolean; readonly copy: boolean }
  | { readonly kind: "resize"; readonly target: Target; readonly by: Point; readonly live: boolean }
  | { readonly kind: "pick-up"; readonly from: LinkEnd; readonly keep: boolean }
  | { readonly kind: "drop-link"; readonly from: LinkEnd; readonly target: Target; readonly at: Point; readonly screen: Point; readonly keep: boolean }
  | { readonly kind: "scrub"; readonly node: NodeId; readonly key: string; readonly dx: number; readonly fine: boolean; readonly live: boolean }
  | { readonly kind: "cut"; readonly path: readonly Point[] }
  | { readonly kind: "cancel" };

export const idle: Gesture = { kind: "idle" };

/** Screen pixels a press may wander and still be a click. */
const SLOP = 4;

const minus = (a: Point, b: Point): Point => [a[0] - b[0], a[1] - b[1]];

/** What the pointer event does to the gesture, and what the user meant by it, if that is now clear. */
export function step(gesture: Gesture, event: Pointer): readonly [Gesture, Intent | null] {
  if (event.type === "cancel") return [idle, gesture.kind === "idle" ? null : { kind: "cancel" }];
  if (event.type === "double") return [idle, { kind: "double", target: event.target, at: event.at }];
  switch (gesture.kind) {
    case "idle":
      return event.type === "down" ? press(event) : [gesture, null];
    case "pressed":
      return pressed(gesture.down, gesture, event);
    case "panning":
      return event.type === "up" ? [idle, null] : [{ kind: "panning", last: event.screen }, { kind: "pan", by: minus(event.screen, gesture.last) }];
    case "boxing": {
      const rect = rectOf(gesture.from, event.at);
      const live = event.type !== "up";
      return [live ? { ...gesture, to: event.at } : idle, { kind: "box", rect, add: gesture.add, live }];
    }
    case "lassoing": {
      const path = [...gesture.path, event.at];
      const live = event.type !== "up";
      return [live ? { ...gesture, path } : idle, { kind: "lasso", path, add: gesture.add, live }];
    }
    case "moving": {
      const by = minus(event.at, gesture.from);
      const live = event.type !== "up";
      return [live ? { ...gesture, delta: by } : idle, { kind: "move", target: gesture.target, by, live, copy: event.alt }];
    }
    case "resizing": {
      const by = minus(event.at, gesture.from);
      const live = event.type !== "up";
      return [live ? { ...gesture, delta: by } : idle, { kind: "resize", target: gesture.target, by, live }];
    }
    case "linking":
      if (event.type === "move") return [{ ...gesture, at: event.at, over: event.target }, null];
      return [idle, { kind: "drop-link", from: gesture.from, target: event.target, at: event.at, screen: event.screen, keep: event.shift }];
    case "scrubbing": {
      const dx = event.screen[0] - gesture.from[0];
      const live = event.type !== "up";
      return [live ? { ...gesture, dx, fine: event.shift } : idle, { kind: "scrub", node: gesture.node, key: gesture.key, dx, fine: event.shift, live }];
    }
    case "cutting": {
      const path = [...gesture.path, event.at];
      return event.type === "up" ? [idle, { kind: "cut", path }] : [{ kind: "cutting", path }, null];
    }
  }
}

function press(event: Pointer): readonly [Gesture, Intent | null] {
  if (event.button === 1 || event.hand) return [{ kind: "panning", last: event.screen }, null];
  if (event.button === 2) {
    // A right drag over empty space cuts links; a right click opens the menu.
    return [{ kind: "pressed", down: event }, null];
  }
  const { target } = event;
  const pressed: Gesture = { kind: "pressed", down: event };
  const selects = target.kind === "title" || target.kind === "body" || target.kind === "media" || target.kind === "group" || target.kind === "reroute";
  return [pressed, selects ? { kind: "press", target, add: event.shift || event.ctrl } : null];
}

function pressed(down: Pointer, gesture: Gesture, event: Pointer): readonly [Gesture, Intent | null] {
  const { target } = down;
  if (event.type === "up") {
    if (down.button === 2) return [idle, { kind: "menu", target, at: down.at, screen: down.screen }];
    return [idle, { kind: "click", target, at: down.at, add: down.shift || down.ctrl, alt: down.alt }];
  }
  const far = Math.hypot(...minus(event.screen, down.screen)) > SLOP;
  if (event.type !== "move" || !far) return [gesture, null];
  if (down.button === 2) return target.kind === "empty" ? [{ kind: "cutting", path: [down.at, event.at] }, null] : [gesture, null];
  switch (target.kind) {
    case "empty":
    case "link":
      if (down.alt || (down.ctrl && down.shift)) {
        const path = [down.at, event.at];
        return [{ kind: "lassoing", path, add: down.shift && !down.ctrl }, { kind: "lasso", path, add: down.shift && !down.ctrl, live: true }];
      }
      if (down.ctrl || down.shift) {
        return [{ kind: "boxing", from: down.at, to: event.at, add: down.shift }, { kind: "box", rect: rectOf(down.at, event.at), add: down.shift, live: true }];
      }
      return [{ kind: "panning", last: event.screen }, { kind: "pan", by: minus(event.screen, down.screen) }];
    case "output": {
      const from: LinkEnd = { side: "output", node: target.node, output: target.output };
      return [{ kind: "linking", from, at: event.at, over: event.target }, { kind: "pick-up", from, keep: true }];
    }
    case "input": {
      const from: LinkEnd = { side: "input", node: target.node, input: target.input };
      return [{ kind: "linking", from, at: event.at, over: event.target }, { kind: "pick-up", from, keep: down.shift }];
    }
    case "end": {
      const from: LinkEnd = target.side === "input" ? { side: "output", node: SUBGRAPH_IN, output: target.slot } : { side: "input", node: SUBGRAPH_OUT, input: String(target.slot) };
      return [{ kind: "linking", from, at: event.at, over: event.target }, { kind: "pick-up", from, keep: true }];
    }
    case "portal":
    case "group-fold":
      return [gesture, null];
    case "resize":
    case "group-resize":
      return [{ kind: "resizing", target, from: down.at, delta: [0, 0] }, null];
    case "widget":
      if (target.scrub) return [{ kind: "scrubbing", node: target.node, key: target.key, from: down.screen, dx: 0, fine: false }, null];
      return [{ kind: "moving", from: down.at, delta: [0, 0], target: { kind: "body", node: target.node } }, { kind: "press", target: { kind: "body", node: target.node }, add: down.shift }];
    case "title":
    case "body":
    case "media":
    case "collapse":
    case "group":
    case "reroute":
      return [{ kind: "moving", from: down.at, delta: minus(event.at, down.at), target }, { kind: "move", target, by: minus(event.at, down.at), live: true, copy: false }];
  }
}

/** The links a stroke crosses are found by the caller; this says whether two segments cross. */
export function crosses(a: Point, b: Point, c: Point, d: Point): boolean {
  const side = (p: Point, q: Point, r: Point): number => (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]);
  return side(a, b, c) * side(a, b, d) < 0 && side(c, d, a) * side(c, d, b) < 0;
}

/** Whether a point lies inside a closed stroke. */
export function encloses(stroke: readonly Point[], [x, y]: Point): boolean {
  let inside = false;
  for (let i = 0, j = stroke.length - 1; i < stroke.length; j = i++) {
    const [a, b] = [stroke[i], stroke[j]];
    if (a && b && a[1] > y !== b[1] > y && x < ((b[0] - a[0]) * (y - a[1])) / (b[1] - a[1]) + a[0]) inside = !inside;
  }
  return inside;
}
