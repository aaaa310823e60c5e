/** Carries out what the hand meant. What needs a screen (menus, palettes, fields) is asked of the host. */

import { TITLE } from "../graph/create";
import { type Graph, type GraphNode, type LinkId, type NodeId, type Point, type Rect } from "../graph/document";
import { changeGroup, changeNodes, moveNodes, moveReroutes, removeLinks, removeReroute, addReroute, connect } from "../graph/edit";
import { copyNodes, paste } from "./clipboard";
import type { Editor, Notice, Selection } from "./editor";
import { type Members, membersOf } from "./frames";
import { type LinkStyle, bounds, distanceToPath, overlaps, pieces, union, within } from "./geometry";
import { type Intent, type LinkEnd, type Target, crosses, encloses } from "./gesture";
import { align } from "./guides";
import { scrub } from "./number";
import { together } from "./portals";
import { pan } from "./viewport";
import { land, linkAt, linksOf, splice } from "./wiring";
import { t } from "../words/words";

export interface Host {
  /** Choose a node to put here, connected to the end of a drag if there is one. */
  palette(at: Point, end: LinkEnd | null): void;
  menu(target: Target, at: Point, screen: Point): void;
  /** Edit a widget in place. */
  edit(node: NodeId, key: string): void;
  rename(target: Target): void;
  /** Look at a node's pictures large. */
  lightbox(node: NodeId): void;
  notify(notice: Notice): void;
  /** Bring nodes into view. */
  reveal(nodes: ReadonlySet<NodeId>): void;
}

export interface Options {
  readonly snap: boolean;
  /** Catch on the edges of other nodes. */
  readonly guides: boolean;
}

const GRID = 8;
const snapTo = (value: number, on: boolean): number => (on ? Math.round(value / GRID) * GRID : Math.round(value));

export function perform(editor: Editor, intent: Intent, host: Host, options: Options): void {
  switch (intent.kind) {
    case "pan":
      editor.viewport = pan(editor.viewport, ...intent.by);
      return editor.changed();
    case "press":
      return press(editor, intent.target, intent.add);
    case "click":
      return click(editor, intent, host);
    case "double":
      return double(editor, intent.target, intent.at, host);
    case "menu":
      press(editor, intent.target, false);
      // What a group's menu does, it does to what lies in the group.
      if (intent.target.kind === "group") editor.select({ ...editor.selection, nodes: membersOf(editor.graph, editor.layout, intent.target.group).nodes });
      return host.menu(intent.target, intent.at, intent.screen);
    case "box":
      return box(editor, intent.rect, intent.add, intent.live);
    case "lasso":
      return lasso(editor, intent);
    case "move":
      return move(editor, intent, options);
    case "resize":
      return resize(editor, intent, options);
    case "pick-up":
      return pickUp(editor, intent.from, intent.keep);
    case "drop-link":
      return drop(editor, intent, host);
    case "scrub":
      return scrubbed(editor, intent);
    case "cut":
      return cut(editor, intent.path);
    case "cancel":
      editor.drag = {};
      editor.guides = [];
      return editor.settle(null);
  }
}

function press(editor: Editor, target: Target, add: boolean): void {
  const { nodes, groups, reroutes } = editor.selection;
  if ("node" in target) {
    if (nodes.has(target.node) && !add) return;
    const next = new Set(add ? nodes : []);
    if (add && nodes.has(target.node)) next.delete(target.node);
    else next.add(target.node);
    editor.select({ nodes: next, groups: add ? groups : new Set(), reroutes: add ? reroutes : new Set() });
  } else if (target.kind === "group" && !groups.has(target.group)) {
    editor.select({ nodes: add ? nodes : new Set(), groups: new Set([...(add ? groups : []), target.group]), reroutes: new Set() });
  } else if (target.kind === "reroute" && !reroutes.has(target.reroute)) {
    editor.select({ nodes: add ? nodes : new Set(), groups: new Set(), reroutes: new Set([...(add ? reroutes : []), target.reroute]) });
  }
}

