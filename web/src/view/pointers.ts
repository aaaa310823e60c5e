/** Mouse, pen, fingers and wheel: into gestures, pinches and zooms. */

import type { App } from "../app/app";
import { isArea } from "../editor/geometry";
import { type Pointer, type Target, step } from "../editor/gesture";
import { hit } from "../editor/hit";
import { type Host, perform } from "../editor/perform";
import { type Viewport, pan, toGraph, zoomAt } from "../editor/viewport";
import type { NodeId, Point } from "../graph/document";

const DOUBLE_MS = 400;
/** What means something when pressed twice; on anything else two quick presses are two presses. */
const DOUBLES: ReadonlySet<Target["kind"]> = new Set(["empty", "title", "body", "link", "group", "end"]);
/** A finger that rests this long opens the menu, as a right click does. */
const PRESS_MS = 550;

export interface Hands {
  look(viewport: Viewport): void;
  redraw(): void;
  /** The pointer is over a text area, which may take it itself. */
  arm(node: NodeId, key: string): void;
}

export class Pointers {
  /** Where the mouse last was, in pixels of the canvas. */
  at: Point = [0, 0];
  inside = false;
  /** What lies under it. */
  target: Target = { kind: "empty" };
  private hand = false;
  private readonly held = new Map<number, Point>();
  private pinch: { readonly distance: number; readonly middle: Point } | null = null;
  private lastDown = { time: 0, at: [0, 0] as Point };
  private pressing: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly app: App,
    private readonly element: HTMLCanvasElement,
    stage: HTMLElement,
    private readonly host: Host,
    private readonly hands: Hands,
  ) {
    element.addEventListener("pointerdown", (event) => this.down(event));
    element.addEventListener("pointermove", (event) => this.move(event));
    element.addEventListener("pointerup", (event) => this.up(event));
    element.addEventListener("pointercancel", (event) => this.cancelled(event));
    element.addEventListener("pointerenter", () => (this.inside = true));
    element.addEventListener("pointerleave", () => (this.inside = false));
    element.addEventListener("contextmenu", (event) => event.preventDefault());
    stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  /** Space is held: whatever is dragged, the canvas moves. */
  hold(held: boolean): void {
    this.hand = held;
  }

  readonly local = (event: { readonly clientX: number; readonly clientY: number }): Point => {
    const box = this.element.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  private point(type: Pointer["type"], event: PointerEvent): Pointer {
    const screen = this.local(event);
    const editor = this.app.active;
    const at = toGraph(editor.viewport, screen);
    // What lies under the hand matters when it comes down, and while it carries a link; searching 10,000 nodes takes time.
    const matters = type === "down" || editor.gesture.kind === "idle" || editor.gesture.kind === "linking" || editor.gesture.kind === "pressed";
    const reach = (event.pointerType === "touch" ? 12 : 6) / Math.min(1, editor.viewport.scale);
    return { type, at, screen, target: matters ? hit(editor, at, reach) : { kind: "empty" }, button: event.button, shift: event.shiftKey, ctrl: event.ctrlKey || event.metaKey, alt: event.altKey, hand: this.hand };
  }

  private feed(pointer: Pointer): void {
    const editor = this.app.active;
    const { settings } = this.app;
    const [gesture, intent] = step(editor.gesture, pointer);
    editor.gesture = gesture;
    if (intent) perform(editor, intent, this.host, { snap: settings.snap && !pointer.ctrl, guides: settings.guides && !pointer.ctrl });
    else editor.changed();
    this.cursor(pointer.target);
  }

  private cursor(target: Target): void {
    const next = this.cursorFor(target);
    if (this.element.style.cursor !== next) this.element.style.cursor = next;
  }

  private cursorFor(target: Target): string {
    const { gesture } = this.app.active;
    if (gesture.kind === "panning" || this.hand) return "grabbing";
    if (gesture.kind === "linking") return "crosshair";
    switch (target.kind) {
      case "resize":
      case "group-resize":
        return "nwse-resize";
      case "widget":
        return this.isArea(target.node, target.key) ? "text" : target.scrub ? "ew-resize" : "pointer";
      case "output":
      case "input":
      case "end":
        return "crosshair";
      case "media":
        return "zoom-in";
      case "collapse":
      case "group-fold":
      case "portal":
        return "pointer";
      default:
        return "default";
    }
  }

  private isArea(id: NodeId, key: string): boolean {
    const editor = this.app.active;
    const node = editor.graph.nodes.get(id);
    return node ? editor.layout(node).widgets.some(({ entry }) => entry.key === key && isArea(entry)) : false;
  }

  private down(event: PointerEvent): void {
    this.element.focus({ preventScroll: true });
    this.element.setPointerCapture(event.pointerId);
    this.held.set(event.pointerId, this.local(event));
    clearTimeout(this.pressing);
    if (this.held.size === 2) return this.startPinch(event);
    const pointer = this.point("down", event);
    const near = Math.hypot(pointer.screen[0] - this.lastDown.at[0], pointer.screen[1] - this.lastDown.at[1]) < 6;
    if (event.button === 0 && near && event.timeStamp - this.lastDown.time < DOUBLE_MS && DOUBLES.has(pointer.target.kind)) {
      this.lastDown = { time: 0, at: pointer.screen };
      return this.feed({ ...pointer, type: "double" });
    }
    this.lastDown = { time: event.button === 0 ? event.timeStamp : 0, at: pointer.screen };
    this.feed(pointer);
    if (event.pointerType !== "touch") return;
    this.pressing = setTimeout(() => {
      if (this.app.active.gesture.kind !== "pressed") return;
      this.feed({ ...pointer, type: "cancel" });
      perform(this.app.active, { kind: "menu", target: pointer.target, at: pointer.at, screen: pointer.screen }, this.host, { snap: false, guides: false });
    }, PRESS_MS);
  }

  private move(event: PointerEvent): void {
    this.at = this.local(event);
    if (this.held.has(event.pointerId)) this.held.set(event.pointerId, this.at);
    if (this.pinch) return this.movePinch();
    const editor = this.app.active;
    if (editor.gesture.kind !== "idle") return this.feed(this.point("move", event));
    const { target } = this.point("move", event);
    const changed = JSON.stringify(target) !== JSON.stringify(this.target);
    this.target = target;
    editor.hovered = "node" in target ? target.node : null;
    this.cursor(target);
    if (target.kind === "widget" && event.pointerType === "mouse" && this.isArea(target.node, target.key)) this.hands.arm(target.node, target.key);
    if (changed) this.hands.redraw();
  }

  private up(event: PointerEvent): void {
    clearTimeout(this.pressing);
    this.held.delete(event.pointerId);
    if (this.pinch) {
      if (this.held.size < 2) this.pinch = null;
      return;
    }
    if (this.app.active.gesture.kind !== "idle") this.feed(this.point("up", event));
  }

  private cancelled(event: PointerEvent): void {
    clearTimeout(this.pressing);
    this.held.delete(event.pointerId);
    this.pinch = null;
    this.feed({ ...this.point("cancel", event), type: "cancel" });
  }

  private startPinch(event: PointerEvent): void {
    this.feed({ ...this.point("cancel", event), type: "cancel" });
    this.pinch = this.pinchNow();
  }

  private pinchNow(): { distance: number; middle: Point } {
    const [a, b] = [...this.held.values()];
    if (!a || !b) return { distance: 1, middle: a ?? [0, 0] };
    return { distance: Math.hypot(a[0] - b[0], a[1] - b[1]), middle: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2] };
  }

  private movePinch(): void {
    const before = this.pinch;
    const now = this.pinchNow();
    this.pinch = now;
    if (!before) return;
    const moved = pan(this.app.active.viewport, now.middle[0] - before.middle[0], now.middle[1] - before.middle[1]);
    this.hands.look(zoomAt(moved, now.middle, now.distance / Math.max(1, before.distance)));
  }

  private wheel(event: WheelEvent): void {
    const field = event.target instanceof HTMLTextAreaElement ? event.target : null;
    if (field && field === document.activeElement && field.scrollHeight > field.clientHeight && !event.ctrlKey) return;
    event.preventDefault();
    const { viewport } = this.app.active;
    const unit = event.deltaMode === 1 ? 16 : 1;
    // A trackpad sends sideways or fractional movement; a wheel sends whole notches straight down.
    const trackpad = event.deltaX !== 0 || !Number.isInteger(event.deltaY) || (Math.abs(event.deltaY) < 40 && event.deltaMode === 0);
    const { wheel } = this.app.settings;
    const zooms = event.ctrlKey || event.metaKey || wheel === "zoom" || (wheel === "auto" && !trackpad);
    if (!zooms) return this.hands.look(pan(viewport, -(event.shiftKey ? event.deltaY : event.deltaX) * unit, event.shiftKey ? 0 : -event.deltaY * unit));
    const speed = event.ctrlKey && trackpad ? 0.01 : 0.0015;
    this.hands.look(zoomAt(viewport, this.local(event), Math.exp(-event.deltaY * unit * speed)));
  }
}
