/** Every action: a name, a key, a place in the palette. */

import { copyNodes, fromClipboard, paste, toHtml } from "../editor/clipboard";
import type { Editor } from "../editor/editor";
import { inflate, union } from "../editor/geometry";
import { duplicate } from "../editor/perform";
import { http } from "../client/http";
import { BYPASSED, MUTED, type Mode, NORMAL, type NodeId, type Point, wiring, withGraph } from "../graph/document";
import { addGroup, changeNodes, dissolveNodes, removeGroups, removeNodes, removeReroute, setMode } from "../graph/edit";
import { arrange } from "../graph/layout";
import { formatJson, type JsonObject } from "../graph/json";
import { toPrompt } from "../graph/prompt";
import { pack, unpack } from "../graph/subgraph";
import { readCatalogue } from "../graph/definitions";
import { emptyDocument } from "../graph/document";
import type { App } from "./app";
import { download, fileText, openFile, openJson, pickFile, save } from "./files";
import type { Runner } from "./runner";
import { startDocument } from "./start";
import { bounds } from "../editor/geometry";

export interface Surface {
  readonly width: number;
  readonly height: number;
  /** Where the pointer is, in graph units; the middle of the canvas when it is elsewhere. */
  readonly pointer: Point;
  zoom(factor: number): void;
  zoomTo(scale: number): void;
}

export interface Context {
  readonly app: App;
  readonly runner: Runner;
  readonly surface: Surface;
}

export interface Command {
  readonly id: string;
  readonly name: string;
  readonly group: "Run" | "Edit" | "View" | "File" | "Node";
  /** As shown and matched: modifiers in the order Ctrl, Alt, Shift. Ctrl is ⌘ on a Mac. */
  readonly keys: readonly string[];
  readonly run: (context: Context) => void;
  readonly enabled?: (context: Context) => boolean;
}

const selected = ({ app }: Context): boolean => app.active.selection.nodes.size > 0;
const anything = ({ app }: Context): boolean => {
  const { nodes, groups, reroutes } = app.active.selection;
  return nodes.size + groups.size + reroutes.size > 0;
};

/** Sets the mode on all selected nodes, or takes it off when all have it. */
function toggleMode(editor: Editor, mode: Mode, label: string): void {
  const nodes = editor.selectedNodes;
  const next = nodes.every((node) => node.mode === mode) ? NORMAL : mode;
  editor.edit(label, (graph) => setMode(graph, editor.selection.nodes, next));
}

function flip(editor: Editor, field: "collapsed" | "pinned", label: string): void {
  const on = !editor.selectedNodes.every((node) => node[field]);
  editor.edit(label, (graph) => changeNodes(graph, editor.selection.nodes, (node) => ({ ...node, [field]: on })));
}

function remove(editor: Editor, keepFlow: boolean): void {
  const { nodes, groups, reroutes } = editor.selection;
  editor.edit(keepFlow ? "Dissolve" : "Delete", (graph) => {
    let next = nodes.size > 0 ? (keepFlow ? dissolveNodes(graph, nodes) : removeNodes(graph, nodes)) : graph;
    for (const id of reroutes) next = removeReroute(next, id);
    return groups.size > 0 ? removeGroups(next, groups) : next;
  });
  editor.select({});
}

/** The output nodes that the selected nodes are or lead to. */
function branchTargets(editor: Editor): readonly NodeId[] {
  const seen = new Set(editor.selection.nodes);
  const open = [...seen];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    for (const link of wiring(editor.graph).outOf.get(id) ?? []) {
      if (!seen.has(link.to)) {
        seen.add(link.to);
        open.push(link.to);
      }
    }
  }
  const outputs = [...seen].filter((id) => editor.definition(editor.graph.nodes.get(id)?.type ?? "")?.isOutput);
  return outputs.map((id) => editor.executionId(id));
}

type Edge = "left" | "right" | "top" | "bottom" | "center" | "middle";