function click(editor: Editor, { target, at, add, alt }: Extract<Intent, { kind: "click" }>, host: Host): void {
  switch (target.kind) {
    case "collapse":
      return editor.edit("Collapse", (graph) => changeNodes(graph, [target.node], (node) => ({ ...node, collapsed: !node.collapsed })));
    case "widget":
      press(editor, { kind: "body", node: target.node }, add);
      return host.edit(target.node, target.key);
    case "media":
      return host.lightbox(target.node);
    case "link":
      if (alt) return editor.edit("Add reroute", (graph) => addReroute(graph, target.link, [Math.round(at[0]), Math.round(at[1])]));
      return editor.select({});
    case "group-fold":
      return editor.edit("Fold", (graph) => changeGroup(graph, target.group, (group) => ({ ...group, folded: !group.folded })));
    case "portal":
      return through(editor, target.link, target.side, host);
    case "reroute":
      if (alt) return editor.edit("Remove reroute", (graph) => removeReroute(graph, target.reroute));
      return;
    case "title":
    case "body":
      if (!add && editor.selection.nodes.size > 1) editor.select({ nodes: new Set([target.node]) });
      return;
    case "empty":
      if (!add) editor.select({});
      return;
    default:
      return;
  }
}

function double(editor: Editor, target: Target, at: Point, host: Host): void {
  switch (target.kind) {
    case "empty":
      return host.palette(at, null);
    case "title":
    case "group":
    case "end":
      return host.rename(target);
    case "body": {
      const node = editor.graph.nodes.get(target.node);
      if (node && editor.document.subgraphs.has(node.type)) editor.enter(node.id);
      return;
    }
    case "link":
      return editor.edit("Add reroute", (graph) => addReroute(graph, target.link, [Math.round(at[0]), Math.round(at[1])]));
    default:
      return;
  }
}

function box(editor: Editor, rect: Rect, add: boolean, live: boolean): void {
  const base = editor.drag.base ?? (add ? editor.selection.nodes : new Set<NodeId>());
  editor.drag = live ? { base } : {};
  const nodes = new Set(base);
  const { folded } = editor;
  for (const node of editor.graph.nodes.values()) if (!folded.nodes.has(node.id) && overlaps(bounds(node, editor.layout(node)), rect)) nodes.add(node.id);
  const groups = new Set(editor.graph.groups.flatMap((group, i) => (within(group.bounds, rect) ? [i] : [])));
  const reroutes = new Set([...editor.graph.reroutes.values()].filter(({ pos }) => overlaps([pos[0], pos[1], 1, 1], rect)).map(({ id }) => id));
  editor.select({ nodes, groups, reroutes });
}

/** Selects what has its middle inside the stroke. */
function lasso(editor: Editor, { path, add, live }: Extract<Intent, { kind: "lasso" }>): void {
  const base = editor.drag.base ?? (add ? editor.selection.nodes : new Set<NodeId>());
  editor.drag = live ? { base } : {};
  const nodes = new Set(base);
  const { folded } = editor;
  for (const node of editor.graph.nodes.values()) {
    const [x, y, w, h] = bounds(node, editor.layout(node));
    if (!folded.nodes.has(node.id) && encloses(path, [x + w / 2, y + h / 2])) nodes.add(node.id);
  }
  const reroutes = new Set([...editor.graph.reroutes.values()].filter(({ id, pos }) => !folded.reroutes.has(id) && encloses(path, pos)).map(({ id }) => id));
  editor.select({ nodes, reroutes });
}

/** From one tag of a portal to where its link leads (or comes from). */
function through(editor: Editor, id: LinkId, side: "output" | "input", host: Host): void {
  const link = editor.graph.links.get(id);
  if (!link) return;
  const far = side === "input" ? [link.from] : together(editor.graph, link).map((other) => other.to);
  const nodes = new Set(far.filter((node) => editor.graph.nodes.has(node)));
  if (nodes.size === 0) return;
  editor.select({ nodes });
  host.reveal(nodes);
}

