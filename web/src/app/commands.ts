/** Every action: a name, a key, a place in the palette. */

import { copyNodes, fromClipboard, paste, toHtml } from "../editor/clipboard";
import type { Editor } from "../editor/editor";
import { membersOf } from "../editor/frames";
import { portalName, setPortal } from "../editor/portals";
import type { Viewport } from "../editor/viewport";
import { duplicate } from "../editor/perform";
import { http } from "../client/http";
import { BYPASSED, MUTED, type Mode, NORMAL, type NodeId, type Point, wiring, withGraph } from "../graph/document";
import { changeNodes, dissolveNodes, removeGroups, removeNodes, removeReroute, setMode } from "../graph/edit";
import { formatJson, type JsonObject } from "../graph/json";
import { toPrompt } from "../graph/prompt";
import { initialValues } from "../graph/definitions";
import { emptyDocument } from "../graph/document";
import type { App } from "./app";
import { type Edge, align, distribute, frame, tidy } from "./arranging";
import { goToBookmark, setBookmark } from "./bookmarks";
import { download, fileText, openFile, openJson, pickFile } from "./files";
import type { Runner } from "./runner";
import { t } from "../words/words";
import { save } from "./saved";
import { startDocument } from "./start";
import { makeSubgraph, takeApart } from "./subgraphs";