function align(editor: Editor, edge: Edge): void {
  const boxes = editor.selectedNodes.map((node) => [node.id, bounds(node, editor.layout(node))] as const);
  const all = union(boxes.map(([, rect]) => rect));
  if (!all) return;
  const moves = new Map<NodeId, Point>();
  for (const [id, [x, y, w, h]] of boxes) {
    const dx = edge === "left" ? all[0] - x : edge === "right" ? all[0] + all[2] - x - w : edge === "center" ? all[0] + all[2] / 2 - x - w / 2 : 0;
    const dy = edge === "top" ? all[1] - y : edge === "bottom" ? all[1] + all[3] - y - h : edge === "middle" ? all[1] + all[3] / 2 - y - h / 2 : 0;
    moves.set(id, [dx, dy]);
  }
  editor.edit("Align", (graph) => changeNodes(graph, moves.keys(), (node) => ({ ...node, pos: [node.pos[0] + (moves.get(node.id)?.[0] ?? 0), node.pos[1] + (moves.get(node.id)?.[1] ?? 0)] })));
}

function distribute(editor: Editor, axis: 0 | 1): void {
  const boxes = editor.selectedNodes.map((node) => ({ id: node.id, rect: bounds(node, editor.layout(node)) })).sort((a, b) => a.rect[axis] - b.rect[axis]);
  const [first, last] = [boxes[0], boxes.at(-1)];
  if (!first || !last || boxes.length < 3) return;
  const size = axis === 0 ? 2 : 3;
  const span = last.rect[axis] + last.rect[size] - first.rect[axis];
  const gap = (span - boxes.reduce((sum, { rect }) => sum + rect[size], 0)) / (boxes.length - 1);
  const moves = new Map<NodeId, number>();
  let at = first.rect[axis];
  for (const { id, rect } of boxes) {
    moves.set(id, at - rect[axis]);
    at += rect[size] + gap;
  }
  editor.edit("Distribute", (graph) => changeNodes(graph, moves.keys(), (node) => {
    const by = Math.round(moves.get(node.id) ?? 0);
    return { ...node, pos: axis === 0 ? [node.pos[0] + by, node.pos[1]] : [node.pos[0], node.pos[1] + by] };
  }));
}

function tidy(editor: Editor): void {
  const only = editor.selection.nodes.size > 1 ? editor.selection.nodes : undefined;
  const places = arrange(editor.graph, only);
  editor.edit("Arrange", (graph) => changeNodes(graph, places.keys(), (node) => ({ ...node, pos: places.get(node.id) ?? node.pos })));
}

function frame(editor: Editor): void {
  const area = editor.extent(editor.selection.nodes);
  if (!area) return;
  const [x, y, w, h] = inflate(area, 24);
  editor.edit("Frame", (graph) => addGroup(graph, { title: "Group", bounds: [x, y - 24, w, h + 24], color: "#3f789e", file: {} }));
}

function makeSubgraph(editor: Editor): void {
  const { nodes } = editor.selection;
  let made = "";
  editor.editDocument("Make a subgraph", (document) => {
    const packed = pack(document, editor.ref, nodes, "Subgraph", () => crypto.randomUUID());
    made = packed.instance;
    return packed.document;
  });
  editor.select({ nodes: new Set([made]) });
}

function takeApart(editor: Editor): void {
  const instance = editor.selectedNodes.find((node) => editor.document.subgraphs.has(node.type));
  if (!instance) return;
  let ids: ReadonlySet<NodeId> = new Set();
  editor.editDocument("Unpack", (document) => {
    const open = unpack(document, editor.ref, instance.id);
    ids = open?.ids ?? ids;
    return open?.document ?? document;
  });
  editor.select({ nodes: ids });
}

export function copy(app: App): { html: string; plain: string } | null {
  const editor = app.active;
  if (editor.selection.nodes.size === 0) return null;
  const clip = copyNodes(editor.document, editor.graph, editor.selection.nodes, editor.selection.groups, app.catalogue);
  return { html: toHtml(clip), plain: formatJson(clip) };
}

