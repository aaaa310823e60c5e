/** The whole graph in a corner: shows where one is, and goes where one presses. */

import type { App } from "../app/app";
import { frameRect } from "../editor/frames";
import { bounds, union } from "../editor/geometry";
import { visible } from "../editor/viewport";
import type { Graph, Point, Rect } from "../graph/document";
import type { Theme } from "./theme";

const WIDTH = 184;
const HEIGHT = 120;

export class Minimap {
  private drawnFor: { graph: Graph; theme: Theme; area: Rect } | null = null;
  private readonly picture = document.createElement("canvas");
  private scale = 1;
  private origin: Point = [0, 0];

  constructor(
    private readonly app: App,
    readonly element: HTMLCanvasElement,
    private readonly size: () => readonly [number, number],
  ) {
    element.width = this.picture.width = WIDTH * devicePixelRatio;
    element.height = this.picture.height = HEIGHT * devicePixelRatio;
    const go = (event: PointerEvent): void => {
      if (event.buttons === 0) return;
      const box = element.getBoundingClientRect();
      this.center([(event.clientX - box.left) / this.scale + this.origin[0], (event.clientY - box.top) / this.scale + this.origin[1]]);
    };
    element.addEventListener("pointerdown", (event) => {
      element.setPointerCapture(event.pointerId);
      go(event);
    });
    element.addEventListener("pointermove", go);
  }

  private center([x, y]: Point): void {
    const editor = this.app.active;
    const [width, height] = this.size();
    const { scale } = editor.viewport;
    editor.viewport = { scale, offset: [width / 2 / scale - x, height / 2 / scale - y] };
    editor.changed();
  }

  draw(theme: Theme): void {
    const editor = this.app.active;
    const [width, height] = this.size();
    const shown = this.app.settings.minimap && editor.graph.nodes.size > 0 && width > 700;
    this.element.hidden = !shown;
    const ctx = this.element.getContext("2d");
    if (!shown || !ctx) return;
    const view = visible(editor.viewport, width, height);
    const settled = editor.gesture.kind !== "moving";
    if (!this.drawnFor || this.drawnFor.theme !== theme || (this.drawnFor.graph !== editor.graph && settled)) {
      const area = editor.extent();
      if (!area) return;
      this.drawnFor = { graph: editor.graph, theme, area };
      this.drawPicture(theme);
    }
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.clearRect(0, 0, this.element.width, this.element.height);
    ctx.drawImage(this.picture, 0, 0);
    ctx.scale(devicePixelRatio, devicePixelRatio);
    const x = Math.max(1, (view[0] - this.origin[0]) * this.scale);
    const y = Math.max(1, (view[1] - this.origin[1]) * this.scale);
    const right = Math.min(WIDTH - 1, (view[0] + view[2] - this.origin[0]) * this.scale);
    const bottom = Math.min(HEIGHT - 1, (view[1] + view[3] - this.origin[1]) * this.scale);
    ctx.strokeStyle = theme.accent;
    ctx.lineWidth = 1.5;
    ctx.strokeRect(x, y, Math.max(2, right - x), Math.max(2, bottom - y));
  }

  private drawPicture(theme: Theme): void {
    const ctx = this.picture.getContext("2d");
    const area = union(this.drawnFor ? [this.drawnFor.area] : []);
    if (!ctx || !area) return;
    this.scale = Math.min((WIDTH - 16) / Math.max(1, area[2]), (HEIGHT - 16) / Math.max(1, area[3]), 0.2);
    this.origin = [area[0] + area[2] / 2 - WIDTH / 2 / this.scale, area[1] + area[3] / 2 - HEIGHT / 2 / this.scale];
    ctx.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    ctx.clearRect(0, 0, WIDTH, HEIGHT);
    const editor = this.app.active;
    const paths = new Map<string, Path2D>();
    const add = (color: string, [x, y, w, h]: Rect): void => {
      let path = paths.get(color);
      if (!path) paths.set(color, (path = new Path2D()));
      path.rect((x - this.origin[0]) * this.scale, (y - this.origin[1]) * this.scale, Math.max(1, w * this.scale), Math.max(1, h * this.scale));
    };
    const { folded } = editor;
    for (const node of editor.graph.nodes.values()) if (!folded.nodes.has(node.id)) add(node.color ?? theme.faint, bounds(node, editor.layout(node)));
    ctx.globalAlpha = 0.2;
    for (const [i, group] of editor.graph.groups.entries()) {
      if (folded.groups.has(i)) continue;
      ctx.fillStyle = group.color ?? theme.muted;
      const [x, y, w, h] = frameRect(group);
      ctx.fillRect((x - this.origin[0]) * this.scale, (y - this.origin[1]) * this.scale, w * this.scale, h * this.scale);
    }
    ctx.globalAlpha = 0.8;
    for (const [color, path] of paths) {
      ctx.fillStyle = color;
      ctx.fill(path);
    }
  }
}