function move(editor: Editor, { target, by, live, copy }: Extract<Intent, { kind: "move" }>, options: Options): void {
  if (copy && live && !editor.drag.copied && editor.selection.nodes.size > 0) {
    editor.settle(null);
    editor.drag = { copied: true };
    duplicate(editor, [0, 0]);
  }
  const anchor = "node" in target ? editor.graph.nodes.get(target.node) : undefined;
  const start = editor.drag.start ?? anchor?.pos ?? [0, 0];
  const selection = editor.drag.members ?? withGroups(editor);
  const { box, others } = editor.drag.others ? editor.drag : surroundings(editor, selection);
  editor.drag = { ...editor.drag, start, members: selection, ...(box && others ? { box, others } : {}) };
  let dx = snapTo(start[0] + by[0], options.snap) - start[0];
  let dy = snapTo(start[1] + by[1], options.snap) - start[1];
  editor.guides = [];
  if (options.guides && box && others) {
    const caught = align([box[0] + by[0], box[1] + by[1], box[2], box[3]], others, 5 / editor.viewport.scale);
    editor.guides = live ? caught.guides : [];
    for (const { axis } of caught.guides) {
      if (axis === 0) dx = Math.round(by[0] + caught.by[0]);
      else dy = Math.round(by[1] + caught.by[1]);
    }
  }
  editor.live((graph) => {
    let next = moveNodes(graph, selection.nodes, dx, dy);
    if (selection.reroutes.size > 0) next = moveReroutes(next, selection.reroutes, dx, dy);
    for (const i of selection.groups) next = changeGroup(next, i, (group) => ({ ...group, bounds: [group.bounds[0] + dx, group.bounds[1] + dy, group.bounds[2], group.bounds[3]] }));
    return next;
  });
  if (live) return;
  editor.drag = {};
  editor.settle("Move");
  spliceUnder(editor);
}

/** The box around what moves, and those of everything that stays, as they are when a drag begins. */
function surroundings(editor: Editor, moving: Selection): { readonly box?: Rect; readonly others?: readonly Rect[] } {
  const inside: Rect[] = [];
  const others: Rect[] = [];
  const { folded } = editor;
  for (const node of editor.graph.nodes.values()) {
    if (folded.nodes.has(node.id)) continue;
    (moving.nodes.has(node.id) ? inside : others).push(bounds(node, editor.layout(node)));
  }
  const box = union(inside);
  return box ? { box, others } : {};
}

function withGroups(editor: Editor): Members {
  const { nodes, groups, reroutes } = editor.selection;
  const all: Members = { nodes: new Set(nodes), groups: new Set(groups), reroutes: new Set(reroutes) };
  for (const group of groups) {
    const inside = membersOf(editor.graph, editor.layout, group);
    for (const id of inside.nodes) all.nodes.add(id);
    for (const i of inside.groups) all.groups.add(i);
    for (const id of inside.reroutes) all.reroutes.add(id);
  }
  return all;
}

/** A lone unconnected node dropped on a link is spliced into it. */
function spliceUnder(editor: Editor): void {
  const [id, ...others] = editor.selection.nodes;
  const node = id === undefined ? undefined : editor.graph.nodes.get(id);
  if (!node || others.length > 0) return;
  for (const link of editor.graph.links.values()) if (link.from === id || link.to === id) return;
  const center: Point = [node.pos[0] + editor.layout(node).width / 2, node.pos[1] - TITLE / 2];
  for (const link of editor.graph.links.values()) {
    const path = editor.wire(link);
    const middle: Point = [center[0], node.pos[1] + editor.layout(node).height / 2];
    if (path && (distanceToPath(path, center, editor.linkStyle) < 16 || distanceToPath(path, middle, editor.linkStyle) < 16) && splice(editor, node.id, link)) return;
  }
}

function resize(editor: Editor, { target, by, live }: Extract<Intent, { kind: "resize" }>, options: Options): void {
  const snap = (value: number): number => snapTo(value, options.snap);
  if (target.kind === "resize") {
    editor.live((graph) =>
      changeNodes(graph, [target.node], (node) => {
        const layout = editor.layout(node);
        return { ...node, size: [Math.max(80, snap(layout.width + by[0])), Math.max(24, snap(layout.height + by[1]))] };
      }),
    );
  } else if (target.kind === "group-resize") {
    editor.live((graph) => changeGroup(graph, target.group, (group) => ({ ...group, bounds: [group.bounds[0], group.bounds[1], Math.max(80, snap(group.bounds[2] + by[0])), Math.max(48, snap(group.bounds[3] + by[1]))] })));
  }
  if (!live) editor.settle("Resize");
}