/** Pastes nodes; anything else that looks like a workflow opens in a tab. */
export function pasteText(context: Context, html: string, plain: string, connected: boolean): boolean {
  const { app, surface } = context;
  const editor = app.active;
  const clip = fromClipboard(html, plain);
  if (clip && clip["version"] !== undefined) {
    openJson(app, clip, null);
    return true;
  }
  if (clip) {
    pasteClip(editor, app, clip, surface.pointer, connected);
    return true;
  }
  if (!plain.trim().startsWith("{")) return false;
  try {
    openJson(app, JSON.parse(plain) as JsonObject, null);
    return true;
  } catch {
    return false;
  }
}

function pasteClip(editor: Editor, app: App, clip: JsonObject, at: Point, connected: boolean): void {
  let ids: ReadonlySet<NodeId> = new Set();
  editor.editDocument("Paste", (document) => {
    const pasted = paste(document, editor.graph, clip, at, connected, app.catalogue);
    ids = pasted.ids;
    return { ...withGraph({ ...document, subgraphs: pasted.subgraphs }, editor.ref, pasted.graph) };
  });
  editor.select({ nodes: ids });
}

const command = (group: Command["group"], id: string, name: string, keys: string, run: Command["run"], enabled?: Command["enabled"]): Command => ({
  id,
  name,
  group,
  keys: keys === "" ? [] : keys.split(" / "),
  run,
  ...(enabled ? { enabled } : {}),
});

const edges: readonly (readonly [Edge, string])[] = [["left", "left edges"], ["right", "right edges"], ["top", "tops"], ["bottom", "bottoms"], ["center", "centres in a column"], ["middle", "middles in a row"]];

