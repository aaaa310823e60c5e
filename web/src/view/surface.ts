/** The canvas on the page: what is drawn, where one looks, and who listens to hands, keys and drops. */

import type { App } from "../app/app";
import type { Context, Surface as SurfaceCommands } from "../app/commands";
import type { Runner } from "../app/runner";
import { viewUrl } from "../client/http";
import { type Viewport, fit, toGraph, zoomAt } from "../editor/viewport";
import type { GraphNode, NodeId, Point } from "../graph/document";
import type { Json } from "../graph/json";
import { Canvas, type Looks } from "./canvas";
import { Images } from "./images";
import { InPlace } from "./in-place";
import { Keys } from "./keys";
import { Minimap } from "./minimap";
import { Overlay } from "./overlay";
import { Pointers } from "./pointers";
import { type Theme, applyTheme, themes } from "./theme";
import { Tip } from "./tip";
import { Transfer } from "./transfer";

const NO_MARKS: Looks["marks"] = new Map();

export class Surface implements SurfaceCommands {
  readonly commands: Context;
  private readonly canvas: Canvas;
  private readonly overlay: Overlay;
  private readonly minimap: Minimap;
  private readonly images: Images;
  private readonly pointers: Pointers;
  private readonly tip: Tip;
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
    const element = find<HTMLCanvasElement>("#canvas");
    const redraw = (): void => this.canvas.request();
    const focus = (node: NodeId, key: string): void => this.overlay.focus(node, key);
    const host = new InPlace(app, stage, focus);
    this.commands = { app, runner, surface: this };
    this.canvas = new Canvas(element);
    this.images = new Images(redraw);
    this.overlay = new Overlay(app, find("#overlay"), (node, key) => host.edit(node, key), redraw);
    this.minimap = new Minimap(app, find("#minimap"), () => [this.width, this.height]);
    this.tip = new Tip(app, find("#tip"));
    this.pointers = new Pointers(app, element, stage, host, { look: (viewport) => this.look(viewport), redraw, arm: (node, key) => this.overlay.arm(node, key) });
    new Keys(this.commands, element, host, { hand: (held) => this.pointers.hold(held), focus });
    new Transfer(this.commands, this.pointers.local);
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
      this.tip.follow(this.pointers.inside ? this.pointers.target : { kind: "empty" }, this.pointers.at);
    };
    app.reveal = (nodes) => this.reveal(nodes);
    app.rename = (target) => host.rename(target);
    app.onDraw(redraw);
    new ResizeObserver(() => this.canvas.resize(stage.clientWidth, stage.clientHeight)).observe(stage);
    matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => app.changed());
  }

  get width(): number {
    return this.canvas.width;
  }

  get height(): number {
    return this.canvas.height;
  }

  get pointer(): Point {
    const at: Point = this.pointers.inside ? this.pointers.at : [this.width / 2, this.height / 2];
    return toGraph(this.app.active.viewport, at);
  }

  zoom(factor: number): void {
    this.look(zoomAt(this.app.active.viewport, [this.width / 2, this.height / 2], factor));
  }

  zoomTo(scale: number): void {
    this.zoom(scale / this.app.active.viewport.scale);
  }

  look(viewport: Viewport): void {
    this.app.active.viewport = viewport;
    this.app.active.changed();
  }

  private reveal(nodes?: ReadonlySet<NodeId>): void {
    if (this.width === 0) this.canvas.resize(this.stage.clientWidth, this.stage.clientHeight);
    const area = this.app.active.extent(nodes);
    if (area) this.look(fit(area, this.width, this.height, nodes ? 120 : 48));
  }

  private looks(): Looks {
    const { app } = this;
    const { settings } = app;
    const wish = settings.theme === "system" ? (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark") : settings.theme;
    if (themes[wish] !== this.theme) {
      this.theme = themes[wish];
      document.documentElement.dataset["theme"] = wish;
      applyTheme(this.theme, document.documentElement);
    }
    const { target } = this.pointers;
    app.active.linkStyle = settings.linkStyle;
    if ([...app.active.run.nodes.values()].some((run) => run.state === "running" && run.max <= 1)) this.animate();
    const comparison = app.comparison?.editor === app.active ? app.comparison : null;
    return {
      marks: comparison?.marks(app.active.ref) ?? NO_MARKS,
      ghosts: comparison?.ghosts(app.active.ref) ?? [],
      theme: themes[wish],
      hoveredWidget: target.kind === "widget" ? target : null,
      hoveredNode: app.active.hovered,
      hoveredLink: target.kind === "link" || target.kind === "portal" ? target.link : null,
      editing: this.overlay.editing,
      image: (node) => this.pictures(node),
      now: performance.now(),
      formats: (type) => app.extensions.widgets.get(type)?.format as ((value: Json) => string) | undefined,
      badge: (node) => app.extensions.badge(node),
      linkStyle: settings.linkStyle,
      linksHidden: !settings.links,
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
    const id = editor.mediaId(node);
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
}
