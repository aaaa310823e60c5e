/** One open document: what it holds, what is selected, what the hand is doing. Knows no DOM; the view draws it and tells it pointers. */

import { type Catalogue, type NodeDefinition, type WidgetEntry, widgetEntries } from "../graph/definitions";
import { type Document, type Graph, type GraphNode, type GraphRef, type Link, type LinkId, type NodeId, type Point, type Rect, emptyDocument, graphAt, withGraph } from "../graph/document";
import { type Refusal, type Result, changeNodes, setValue } from "../graph/edit";
import { definitionOf } from "../graph/instances";
import type { Json } from "../graph/json";
import { isProxy, proxyEntries, proxyValue, setProxyValue, shownPreview } from "../graph/proxies";
import { type History, emptyHistory, record, redo, seal, undo } from "../graph/undo";
import { adopt } from "../graph/workflow";
import { type Folded, foldedIn, frameRect } from "./frames";
import { type Ends, type LinkStyle, type NodeLayout, bounds, layoutNode, linkEnds, linkPath, union } from "./geometry";
import { type Gesture, idle } from "./gesture";
import type { Guide } from "./guides";
import { type MediaRef, RunState } from "./run";
import type { Viewport } from "./viewport";

export interface Selection {
  readonly nodes: ReadonlySet<NodeId>;
  readonly groups: ReadonlySet<number>;
  readonly reroutes: ReadonlySet<number>;
}
export const nothing: Selection = { nodes: new Set(), groups: new Set(), reroutes: new Set() };

export interface Notice {
  readonly text: string;
  readonly tone: "info" | "error";
  /** One thing that would help, offered as a button. */
  readonly action?: { readonly label: string; readonly run: () => void };
}

export interface Drag {
  /** What was selected before a box that adds to it began. */
  readonly base?: ReadonlySet<NodeId>;
  /** Where the node under the hand was. */
  readonly start?: Point;
  /** Everything that moves along. */
  readonly members?: Selection;
  /** The box around it, and what it may align with. */
  readonly box?: Rect;
  readonly others?: readonly Rect[];
  readonly copied?: boolean;
  /** The number that is being scrubbed, as it was. */
  readonly value?: number;
}

export class Editor {
  document: Document;
  catalogue: Catalogue;
  /** The instances entered, outermost first. */
  path: readonly NodeId[] = [];
  selection: Selection = nothing;
  gesture: Gesture = idle;
  viewport: Viewport = { scale: 1, offset: [0, 0] };
  hovered: NodeId | null = null;
  /** How links are drawn, which is also how they are hit. */
  linkStyle: LinkStyle = "curve";
  /** What the thing in hand has caught on. */
  guides: readonly Guide[] = [];
  readonly run = new RunState();
  /** Name in the tab and of the file; null until saved. */
  name: string | null = null;
  /** Names the content of the file this was opened from or saved to, as the server does. */
  tag: string | null = null;
  /** The tag of a foreign save the user was already told of. */
  told: string | null = null;
  /** The document as last saved to a file, or as it was opened. */
  saved: Document;
  private history: History<Document> = emptyHistory;
  private readonly listeners = new Set<() => void>();
  private layouts = new WeakMap<GraphNode, { readonly definition: NodeDefinition | undefined; readonly media: boolean; readonly layout: NodeLayout }>();
  private readonly views = new Map<string, Viewport>();
  /** The graph on screen has not been brought into view yet. */
  unseen = false;
  private liveFrom: Document | null = null;
  /** What the drag in progress needs to remember from its beginning. */
  drag: Drag = {};