export const commands: readonly Command[] = [
  command("Run", "run", "Queue", "Ctrl+Enter", ({ runner }) => void runner.queue()),
  command("Run", "run-front", "Queue in front", "Ctrl+Shift+Enter", ({ runner }) => void runner.queue({ front: true })),
  command("Run", "run-four", "Queue four times", "", ({ runner }) => void runner.queue({ count: 4 })),
  command("Run", "run-live", "Run on change: on or off", "", ({ app }) => {
    app.live = !app.live;
    app.notify({ tone: "info", text: app.live ? "Every change is queued by itself." : "Changes are no longer queued by themselves." });
  }),
  command("Run", "run-selected", "Run only this branch", "Ctrl+Alt+Enter", ({ app, runner }) => {
    const targets = branchTargets(app.active);
    if (targets.length > 0) void runner.queue({ targets });
    else app.notify({ tone: "info", text: "Nothing downstream of this saves or shows a result, so there is nothing to run." });
  }, selected),
  command("Run", "interrupt", "Stop what runs", "Ctrl+Alt+C", ({ runner }) => runner.interrupt()),
  command("Run", "clear-queue", "Clear the queue", "", ({ app }) => void http.clearQueue().then(() => app.refreshJobs(), (error: unknown) => app.fail(error))),
  command("Run", "free", "Free memory: unload models, drop cached results", "", ({ app }) => void http.free().then(() => app.notify({ tone: "info", text: "Memory is freed after the current job." }), (error: unknown) => app.fail(error))),
  command("Edit", "undo", "Undo", "Ctrl+Z", ({ app }) => app.active.undo(), ({ app }) => app.active.undoLabel !== null),
  command("Edit", "redo", "Redo", "Ctrl+Shift+Z / Ctrl+Y", ({ app }) => app.active.redo(), ({ app }) => app.active.redoLabel !== null),
  command("Edit", "duplicate", "Duplicate", "Ctrl+D", ({ app }) => duplicate(app.active), selected),
  command("Edit", "delete", "Delete", "Delete / Backspace", ({ app }) => remove(app.active, false), anything),
  command("Edit", "dissolve", "Delete and keep the flow", "Ctrl+Delete / Ctrl+Backspace", ({ app }) => remove(app.active, true), selected),
  command("Edit", "select-all", "Select all", "Ctrl+A", ({ app }) => app.active.select({ nodes: new Set(app.active.graph.nodes.keys()), groups: new Set(app.active.graph.groups.keys()) })),
  command("Edit", "deselect", "Select nothing", "", ({ app }) => app.active.select({})),
  command("Edit", "find", "Find in workflow", "Ctrl+F", ({ app }) => app.setDialog({ kind: "find" })),
  command("Node", "add-node", "Add node", "Tab", ({ app, surface }) => app.setDialog({ kind: "palette", at: surface.pointer, end: null })),
  command("Node", "connect", "Connect…", "C", ({ app }) => {
    const [node] = app.active.selection.nodes;
    if (node !== undefined) app.setDialog({ kind: "connect", node });
  }, ({ app }) => app.active.selection.nodes.size === 1),
  command("Node", "mute", "Mute", "Ctrl+M", ({ app }) => toggleMode(app.active, MUTED, "Mute"), selected),
  command("Node", "bypass", "Bypass", "Ctrl+B", ({ app }) => toggleMode(app.active, BYPASSED, "Bypass"), selected),
  command("Node", "collapse", "Collapse", "Alt+C", ({ app }) => flip(app.active, "collapsed", "Collapse"), selected),
  command("Node", "pin", "Pin in place", "P", ({ app }) => flip(app.active, "pinned", "Pin"), selected),
  command("Node", "frame", "Frame the selection", "Ctrl+G", ({ app }) => frame(app.active), selected),
  command("Node", "subgraph", "Make a subgraph", "Ctrl+Shift+G", ({ app }) => makeSubgraph(app.active), selected),
  command("Node", "unpack", "Unpack the subgraph", "", ({ app }) => takeApart(app.active), ({ app }) => app.active.selectedNodes.some((node) => app.active.document.subgraphs.has(node.type))),
  command("Node", "enter", "Enter the subgraph", "", ({ app }) => app.active.selectedNodes[0] && app.active.enter(app.active.selectedNodes[0].id), ({ app }) => app.active.selectedNodes.some((node) => app.active.document.subgraphs.has(node.type))),
  command("Node", "arrange", "Arrange automatically", "Ctrl+Shift+L", ({ app }) => tidy(app.active)),
  ...edges.map(([edge, words]) => command("Node", `align-${edge}`, `Align ${words}`, "", ({ app }) => align(app.active, edge), ({ app }) => app.active.selection.nodes.size > 1)),
  command("Node", "distribute-x", "Distribute in a row", "", ({ app }) => distribute(app.active, 0), ({ app }) => app.active.selection.nodes.size > 2),
  command("Node", "distribute-y", "Distribute in a column", "", ({ app }) => distribute(app.active, 1), ({ app }) => app.active.selection.nodes.size > 2),
  command("View", "commands", "All commands", "Ctrl+K / Ctrl+Shift+P", ({ app }) => app.setDialog({ kind: "commands" })),
  command("View", "fit", "Show everything", "F", ({ app }) => app.reveal?.()),
  command("View", "fit-selection", "Show the selection", ".", ({ app }) => app.reveal?.(app.active.selection.nodes), selected),
  command("View", "zoom-in", "Zoom in", "Ctrl+= / Ctrl++", ({ surface }) => surface.zoom(1.25)),
  command("View", "zoom-out", "Zoom out", "Ctrl+-", ({ surface }) => surface.zoom(0.8)),
  command("View", "zoom-100", "Actual size", "Ctrl+0", ({ surface }) => surface.zoomTo(1)),
  command("View", "queue-panel", "Queue and results", "Q", ({ app }) => {
    app.sidebar = app.sidebar === "queue" ? "none" : "queue";
    app.changed();
  }),
  command("View", "form", "Form or canvas", "", ({ app }) => {
    app.form = !app.form;
    app.changed();
  }),
  command("View", "minimap", "Minimap", "M", ({ app }) => app.set({ minimap: !app.settings.minimap })),
  command("View", "links", "Link style: curves, straight, stepped", "", ({ app }) => app.set({ linkStyle: app.settings.linkStyle === "curve" ? "straight" : app.settings.linkStyle === "straight" ? "stepped" : "curve" })),
  command("View", "theme", "Light or dark", "", ({ app }) => app.set({ theme: app.settings.theme === "light" ? "dark" : "light" })),
  command("View", "leave", "Leave the subgraph", "", ({ app }) => app.active.goTo(app.active.path.slice(0, -1)), ({ app }) => app.active.path.length > 0),
  command("View", "settings", "Settings", "Ctrl+,", ({ app }) => app.setDialog({ kind: "settings" })),
  command("View", "shortcuts", "Keyboard shortcuts", "?", ({ app }) => app.setDialog({ kind: "shortcuts" })),
  command("File", "new", "New workflow", "Alt+N", ({ app }) => void app.open(emptyDocument(crypto.randomUUID()), null)),
  command("File", "new-default", "New workflow from the start graph", "", ({ app }) => {
    app.open(startDocument(app.catalogue, crypto.randomUUID()), null);
    app.reveal?.();
  }),
  command("File", "open", "Open…", "Ctrl+O", ({ app }) => app.setDialog({ kind: "open" })),
  command("File", "open-disk", "Open a file from this machine…", "", ({ app }) => void pickFile(".json,.png,.webp").then((file) => (file ? openFile(app, file) : undefined))),
  command("File", "save", "Save", "Ctrl+S", ({ app }) => (app.active.name === null ? app.setDialog({ kind: "save-as" }) : void save(app, app.active, app.active.name, true))),
  command("File", "save-as", "Save as…", "Ctrl+Shift+S", ({ app }) => app.setDialog({ kind: "save-as" })),
  command("File", "versions", "Earlier versions…", "", ({ app }) => app.setDialog({ kind: "versions" })),
  command("File", "download", "Download as a file", "", ({ app }) => download(app, app.active, fileText(app, app.active))),
  command("File", "download-api", "Download in API form", "", ({ app }) => download(app, app.active, formatJson(toPrompt(app.active.document, app.catalogue) as unknown as JsonObject, 2), ".api.json")),
  command("File", "close", "Close this tab", "Alt+W", ({ app }) => app.close(app.active)),
  command("File", "reload-nodes", "Reload node definitions", "R", ({ app }) => void http.objectInfo().then((info) => {
    app.setCatalogue(readCatalogue(info));
    app.notify({ tone: "info", text: `${app.catalogue.size} node types.` });
  }, (error: unknown) => app.fail(error))),
];

