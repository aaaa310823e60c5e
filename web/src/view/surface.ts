/** The canvas on the page: turns pointers, wheels, keys, drops and the clipboard into gestures and commands. */

import type { App } from "../app/app";
import { type Context, type Surface as SurfaceCommands, byId, commandFor, copy, keyOf, pasteText } from "../app/commands";
import { dropFile, uploadKey, useAsInput } from "../app/files";
import type { Runner } from "../app/runner";
import { viewUrl } from "../client/http";
import { bounds, isArea } from "../editor/geometry";
import type { Value, WidgetEntry } from "../extend/api";
import { type Pointer, type Target, step } from "../editor/gesture";
import { hit } from "../editor/hit";
import { type Host, perform } from "../editor/perform";
import { fit, pan, toGraph, toScreen, zoomAt } from "../editor/viewport";
import type { GraphNode, NodeId, Point, Rect } from "../graph/document";
import type { Json } from "../graph/json";
import { moveNodes, setValue } from "../graph/edit";
import { Canvas, type Looks } from "./canvas";
import { Images } from "./images";
import { Minimap } from "./minimap";
import { Overlay } from "./overlay";
import { type Theme, applyTheme, themes } from "./theme";

const DOUBLE_MS = 400;

export class Surface implements SurfaceCommands {
  private readonly canvas: Canvas;
  private readonly overlay: Overlay;
  private readonly minimap: Minimap;
  private readonly images: Images;
  private readonly context: Context;
  private readonly pointers = new Map<number, Point>();
  private pinch: { readonly distance: number; readonly middle: Point } | null = null;
  private at: Point = [0, 0];
  private inside = false;
  private target: Target = { kind: "empty" };
  private hand = false;
  private lastDown = { time: 0, at: [0, 0] as Point };
  private theme: Theme | null = null;
  private animation = 0;
  private readonly shown = new Map<string, readonly HTMLImageElement[]>();