  constructor(catalogue: Catalogue, document: Document = emptyDocument(crypto.randomUUID())) {
    this.catalogue = catalogue;
    this.document = document;
    this.saved = document;
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  changed(): void {
    for (const listener of this.listeners) listener();
  }

  // Where we are

  get ref(): GraphRef {
    let ref: GraphRef = null;
    for (const id of this.path) {
      const type: string | undefined = graphAt(this.document, ref).nodes.get(id)?.type;
      if (type === undefined || !this.document.subgraphs.has(type)) break;
      ref = type;
    }
    return ref;
  }

  get graph(): Graph {
    return graphAt(this.document, this.ref);
  }

  /** The id under which the server knows a node of the graph on screen. */
  executionId(node: NodeId): string {
    return [...this.path, node].join(":");
  }

  enter(instance: NodeId): void {
    const node = this.graph.nodes.get(instance);
    if (!node || !this.document.subgraphs.has(node.type)) return;
    this.goTo([...this.path, instance]);
  }

  goTo(path: readonly NodeId[]): void {
    // Each level is found again as it was left; one never seen is shown whole.
    this.views.set(this.path.join(":"), this.viewport);
    const known = this.views.get(path.join(":"));
    this.viewport = known ?? this.viewport;
    this.unseen = known === undefined;
    this.path = path;
    this.selection = nothing;
    this.gesture = idle;
    this.changed();
  }

  // What is known of nodes

  readonly definition = (type: string): NodeDefinition | undefined => definitionOf(this.document, this.catalogue, type);

  setCatalogue(catalogue: Catalogue): void {
    this.catalogue = catalogue;
    const clean = !this.dirty;
    this.document = adopt(this.document, catalogue);
    if (clean) this.saved = this.document;
    this.layouts = new WeakMap();
    this.changed();
  }

  title(node: GraphNode): string {
    return node.title ?? this.definition(node.type)?.title ?? node.type;
  }

  readonly layout = (node: GraphNode): NodeLayout => {
    const definition = this.definition(node.type);
    const media = this.showsMedia(node, definition);
    const known = this.layouts.get(node);
    if (known && known.definition === definition && known.media === media) return known.layout;
    const layout = layoutNode(node, definition, this.entries(node), media);
    this.layouts.set(node, { definition, media, layout });
    return layout;
  };

  /** The picture a loader node points at. */
  loaded(node: GraphNode): MediaRef | null {
    const definition = this.definition(node.type);
    for (const entry of definition && node.values ? widgetEntries(definition) : []) {
      if (entry.spec.kind !== "combo" || entry.spec.upload !== "image") continue;
      const value = node.values?.[entry.key];
      if (typeof value !== "string" || value === "") return null;
      const slash = value.lastIndexOf("/");
      return { filename: value.slice(slash + 1), subfolder: slash < 0 ? "" : value.slice(0, slash), type: entry.spec.folder };
    }
    return null;
  }

  /** Under which id a node's pictures and texts are kept: a subgraph may show those of a node inside. */
  mediaId(node: GraphNode): string {
    const own = this.executionId(node.id);
    const inner = this.document.subgraphs.has(node.type) ? shownPreview(node) : null;
    return inner === null ? own : `${own}:${inner}`;
  }

  private showsMedia(node: GraphNode, definition: NodeDefinition | undefined): boolean {
    const id = this.mediaId(node);
    if (this.run.media.has(id) || this.run.previews.has(id) || this.run.text.has(id)) return true;
    return (definition?.inputs.some((input) => input.widget?.kind === "combo" && input.widget.upload === "image") ?? false) && this.loaded(node) !== null;
  }

  /** Boundary slots of the subgraph on screen. */
  get ends(): Ends | null {
    const subgraph = this.ref === null ? null : this.document.subgraphs.get(this.ref);
    if (!subgraph) return null;
    const box = (key: string, x: number): Rect => {
      const end = subgraph.file[key] as { bounding?: readonly number[] } | undefined;
      const [bx, by, bw, bh] = end?.bounding ?? [];
      return [bx ?? x, by ?? 0, bw ?? 120, bh ?? 60];
    };
    const input = box("inputNode", -200);
    const output = box("outputNode", 800);
    return { input: (slot) => [input[0] + input[2], input[1] + 14 + slot * 20], output: (slot) => [output[0], output[1] + 14 + slot * 20] };
  }

  /** What folded frames hide on screen. */
  get folded(): Folded {
    return foldedIn(this.graph, this.layout);
  }

  /** The points a link passes on screen; null when it is not drawn. */
  wire(link: Link): readonly Point[] | null {
    return linkPath(this.graph, link, this.layout, this.ends, this.folded.nodes);
  }

  /** Where a link's ends lie, drawn or not. */
  wireEnds(link: Link): readonly [Point, Point] | null {
    return linkEnds(this.graph, link, this.layout, this.ends, this.folded.nodes);
  }

  extent(nodes?: ReadonlySet<NodeId>): Rect | null {
    const rects: Rect[] = [];
    const hidden = this.folded.nodes;
    for (const node of this.graph.nodes.values()) if (nodes ? nodes.has(node.id) : !hidden.has(node.id)) rects.push(bounds(node, this.layout(node)));
    if (!nodes) for (const group of this.graph.groups) rects.push(frameRect(group));
    return union(rects);
  }

  // Edits

  /** Changes the graph on screen as one undoable step. Edits in a row with the same `merge` key are one step. */
  edit(label: string, change: (graph: Graph) => Graph, merge: string | null = null): void {
    this.editDocument(label, (document) => {
      const before = graphAt(document, this.ref);
      const after = change(before);
      return after === before ? document : withGraph(document, this.ref, after);
    }, merge);
  }

  editDocument(label: string, change: (document: Document) => Document, merge: string | null = null): void {
    const after = change(this.document);
    // An edit that ends a drag takes what the drag showed into the same step.
    const before = this.liveFrom ?? this.document;
    this.liveFrom = null;
    if (after === before) return;
    this.history = record(this.history, before, label, merge);
    this.document = after;
    this.changed();
  }

  /** An edit that may be refused. */
  attempt(label: string, change: (graph: Graph) => Result<Graph>): Refusal | null {
    const result = change(this.graph);
    if (!result.ok) return result.reason;
    this.edit(label, () => result.value);
    return null;
  }

  /** Shows a change while the hand still moves; each call starts again from the same graph. */
  live(change: (graph: Graph) => Graph): void {
    this.liveDocument((document) => withGraph(document, this.ref, change(graphAt(document, this.ref))));
  }

  liveDocument(change: (document: Document) => Document): void {
    this.liveFrom ??= this.document;
    this.document = change(this.liveFrom);
    this.changed();
  }

  /** Makes what `live` showed an edit, or takes it back. */
  settle(label: string | null): void {
    const before = this.liveFrom;
    this.liveFrom = null;
    if (!before) return;
    if (label === null) this.document = before;
    else if (this.document !== before) this.history = record(this.history, before, label);
    this.changed();
  }

  get isLive(): boolean {
    return this.liveFrom !== null;
  }

  /** Changes that are not the user's own (a seed that moves on after queueing) are part of the last step. */
  amend(change: (document: Document) => Document): void {
    const after = change(this.document);
    if (after === this.document) return;
    this.document = after;
    this.changed();
  }

  sealEdits(): void {
    this.history = seal(this.history);
  }

  get undoLabel(): string | null {
    return this.history.past.at(-1)?.label ?? null;
  }

  get redoLabel(): string | null {
    return this.history.future.at(-1)?.label ?? null;
  }

  undo(): void {
    this.travel(undo(this.history, this.document));
  }

  redo(): void {
    this.travel(redo(this.history, this.document));
  }

  private travel(result: readonly [History<Document>, Document] | null): void {
    if (!result) return;
    [this.history, this.document] = result;
    this.selection = this.existing(this.selection);
    this.changed();
  }

  get dirty(): boolean {
    return this.saved !== this.document;
  }

  // Selection

  select(selection: Partial<Selection>): void {
    this.selection = { ...nothing, ...selection };
    this.changed();
  }

  private existing(selection: Selection): Selection {
    const { nodes, groups, reroutes } = this.graph;
    return {
      nodes: new Set([...selection.nodes].filter((id) => nodes.has(id))),
      groups: new Set([...selection.groups].filter((i) => i < groups.length)),
      reroutes: new Set([...selection.reroutes].filter((id) => reroutes.has(id))),
    };
  }

  get selectedNodes(): readonly GraphNode[] {
    return [...this.selection.nodes].flatMap((id) => this.graph.nodes.get(id) ?? []);
  }

  /** Puts the seed a node was last queued with back, and keeps it. */
  lastSeed(id: NodeId): void {
    const seed = this.run.seeds.get(this.executionId(id));
    if (seed) this.edit("Use the last seed", (graph) => changeNodes(graph, [id], (node) => ({ ...node, values: { ...node.values, [seed[0]]: seed[1], control_after_generate: "fixed" } })));
  }

  /** All values a node shows: its own, and those a subgraph instance shows of its inside. */
  entries(node: GraphNode): readonly WidgetEntry[] {
    const definition = this.definition(node.type);
    if (!definition || !node.values) return [];
    const own = widgetEntries(definition);
    return definition.instance ? [...own, ...proxyEntries(this.document, this.catalogue, node)] : own;
  }

  value(node: GraphNode, key: string, initial: Json): Json {
    return (isProxy(key) ? proxyValue(this.document, this.catalogue, node, key) : node.values?.[key]) ?? initial;
  }

  setValue(id: NodeId, key: string, value: Json, label = `Change ${key}`, merge: string | null = null): void {
    this.editDocument(label, (document) => this.withValue(document, id, key, value), merge);
  }

  /** The document with a value of a node on screen changed, wherever that value lives. */
  withValue(document: Document, id: NodeId, key: string, value: Json): Document {
    const graph = graphAt(document, this.ref);
    const node = graph.nodes.get(id);
    if (node && isProxy(key)) return setProxyValue(document, this.catalogue, node, key, value);
    const after = setValue(graph, id, key, value);
    return after === graph ? document : withGraph(document, this.ref, after);
  }
}

export type { LinkId, Point };