export interface Surface {
  readonly width: number;
  readonly height: number;
  /** Where the pointer is, in graph units; the middle of the canvas when it is elsewhere. */
  readonly pointer: Point;
  zoom(factor: number): void;
  zoomTo(scale: number): void;
  look(viewport: Viewport): void;
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
const isInstance = ({ app }: Context): boolean => app.active.selectedNodes.some((node) => app.active.document.subgraphs.has(node.type));
const anything = ({ app }: Context): boolean => {
  const { nodes, groups, reroutes } = app.active.selection;
  return nodes.size + groups.size + reroutes.size > 0;
};

/** The selected nodes and those that lie in selected frames. */
function chosen(editor: Editor): ReadonlySet<NodeId> {
  const nodes = new Set(editor.selection.nodes);
  for (const group of editor.selection.groups) for (const id of membersOf(editor.graph, editor.layout, group).nodes) nodes.add(id);
  return nodes;
}
const chosenAny = ({ app }: Context): boolean => app.active.selection.nodes.size + app.active.selection.groups.size > 0;

/** Sets the mode on all chosen nodes, or takes it off when all have it. */
function toggleMode(editor: Editor, mode: Mode, label: string): void {
  const ids = chosen(editor);
  const next = [...ids].every((id) => editor.graph.nodes.get(id)?.mode === mode) ? NORMAL : mode;
  editor.edit(label, (graph) => setMode(graph, ids, next));
}

/** Folds the selected frames, or unfolds them when all are folded. */
function fold(editor: Editor): void {
  const { groups } = editor.selection;
  const on = ![...groups].every((i) => editor.graph.groups[i]?.folded);
  editor.edit("Fold", (graph) => ({ ...graph, groups: graph.groups.map((group, i) => (groups.has(i) ? { ...group, folded: on } : group)) }));
}

/** Shows the links that leave the chosen nodes by name, or draws them again when all are. */
function togglePortals(editor: Editor): void {
  const links = [...editor.selection.nodes].flatMap((id) => wiring(editor.graph).outOf.get(id) ?? []);
  const named = links.length > 0 && links.every((link) => link.portal !== undefined);
  editor.edit("Portals", (graph) => links.reduce((next, link) => setPortal(next, [link.id], named ? null : portalName(next, link)), graph));
}

/** Gives the widgets of the chosen nodes the values a new node has. */
function resetValues(editor: Editor): void {
  editor.edit("Reset values", (graph) =>
    changeNodes(graph, editor.selection.nodes, (node) => {
      const definition = editor.definition(node.type);
      return definition && node.values ? { ...node, values: initialValues(definition) } : node;
    }),
  );
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

/** The nodes of a set that feed no other node of it: to run these is to run all. */
function lastOf(editor: Editor, ids: ReadonlySet<NodeId>): readonly NodeId[] {
  const { outOf } = wiring(editor.graph);
  return [...ids].filter((id) => !(outOf.get(id) ?? []).some((link) => ids.has(link.to))).map((id) => editor.executionId(id));
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
  command("Run", "run-many", "Queue several times…", "", ({ app }) => app.setDialog({ kind: "run-many" })),
  command("Run", "run-live", "Run on change: on or off", "", ({ app }) => {
    app.live = !app.live;
    app.notify({ tone: "info", text: app.live ? t("Every change is queued by itself.") : t("Changes are no longer queued by themselves.") });
  }),
  command("Run", "run-selected", "Run only this branch", "Ctrl+Alt+Enter", ({ app, runner }) => {
    const targets = branchTargets(app.active);
    if (targets.length > 0) void runner.queue({ upTo: targets });
    else app.notify({ tone: "info", text: t("Nothing downstream of this saves or shows a result, so there is nothing to run.") });
  }, selected),
  command("Run", "run-to", "Run up to here", "Ctrl+Shift+Alt+Enter", ({ app, runner }) => void runner.queue({ upTo: [...app.active.selection.nodes].map((id) => app.active.executionId(id)) }), selected),
  command("Run", "run-group", "Run what lies in this frame", "", ({ app, runner }) => void runner.queue({ upTo: lastOf(app.active, chosen(app.active)) }), ({ app }) => app.active.selection.groups.size > 0),
  command("Run", "hold", "Hold the queue, or let it go on", "", ({ app }) => void http.hold(app.paused !== true).then(() => app.refreshQueue(), (error: unknown) => app.fail(error)), ({ app }) => app.paused !== null),
  command("Run", "interrupt", "Stop what runs", "Ctrl+Alt+C", ({ runner }) => runner.interrupt()),
  command("Run", "clear-queue", "Clear the queue", "", ({ app }) => void http.clearQueue().then(() => app.refreshJobs(), (error: unknown) => app.fail(error))),
  command("Run", "free", "Free memory: unload models, drop cached results", "", ({ app }) => void http.free().then(() => app.notify({ tone: "info", text: t("Memory is freed after the current job.") }), (error: unknown) => app.fail(error))),
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
  command("Node", "mute", "Mute", "Ctrl+M", ({ app }) => toggleMode(app.active, MUTED, "Mute"), chosenAny),
  command("Node", "bypass", "Bypass", "Ctrl+B", ({ app }) => toggleMode(app.active, BYPASSED, "Bypass"), chosenAny),
  command("Node", "collapse", "Collapse", "Alt+C", ({ app }) => flip(app.active, "collapsed", "Collapse"), selected),
  command("Node", "pin", "Pin in place", "P", ({ app }) => flip(app.active, "pinned", "Pin"), selected),
  command("Node", "frame", "Frame the selection", "Ctrl+G", ({ app }) => frame(app.active), selected),
  command("Node", "fold", "Fold or unfold the frame", "Alt+F", ({ app }) => fold(app.active), ({ app }) => app.active.selection.groups.size > 0),
  command("Node", "portals", "Name the outgoing links instead of drawing them", "", ({ app }) => togglePortals(app.active), selected),
  command("Node", "reset", "Reset values to what a new node has", "", ({ app }) => resetValues(app.active), selected),
  command("Node", "subgraph", "Make a subgraph", "Ctrl+Shift+G", ({ app }) => makeSubgraph(app.active), selected),
  command("Node", "save-block", "Keep the selection as a block…", "", ({ app }) => app.setDialog({ kind: "save-block" }), selected),
  command("Node", "shown-widgets", "Values shown on the subgraph…", "", ({ app }) => app.active.selectedNodes[0] && app.setDialog({ kind: "shown-widgets", node: app.active.selectedNodes[0].id }), isInstance),
  command("Node", "unpack", "Unpack the subgraph", "", ({ app }) => takeApart(app.active), isInstance),
  command("Node", "enter", "Enter the subgraph", "", ({ app }) => app.active.selectedNodes[0] && app.active.enter(app.active.selectedNodes[0].id), isInstance),
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
  command("View", "memory", "Memory: which models are where", "", ({ app }) => app.setDialog({ kind: "memory" })),
  command("View", "gallery", "Gallery", "G", ({ app }) => app.setDialog({ kind: "gallery" })),
  command("View", "form", "Form or canvas", "", ({ app }) => {
    app.form = !app.form;
    app.changed();
  }),
  command("View", "minimap", "Minimap", "M", ({ app }) => app.set({ minimap: !app.settings.minimap })),
  command("View", "links-shown", "Show or hide links", "L", ({ app }) => app.set({ links: !app.settings.links })),
  ...Array.from({ length: 9 }, (_, i) => command("View", `bookmark-${i + 1}`, `Go to bookmark ${i + 1}`, String(i + 1), ({ app, surface }) => {
    if (!goToBookmark(app.active, surface, i + 1)) app.notify({ tone: "info", text: t("Nothing is marked with {place} yet. Shift+{place} marks what you see.", { place: i + 1 }) });
  })),
  ...Array.from({ length: 9 }, (_, i) => command("View", `bookmark-set-${i + 1}`, `Set bookmark ${i + 1}`, `Shift+${i + 1}`, ({ app, surface }) => {
    setBookmark(app.active, surface, i + 1);
    app.notify({ tone: "info", text: t("Marked. {place} brings you back here.", { place: i + 1 }) });
  })),
  command("View", "links", "Link style: curves, straight, stepped", "", ({ app }) => app.set({ linkStyle: app.settings.linkStyle === "curve" ? "straight" : app.settings.linkStyle === "straight" ? "stepped" : "curve" })),
  command("View", "theme", "Light or dark", "", ({ app }) => app.set({ theme: app.settings.theme === "light" ? "dark" : "light" })),
  command("View", "leave", "Leave the subgraph", "", ({ app }) => app.active.goTo(app.active.path.slice(0, -1)), ({ app }) => app.active.path.length > 0),
  command("View", "settings", "Settings", "Ctrl+,", ({ app }) => app.setDialog({ kind: "settings" })),
  command("View", "tour", "Show the tour", "", ({ app }) => {
    app.setDialog(null);
    app.set({ toured: false });
  }),
  command("View", "shortcuts", "Keyboard shortcuts", "?", ({ app }) => app.setDialog({ kind: "shortcuts" })),
  command("File", "new", "New workflow", "Alt+N", ({ app }) => void app.open(emptyDocument(crypto.randomUUID()), null)),
  command("File", "new-default", "New workflow from the start graph", "", ({ app }) => {
    app.open(startDocument(app.catalogue, crypto.randomUUID()), null);
    app.reveal?.();
  }),
  command("File", "open", "Open…", "Ctrl+O", ({ app }) => app.setDialog({ kind: "open" })),
  command("File", "open-disk", "Open a file from this machine…", "", ({ app }) => void pickFile(".json,.png,.webp").then((file) => (file ? openFile(app, file) : undefined))),
  command("File", "save", "Save", "Ctrl+S", ({ app }) => (app.active.name === null ? app.setDialog({ kind: "save-as" }) : void save(app, app.active, app.active.name))),
  command("File", "save-as", "Save as…", "Ctrl+Shift+S", ({ app }) => app.setDialog({ kind: "save-as" })),
  command("File", "versions", "Earlier versions and unsaved work…", "", ({ app }) => app.setDialog({ kind: "versions" })),
  command("File", "compare", "Compare with another workflow…", "", ({ app }) => app.setDialog({ kind: "compare" })),
  command("File", "templates", "Templates…", "Ctrl+Shift+O", ({ app }) => app.setDialog({ kind: "templates" })),
  command("File", "download", "Download as a file", "", ({ app }) => download(app, app.active, fileText(app, app.active))),
  command("File", "download-api", "Download in API form", "", ({ app }) => download(app, app.active, formatJson(toPrompt(app.active.document, app.catalogue) as unknown as JsonObject, 2), ".api.json")),
  command("File", "close", "Close this tab", "Alt+W", ({ app }) => app.close(app.active)),
  command("File", "reload-nodes", "Reload node definitions", "R", ({ app }) => void http.objectInfo().then((info) => {
    app.setDefinitions(info);
    app.notify({ tone: "info", text: t("{count} node types.", { count: app.catalogue.size }) });
  }, (error: unknown) => app.fail(error))),
];

export const byId = new Map(commands.map((one) => [one.id, one]));

export const allCommands = (app: App): readonly Command[] => [...commands, ...app.extensions.commands];