/** Dragging a connected input takes its link along: the hand then holds the link's other end. */
function pickUp(editor: Editor, from: LinkEnd, keep: boolean): void {
  if (from.side !== "input") return editor.changed();
  const link = linkAt(editor, from.node, from.input);
  if (!link) return editor.changed();
  if (editor.gesture.kind === "linking") editor.gesture = { ...editor.gesture, from: { side: "output", node: link.from, output: link.fromSlot } };
  if (!keep) editor.live((graph) => removeLinks(graph, new Set([link.id])));
  editor.changed();
}

function drop(editor: Editor, { from, target, at, keep }: Extract<Intent, { kind: "drop-link" }>, host: Host): void {
  const lifted = editor.isLive;
  if (target.kind === "empty" || target.kind === "group" || target.kind === "group-fold" || target.kind === "link" || target.kind === "portal") {
    editor.settle("Disconnect");
    if (!lifted) host.palette(at, from);
    return;
  }
  if (!lifted && keep && from.side === "output" && target.kind === "output") return moveAll(editor, from, target, host);
  const notice = land(editor, from, target);
  // A refused link goes back to where it was taken from.
  if (lifted) editor.settle(null);
  if (notice) host.notify(notice);
}

/** Shift-drag from one output to another moves all its links there. */
function moveAll(editor: Editor, from: Extract<LinkEnd, { side: "output" }>, to: Extract<Target, { kind: "output" }>, host: Host): void {
  editor.edit("Move links", (graph) =>
    linksOf(editor, from.node, from.output).reduce<Graph>((next, link) => {
      const name = graph.nodes.get(link.to)?.inputs[link.toSlot]?.name;
      const made = name === undefined ? null : connect(next, { node: to.node, output: to.output }, { node: link.to, input: name }, editor.definition);
      if (made && !made.ok) host.notify({ tone: "info", text: t("Some links do not fit there and stayed.") });
      return made?.ok ? made.value : next;
    }, graph),
  );
}

function scrubbed(editor: Editor, { node, key, dx, fine, live }: Extract<Intent, { kind: "scrub" }>): void {
  const scrubbing = editor.graph.nodes.get(node);
  const spec = scrubbing && editor.entries(scrubbing).find((entry) => entry.key === key)?.spec;
  if (!scrubbing || spec?.kind !== "number") return;
  // What the value was when the drag began is remembered: the document already shows what the drag made of it.
  const began = editor.drag.value ?? Number(editor.value(scrubbing, key, spec.initial));
  editor.drag = live ? { value: began } : {};
  editor.liveDocument((document) => editor.withValue(document, node, key, scrub(spec, began, dx, fine)));
  if (!live) editor.settle(`Change ${key}`);
}

function cut(editor: Editor, path: readonly Point[]): void {
  const gone = new Set<LinkId>();
  for (const link of editor.graph.links.values()) {
    const wire = editor.wire(link);
    if (wire && strokeCrosses(wire, path, editor.linkStyle)) gone.add(link.id);
  }
  if (gone.size > 0) editor.edit(gone.size === 1 ? "Cut link" : `Cut ${gone.size} links`, (graph) => removeLinks(graph, gone));
}

function strokeCrosses(wire: readonly Point[], stroke: readonly Point[], style: LinkStyle): boolean {
  return pairs(wire).some(([a, b]) => pairs(pieces(a, b, style)).some(([c, d]) => pairs(stroke).some(([e, f]) => crosses(c, d, e, f))));
}

const pairs = (points: readonly Point[]): readonly (readonly [Point, Point])[] => points.slice(1).map((point, i) => [points[i] ?? point, point]);

/** Copies of the selection beside it, with their links from outside; the copies become the selection. */
export function duplicate(editor: Editor, by: Point = [32, 32]): void {
  const { nodes, groups } = editor.selection;
  if (nodes.size === 0) return;
  const clip = copyNodes(editor.document, editor.graph, nodes, groups, editor.catalogue);
  const left = Math.min(...editor.selectedNodes.map((node: GraphNode) => node.pos[0]));
  const top = Math.min(...editor.selectedNodes.map((node) => node.pos[1]));
  let ids: ReadonlySet<NodeId> = new Set();
  editor.edit("Duplicate", (graph) => {
    const pasted = paste(editor.document, graph, clip, [left + by[0], top + by[1]], true, editor.catalogue);
    ids = pasted.ids;
    return pasted.graph;
  });
  editor.select({ nodes: ids });
}
