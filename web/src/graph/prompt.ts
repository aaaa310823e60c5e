/** Graph to API prompt: virtual, muted and bypassed nodes and subgraphs are resolved away. */

import { type Catalogue, isNote, widgetEntries } from "./definitions";
import { BYPASSED, type Document, type Graph, type GraphNode, type Link, MUTED, NORMAL, type NodeId, SUBGRAPH_IN, SUBGRAPH_OUT, type Subgraph, linkInto, wiring } from "./document";
import type { Random } from "./control";
import { definitionOf } from "./instances";
import { type Json, isArray } from "./json";
import { fillPrefix, pickAlternatives } from "./rewrite";
import { fits, members } from "./types";

export interface PromptNode {
  readonly class_type: string;
  readonly inputs: Readonly<Record<string, Json>>;
  readonly _meta: { readonly title: string };
}
export type Prompt = Readonly<Record<string, PromptNode>>;

/** One graph in the place where it is used. */
interface Scope {
  readonly graph: Graph;
  readonly prefix: string;
  readonly outer: { readonly scope: Scope; readonly instance: GraphNode; readonly subgraph: Subgraph } | null;
}

type Source = { readonly link: readonly [string, number] } | { readonly value: Json } | null;

export interface PromptOptions {
  readonly random?: Random;
  readonly now?: Date;
}

export function toPrompt(document: Document, catalogue: Catalogue, options: PromptOptions = {}): Prompt {
  return new Flattener(document, catalogue, options).run();
}

class Flattener {
  private readonly prompt: Record<string, PromptNode> = {};
  private readonly scopes = new Map<string, Scope>();
  private readonly random: Random;
  private readonly now: Date;

  constructor(
    private readonly document: Document,
    private readonly catalogue: Catalogue,
    options: PromptOptions,
  ) {
    this.random = options.random ?? Math.random;
    this.now = options.now ?? new Date();
  }

  run(): Prompt {
    this.emit({ graph: this.document.root, prefix: "", outer: null });
    return this.prompt;
  }

  private emit(scope: Scope): void {
    for (const node of scope.graph.nodes.values()) {
      if (node.mode !== NORMAL) continue;
      const inner = this.inside(scope, node);
      if (inner) this.emit(inner);
      else if (!this.isVirtual(node)) this.prompt[scope.prefix + node.id] = this.promptNode(scope, node);
    }
  }

  private isVirtual(node: GraphNode): boolean {
    return isNote(node.type) || (this.catalogue.get(node.type)?.virtual ?? false);
  }

  /** The scope of a subgraph instance; null for any other node, or when a definition contains itself. */
  private inside(scope: Scope, node: GraphNode): Scope | null {
    const subgraph = this.document.subgraphs.get(node.type);
    if (!subgraph) return null;
    const prefix = `${scope.prefix}${node.id}:`;
    for (let outer = scope.outer; outer; outer = outer.scope.outer) {
      if (outer.subgraph === subgraph) return null;
    }
    const known = this.scopes.get(prefix);
    if (known) return known;
    const made: Scope = { graph: subgraph.graph, prefix, outer: { scope, instance: node, subgraph } };
    this.scopes.set(prefix, made);
    return made;
  }

  private promptNode(scope: Scope, node: GraphNode): PromptNode {
    const definition = definitionOf(this.document, this.catalogue, node.type);
    const inputs: Record<string, Json> = {};
    if (definition && node.values) {
      for (const entry of widgetEntries(definition)) {
        const value = node.values[entry.key];
        if (entry.role !== "value" || value === undefined) continue;
        inputs[entry.name] = this.outgoing(scope, entry.name, value, entry.spec.kind === "text" && entry.spec.dynamicPrompts);
      }
    }
    node.inputs.forEach((slot, i) => {
      const link = linkInto(scope.graph, node.id, i);
      if (!link) return;
      const source = this.follow(scope, link, slot.type, 0);
      if (source && "link" in source) inputs[slot.name] = source.link;
      else if (source) inputs[slot.name] = isArray(source.value) ? { __value__: source.value } : source.value;
    });
    return { class_type: node.type, inputs, _meta: { title: node.title ?? definition?.title ?? node.type } };
  }

  private outgoing(scope: Scope, name: string, value: Json, dynamic: boolean): Json {
    // A bare array would read as a link.
    if (isArray(value)) return { __value__: value };
    if (typeof value !== "string") return value;
    if (dynamic) return pickAlternatives(value, this.random);
    return name === "filename_prefix" ? fillPrefix(value, this.now, (node, widget) => this.named(scope, node, widget)) : value;
  }

  private named(scope: Scope, name: string, widget: string): string | null {
    for (const node of scope.graph.nodes.values()) {
      if (node.properties["Node name for S&R"] !== name && node.title !== name) continue;
      const value = node.values?.[widget];
      if (value !== undefined) return String(value);
    }
    return null;
  }

  /** Where the data of a link really comes from. A cycle ends after as many steps as there could be nodes. */
  private follow(scope: Scope, link: Link, wanted: string, steps: number): Source {
    if (steps > 2_000) return null;
    if (link.from === SUBGRAPH_IN && scope.outer) return this.followOut(scope.outer, link, wanted, steps);
    const source = scope.graph.nodes.get(link.from);
    if (!source || source.mode === MUTED) return null;
    if (source.mode === BYPASSED) {
      const through = this.passThrough(scope.graph, source, link.fromSlot, wanted);
      return through ? this.follow(scope, through, wanted, steps + 1) : null;
    }
    if (source.type === "PrimitiveNode") return { value: source.values?.["value"] ?? null };
    const inner = this.inside(scope, source);
    if (inner) {
      for (const ending of wiring(inner.graph).into.get(SUBGRAPH_OUT)?.values() ?? []) {
        if (ending.toSlot === link.fromSlot) return this.follow(inner, ending, wanted, steps + 1);
      }
      return null;
    }
    if (this.isVirtual(source)) {
      const before = linkInto(scope.graph, source.id, link.fromSlot);
      return before ? this.follow(scope, before, wanted, steps + 1) : null;
    }
    return { link: [scope.prefix + source.id, link.fromSlot] };
  }

  private followOut(outer: NonNullable<Scope["outer"]>, link: Link, wanted: string, steps: number): Source {
    const name = outer.subgraph.inputs[link.fromSlot]?.name;
    if (name === undefined) return null;
    const slot = outer.instance.inputs.findIndex((input) => input.name === name);
    const before = slot < 0 ? undefined : linkInto(outer.scope.graph, outer.instance.id, slot);
    if (before) return this.follow(outer.scope, before, wanted, steps + 1);
    const value = outer.instance.values?.[name];
    return value === undefined ? null : { value };
  }

  /** The link a bypassed node passes on: same index and type first, then the first of that type, then the first that fits. */
  private passThrough(graph: Graph, node: GraphNode, output: number, wanted: string): Link | undefined {
    const link = (i: number): Link | undefined => linkInto(graph, node.id, i);
    if (members(wanted) === "any") return link(output) ?? link(0);
    if (node.inputs[output]?.type === wanted) return link(output);
    const same = node.inputs.findIndex((input) => input.type === wanted);
    if (same >= 0) return link(same);
    const near = node.inputs.findIndex((input) => input.widget === undefined && fits(input.type, wanted));
    return near < 0 ? undefined : link(near);
  }
}

/** The graph node an execution id ("5", "12:3") belongs to on screen: its outermost instance, and the path inside. */
export const pathOf = (executionId: string): readonly NodeId[] => executionId.split(":");