  constructor(
    private readonly app: App,
    private readonly stage: HTMLElement,
    runner: Runner,
  ) {
    const find = <T extends Element>(selector: string): T => {
      const element = stage.querySelector<T>(selector);
      if (!element) throw new Error(`The page lacks ${selector}.`);
      return element;
    };
    this.canvas = new Canvas(find<HTMLCanvasElement>("#canvas"));
    this.images = new Images(() => this.canvas.request());
    this.overlay = new Overlay(app, find("#overlay"), (node, key) => this.host.edit(node, key), () => this.canvas.request());
    this.minimap = new Minimap(app, find("#minimap"), () => [this.width, this.height]);
    this.context = { app, runner, surface: this };
    this.canvas.frame = () => {
      if (app.active.unseen) {
        app.active.unseen = false;
        this.reveal();
      }
      return { editor: app.active, looks: this.looks() };
    };
    this.canvas.drawn = () => {
      this.overlay.sync(this.canvas.shown);
      if (this.theme) this.minimap.draw(this.theme);
    };
    app.reveal = (nodes) => this.reveal(nodes);
    app.onDraw(() => this.canvas.request());
    new ResizeObserver(() => this.canvas.resize(stage.clientWidth, stage.clientHeight)).observe(stage);
    matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => app.changed());
    this.listen();
  }

  get width(): number {
    return this.canvas.width;
  }

  get height(): number {
    return this.canvas.height;
  }

  get pointer(): Point {
    const at: Point = this.inside ? this.at : [this.width / 2, this.height / 2];
    return toGraph(this.app.active.viewport, at);
  }

  zoom(factor: number): void {
    this.look(zoomAt(this.app.active.viewport, [this.width / 2, this.height / 2], factor));
  }

  zoomTo(scale: number): void {
    this.zoom(scale / this.app.active.viewport.scale);
  }

  private look(viewport: typeof this.app.active.viewport): void {
    this.app.active.viewport = viewport;
    this.app.active.changed();
  }

  private reveal(nodes?: ReadonlySet<NodeId>): void {
    if (this.width === 0) this.canvas.resize(this.stage.clientWidth, this.stage.clientHeight);
    const area = this.app.active.extent(nodes);
    if (!area) return;
    const view = fit(area, this.width, this.height, nodes ? 120 : 48);
    this.look(nodes ? { ...view, ...fit(area, this.width, this.height, 120) } : view);
  }

  // Drawing

  private looks(): Looks {
    const { app } = this;
    const { settings } = app;
    const wish = settings.theme === "system" ? (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark") : settings.theme;
    if (themes[wish] !== this.theme) {
      this.theme = themes[wish];
      document.documentElement.dataset["theme"] = wish;
      applyTheme(this.theme, document.documentElement);
    }
    const { target } = this;
    if ([...app.active.run.nodes.values()].some((run) => run.state === "running" && run.max <= 1)) this.animate();
    return {
      theme: themes[wish],
      hoveredWidget: target.kind === "widget" ? target : null,
      hoveredNode: app.active.hovered,
      hoveredLink: target.kind === "link" ? target.link : null,
      editing: this.overlay.editing,
      image: (node) => this.pictures(node),
      now: performance.now(),
      formats: (type) => app.extensions.widgets.get(type)?.format as ((value: Json) => string) | undefined,
      badge: (node) => app.extensions.badge(node),
      linkStyle: settings.linkStyle,
      linksHidden: false,
      grid: settings.grid,
    };
  }

  /** A node that runs without known progress pulses; ten frames a second are enough for that. */
  private animate(): void {
    if (this.animation) return;
    this.animation = window.setTimeout(() => {
      this.animation = 0;
      this.canvas.request();
    }, 100);
  }

  private pictures(node: GraphNode): readonly HTMLImageElement[] {
    const editor = this.app.active;
    const id = editor.executionId(node.id);
    const preview = editor.run.previews.get(id);
    const media = editor.run.media.get(id);
    const loaded = editor.loaded(node);
    const urls = preview ? [preview] : media ? media.map((ref) => viewUrl(ref, true)) : loaded ? [viewUrl(loaded, true)] : [];
    const ready = urls.flatMap((url) => this.images.get(url) ?? []);
    // The picture before stays until the next one is decoded: a preview every few frames must not flicker.
    if (ready.length < urls.length && urls.length > 0) return this.shown.get(id) ?? ready;
    this.shown.set(id, ready);
    return ready;
  }

  // What gestures ask for

  private readonly host: Host = {
    palette: (at, end) => this.app.setDialog({ kind: "palette", at, end }),
    menu: (target, at, screen) => this.app.setDialog({ kind: "menu", target, at, screen: this.toPage(screen) }),
    edit: (node, key) => this.edit(node, key),
    rename: (target) => this.rename(target),
    lightbox: (node) => this.lightbox(node),
    notify: (notice) => this.app.notify(notice),
  };

  private toPage([x, y]: Point): Point {
    const box = this.stage.getBoundingClientRect();
    return [x + box.left, y + box.top];
  }

  /** A rectangle of a node in page pixels. */
  private onPage(node: GraphNode, [x, y, w, h]: Rect): Rect {
    const { viewport } = this.app.active;
    const [px, py] = this.toPage(toScreen(viewport, [node.pos[0] + x, node.pos[1] + y]));
    return [px, py, w * viewport.scale, h * viewport.scale];
  }

  private edit(id: NodeId, key: string): void {
    const editor = this.app.active;
    const node = editor.graph.nodes.get(id);
    const placed = node && editor.layout(node).widgets.find((widget) => widget.entry.key === key);
    if (!node || !placed) return;
    const { spec } = placed.entry;
    if (spec.kind === "toggle") return editor.edit(`Change ${key}`, (graph) => setValue(graph, id, key, editor.value(node, key, spec.initial) !== true));
    if (spec.kind === "combo") return this.app.setDialog({ kind: "combo", node: id, key, anchor: this.onPage(node, placed.rect) });
    if (spec.kind === "number" && spec.display === "color") return this.pickColor(id, key, this.onPage(node, placed.rect));
    const own = spec.kind === "other" ? this.app.extensions.widgets.get(spec.type) : undefined;
    if (own) return void this.editWith(own, id, key, this.onPage(node, placed.rect));
    this.overlay.focus(id, key);
  }

  /** The browser's own colour picker, opened where the widget is. */
  private pickColor(id: NodeId, key: string, [x, y, width, height]: Rect): void {
    const editor = this.app.active;
    const input = document.createElement("input");
    input.type = "color";
    input.value = `#${Number(editor.graph.nodes.get(id)?.values?.[key] ?? 0).toString(16).padStart(6, "0")}`;
    input.setAttribute("aria-label", key);
    input.style.cssText = `position:fixed;left:${x}px;top:${y}px;width:${width}px;height:${height}px;opacity:0;pointer-events:none`;
    input.oninput = () => editor.edit(`Change ${key}`, (graph) => setValue(graph, id, key, parseInt(input.value.slice(1), 16)), `color ${id} ${key}`);
    input.onblur = () => input.remove();
    input.onchange = () => {
      editor.sealEdits();
      input.remove();
    };
    document.body.append(input);
    input.focus();
    input.showPicker();
  }

  private async editWith(widget: WidgetEntry, id: NodeId, key: string, [x, y, width, height]: Rect): Promise<void> {
    const editor = this.app.active;
    try {
      const value = await widget.edit((editor.graph.nodes.get(id)?.values?.[key] ?? null) as Value, { x, y, width, height });
      if (value !== undefined) editor.edit(`Change ${key}`, (graph) => setValue(graph, id, key, value as Json));
    } catch (error) {
      this.app.fail(error);
    }
  }

  private rename(target: Target): void {
    const editor = this.app.active;
    if (target.kind === "group") {
      const group = editor.graph.groups[target.group];
      if (!group) return;
      const [x, y] = this.toPage(toScreen(editor.viewport, [group.bounds[0], group.bounds[1]]));
      return this.app.setDialog({ kind: "rename", target, anchor: [x, y, group.bounds[2] * editor.viewport.scale, 32], value: group.title });
    }
    const node = "node" in target ? editor.graph.nodes.get(target.node) : undefined;
    if (node) this.app.setDialog({ kind: "rename", target, anchor: this.onPage(node, [0, -30, editor.layout(node).width, 30]), value: editor.title(node) });
  }

  private lightbox(id: NodeId): void {
    const editor = this.app.active;
    const node = editor.graph.nodes.get(id);
    const loaded = node && editor.loaded(node);
    const images = editor.run.media.get(editor.executionId(id)) ?? (loaded ? [loaded] : []);
    if (images.length > 0) this.app.setDialog({ kind: "lightbox", images, index: 0 });
  }

  // Pointers

  private local(event: { readonly clientX: number; readonly clientY: number }): Point {
    const box = this.canvas.element.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  private point(type: Pointer["type"], event: PointerEvent | MouseEvent): Pointer {
    const screen = this.local(event);
    const editor = this.app.active;
    const at = toGraph(editor.viewport, screen);
    const coarse = "pointerType" in event && event.pointerType === "touch";
    // What lies under the hand matters when it comes down, and while it carries a link; searching 10,000 nodes takes time.
    const matters = type === "down" || editor.gesture.kind === "idle" || editor.gesture.kind === "linking" || editor.gesture.kind === "pressed";
    return { type, at, screen, target: !matters ? { kind: "empty" } : hit(editor, at, (coarse ? 12 : 6) / Math.min(1, editor.viewport.scale)), button: event.button, shift: event.shiftKey, ctrl: event.ctrlKey || event.metaKey, alt: event.altKey, hand: this.hand };
  }

  private feed(pointer: Pointer): void {
    const editor = this.app.active;
    const [gesture, intent] = step(editor.gesture, pointer);
    editor.gesture = gesture;
    if (intent) perform(editor, intent, this.host, { snap: this.app.settings.snap && !pointer.ctrl });
    else editor.changed();
    this.cursor(pointer.target);
  }

  private cursor(target: Target): void {
    const { gesture } = this.app.active;
    const { style } = this.canvas.element;
    const area = target.kind === "widget" && this.isArea(target.node, target.key);
    const next = gesture.kind === "panning" || this.hand ? "grabbing" : gesture.kind === "linking" ? "crosshair" : target.kind === "resize" || target.kind === "group-resize" ? "nwse-resize" : target.kind === "widget" ? (area ? "text" : target.scrub ? "ew-resize" : "pointer") : target.kind === "output" || target.kind === "input" ? "crosshair" : target.kind === "media" ? "zoom-in" : target.kind === "collapse" ? "pointer" : "default";
    if (style.cursor !== next) style.cursor = next;
  }

  private isArea(id: NodeId, key: string): boolean {
    const editor = this.app.active;
    const node = editor.graph.nodes.get(id);
    return node ? editor.layout(node).widgets.some(({ entry }) => entry.key === key && isArea(entry)) : false;
  }

  private listen(): void {
    const { element } = this.canvas;
    element.addEventListener("pointerdown", (event) => this.down(event));
    element.addEventListener("pointermove", (event) => this.move(event));
    element.addEventListener("pointerup", (event) => this.up(event));
    element.addEventListener("pointercancel", (event) => this.cancelled(event));
    element.addEventListener("pointerenter", () => (this.inside = true));
    element.addEventListener("pointerleave", () => (this.inside = false));
    element.addEventListener("contextmenu", (event) => event.preventDefault());
    this.stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    addEventListener("keydown", (event) => this.keyDown(event));
    addEventListener("keyup", (event) => {
      if (event.key === " ") this.hand = false;
    });
    addEventListener("copy", (event) => this.copied(event, false));
    addEventListener("cut", (event) => this.copied(event, true));
    addEventListener("paste", (event) => this.pasted(event));
    addEventListener("dragover", (event) => event.preventDefault());
    addEventListener("drop", (event) => this.dropped(event));
  }

  private down(event: PointerEvent): void {
    const { element } = this.canvas;
    element.focus({ preventScroll: true });
    element.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.local(event));
    if (this.pointers.size === 2) return this.startPinch(event);
    const pointer = this.point("down", event);
    const near = Math.hypot(pointer.screen[0] - this.lastDown.at[0], pointer.screen[1] - this.lastDown.at[1]) < 6;
    if (event.button === 0 && near && event.timeStamp - this.lastDown.time < DOUBLE_MS) {
      this.lastDown = { time: 0, at: pointer.screen };
      return this.feed({ ...pointer, type: "double" });
    }
    this.lastDown = { time: event.timeStamp, at: pointer.screen };
    this.feed(pointer);
  }

  private move(event: PointerEvent): void {
    this.at = this.local(event);
    if (this.pointers.has(event.pointerId)) this.pointers.set(event.pointerId, this.at);
    if (this.pinch) return this.movePinch();
    const editor = this.app.active;
    if (editor.gesture.kind !== "idle") return this.feed(this.point("move", event));
    const { target } = this.point("move", event);
    const changed = JSON.stringify(target) !== JSON.stringify(this.target);
    this.target = target;
    editor.hovered = "node" in target ? target.node : null;
    this.cursor(target);
    if (target.kind === "widget" && event.pointerType === "mouse" && this.isArea(target.node, target.key)) this.overlay.arm(target.node, target.key);
    if (changed) this.canvas.request();
  }

  private up(event: PointerEvent): void {
    this.pointers.delete(event.pointerId);
    if (this.pinch) {
      if (this.pointers.size < 2) this.pinch = null;
      return;
    }
    if (this.app.active.gesture.kind !== "idle") this.feed(this.point("up", event));
  }

  private cancelled(event: PointerEvent): void {
    this.pointers.delete(event.pointerId);
    this.pinch = null;
    this.feed({ ...this.point("cancel", event), type: "cancel" });
  }

  private startPinch(event: PointerEvent): void {
    this.feed({ ...this.point("cancel", event), type: "cancel" });
    this.pinch = this.pinchNow();
  }

  private pinchNow(): { distance: number; middle: Point } {
    const [a, b] = [...this.pointers.values()];
    if (!a || !b) return { distance: 1, middle: a ?? [0, 0] };
    return { distance: Math.hypot(a[0] - b[0], a[1] - b[1]), middle: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2] };
  }

  private movePinch(): void {
    const before = this.pinch;
    const now = this.pinchNow();
    this.pinch = now;
    if (!before) return;
    const moved = pan(this.app.active.viewport, now.middle[0] - before.middle[0], now.middle[1] - before.middle[1]);
    this.look(zoomAt(moved, now.middle, now.distance / Math.max(1, before.distance)));
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
    if (!zooms) return this.look(pan(viewport, -(event.shiftKey ? event.deltaY : event.deltaX) * unit, event.shiftKey ? 0 : -event.deltaY * unit));
    const speed = event.ctrlKey && trackpad ? 0.01 : 0.0015;
    this.look(zoomAt(viewport, this.local(event), Math.exp(-event.deltaY * unit * speed)));
  }

  // Keys

  private keyDown(event: KeyboardEvent): void {
    const key = keyOf(event);
    const field = event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement;
    if (this.app.dialog && !(key === "Ctrl+Enter" || key === "Ctrl+S")) return;
    // Inside fields only what cannot mean typing or the field's own editing.
    if (field && !["Ctrl+Enter", "Ctrl+Shift+Enter", "Ctrl+S", "Ctrl+K", "Ctrl+O", "Ctrl+Alt+Enter", "Ctrl+Alt+C"].includes(key)) return;
    const onCanvas = event.target === this.canvas.element || event.target === document.body;
    if (key === "Space" && onCanvas) {
      this.hand = true;
      return event.preventDefault();
    }
    if (key === "Escape") return this.escape();
    if (onCanvas && this.canvasKey(event, key)) return event.preventDefault();
    // On a button these move the focus or press it.
    if (!onCanvas && /^(Tab|Enter|Space|Delete|Backspace)$/.test(key)) return;
    const found = commandFor(this.app, key);
    if (!found) return;
    event.preventDefault();
    if (found.enabled?.(this.context) ?? true) found.run(this.context);
  }

  private escape(): void {
    const editor = this.app.active;
    if (editor.gesture.kind !== "idle") {
      const [gesture, intent] = step(editor.gesture, { type: "cancel", at: [0, 0], screen: [0, 0], target: { kind: "empty" }, button: 0, shift: false, ctrl: false, alt: false, hand: false });
      editor.gesture = gesture;
      if (intent) perform(editor, intent, this.host, { snap: false });
    } else if (editor.selection.nodes.size > 0) editor.select({});
    else if (editor.path.length > 0) editor.goTo(editor.path.slice(0, -1));
  }

  /** Arrows move what is selected; with Alt they choose the next node that way; Enter edits. */
  private canvasKey(event: KeyboardEvent, key: string): boolean {
    const editor = this.app.active;
    const way: Readonly<Record<string, Point>> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const direction = way[event.key];
    if (direction && event.altKey) {
      this.selectToward(direction);
      return true;
    }
    if (direction && !event.ctrlKey && editor.selection.nodes.size > 0) {
      const by = event.shiftKey ? 64 : 8;
      editor.edit("Move", (graph) => moveNodes(graph, editor.selection.nodes, direction[0] * by, direction[1] * by), "arrow keys");
      return true;
    }
    if (direction && !event.ctrlKey) {
      this.look(pan(editor.viewport, -direction[0] * 64, -direction[1] * 64));
      return true;
    }
    if (key === "Enter" && editor.selection.nodes.size === 1) {
      const [node] = editor.selectedNodes;
      if (node && editor.document.subgraphs.has(node.type)) editor.enter(node.id);
      const first = node && editor.layout(node).widgets[0];
      if (node && first && !editor.document.subgraphs.has(node.type)) this.overlay.focus(node.id, first.entry.key);
      return true;
    }
    if (key === "F2" && editor.selection.nodes.size === 1) {
      const [node] = editor.selectedNodes;
      if (node) this.rename({ kind: "title", node: node.id });
      return true;
    }
    return false;
  }

  private selectToward([dx, dy]: Point): void {
    const editor = this.app.active;
    const [from] = editor.selectedNodes;
    const center = (node: GraphNode): Point => {
      const [x, y, w, h] = bounds(node, editor.layout(node));
      return [x + w / 2, y + h / 2];
    };
    const start = from ? center(from) : this.pointer;
    let best: { id: NodeId; cost: number } | null = null;
    for (const node of editor.graph.nodes.values()) {
      if (node === from) continue;
      const [x, y] = center(node);
      const ahead = (x - start[0]) * dx + (y - start[1]) * dy;
      const aside = Math.abs((x - start[0]) * dy) + Math.abs((y - start[1]) * dx);
      if (from && ahead <= 0) continue;
      const cost = Math.abs(ahead) + 2 * aside;
      if (!best || cost < best.cost) best = { id: node.id, cost };
    }
    if (!best) return;
    editor.select({ nodes: new Set([best.id]) });
    this.show(best.id);
  }

  /** Pans just as far as it takes to see the node. */
  private show(id: NodeId): void {
    const editor = this.app.active;
    const node = editor.graph.nodes.get(id);
    if (!node) return;
    const [x, y, w, h] = bounds(node, editor.layout(node));
    const [sx, sy] = toScreen(editor.viewport, [x, y]);
    const [sw, sh] = [w * editor.viewport.scale, h * editor.viewport.scale];
    const dx = sx < 24 ? 24 - sx : sx + sw > this.width - 24 ? this.width - 24 - sx - sw : 0;
    const dy = sy < 24 ? 24 - sy : sy + sh > this.height - 24 ? this.height - 24 - sy - sh : 0;
    if (dx !== 0 || dy !== 0) this.look(pan(editor.viewport, dx, dy));
  }

  // Clipboard and drops

  private isTyping(event: Event): boolean {
    return this.app.dialog !== null || event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement;
  }

  private copied(event: ClipboardEvent, cut: boolean): void {
    if (this.isTyping(event) || String(getSelection() ?? "") !== "") return;
    const content = copy(this.app);
    if (!content || !event.clipboardData) return;
    event.preventDefault();
    event.clipboardData.setData("text/html", content.html);
    event.clipboardData.setData("text/plain", content.plain);
    if (cut) byId.get("delete")?.run(this.context);
  }

  private pasted(event: ClipboardEvent): void {
    if (this.isTyping(event) || !event.clipboardData) return;
    const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
    if (file) {
      event.preventDefault();
      const [node] = this.app.active.selectedNodes;
      return void useAsInput(this.app, file, this.pointer, node && uploadKey(this.app.active, node.id) !== null ? node.id : null);
    }
    if (pasteText(this.context, event.clipboardData.getData("text/html"), event.clipboardData.getData("text/plain"), true)) event.preventDefault();
  }

  private dropped(event: DragEvent): void {
    event.preventDefault();
    const at = toGraph(this.app.active.viewport, this.local(event));
    const target = hit(this.app.active, at);
    const loader = "node" in target && uploadKey(this.app.active, target.node) !== null ? target.node : null;
    for (const file of event.dataTransfer?.files ?? []) {
      if (loader !== null && file.type.startsWith("image/")) void useAsInput(this.app, file, at, loader);
      else void dropFile(this.app, file, at);
    }
  }

  get commands(): Context {
    return this.context;
  }
}