export const byId = new Map(commands.map((one) => [one.id, one]));

/** The key of an event as commands spell it. */
export function keyOf(event: { readonly key: string; readonly ctrlKey: boolean; readonly metaKey: boolean; readonly altKey: boolean; readonly shiftKey: boolean; readonly code: string }): string {
  const letter = /^Key([A-Z])$/.exec(event.code)?.[1];
  // Alt and some layouts change what a letter key types, but not which key it is.
  const name = letter && (event.altKey || event.ctrlKey || event.metaKey || /^[a-z]$/i.test(event.key)) ? letter : event.key === " " ? "Space" : event.key.length === 1 ? event.key.toUpperCase() : event.key;
  const shift = event.shiftKey && (event.key.length > 1 || letter !== undefined);
  return `${event.ctrlKey || event.metaKey ? "Ctrl+" : ""}${event.altKey ? "Alt+" : ""}${shift ? "Shift+" : ""}${name}`;
}

export function keysOf(app: App, one: Command): readonly string[] {
  const own = app.settings.keys[one.id];
  return own === undefined ? one.keys : own === "" ? [] : [own];
}

export const allCommands = (app: App): readonly Command[] => [...commands, ...app.extensions.commands];

export function commandFor(app: App, key: string): Command | null {
  return allCommands(app).find((one) => keysOf(app, one).includes(key)) ?? null;
}
