/** Finding node types in the palette and things in the workflow. */

import type { Catalogue, NodeDefinition } from "../graph/definitions";
import type { Document, Graph } from "../graph/document";
import { fits, members } from "../graph/types";

/** How well letters match in order; 0 is not at all. Beginnings of words and runs count more. */
export function score(query: string, text: string): number {
  const q = query.toLowerCase();
  const t = text.toLowerCase();
  if (q === "") return 1;
  if (t === q) return 1000;
  if (t.startsWith(q)) return 800 - t.length;
  const inside = t.indexOf(q);
  if (inside >= 0) return (/[\s_/(-]/.test(text[inside - 1] ?? "") || /[A-Z]/.test(text[inside] ?? "") ? 600 : 400) - inside - t.length / 10;
  let total = 0;
  let at = -1;
  let run = 0;
  for (const letter of q) {
    if (letter === " ") continue;
    const next = t.indexOf(letter, at + 1);
    if (next < 0) return 0;
    const start = next === 0 || /[\s_/(-]/.test(text[next - 1] ?? "") || (/[A-Z]/.test(text[next] ?? "") && /[a-z]/.test(text[next - 1] ?? ""));
    run = next === at + 1 ? run + 1 : 0;
    total += start ? 12 : 2 + run * 3;
    at = next;
  }
  return Math.min(300, total) - t.length / 10;
}

/** Words people use for nodes that are called something else. */
const SYNONYMS: Readonly<Record<string, string>> = {
  prompt: "CLIPTextEncode",
  text: "CLIPTextEncode",
  checkpoint: "CheckpointLoaderSimple",
  model: "CheckpointLoaderSimple",
  sampler: "KSampler",
  resize: "ImageScale",
  upscale: "ImageScale",
  canvas: "EmptyLatentImage",
  size: "EmptyLatentImage",
  output: "SaveImage",
  show: "PreviewImage",
  comment: "Note",
};

export interface PaletteQuery {
  readonly text: string;
  /** Only nodes that can take this type, or give it. */
  readonly wire?: { readonly side: "takes" | "gives"; readonly type: string };
  /** How often each type was added before. */
  readonly uses?: ReadonlyMap<string, number>;
}

export function findTypes(catalogue: Catalogue, query: PaletteQuery, limit = 60): readonly NodeDefinition[] {
  const words = query.text.trim();
  const wanted = Object.entries(SYNONYMS).filter(([word]) => words.length > 2 && word.startsWith(words.toLowerCase())).map(([, type]) => type);
  const found: { definition: NodeDefinition; points: number }[] = [];
  for (const definition of catalogue.values()) {
    const wire = query.wire ? wireFit(definition, query.wire.side, query.wire.type) : 1;
    if (wire === 0) continue;
    const matched = Math.max(
      score(words, definition.title),
      score(words, definition.type) * 0.95,
      score(words, definition.category) * 0.4,
      ...definition.aliases.map((alias) => score(words, alias) * 0.9),
      wanted.includes(definition.type) ? 550 : 0,
    );
    if (matched <= 0) continue;
    const used = Math.min(200, (query.uses?.get(definition.type) ?? 0) * 20);
    found.push({ definition, points: matched + used + wire * 40 - (definition.deprecated ? 300 : 0) - (definition.experimental ? 20 : 0) });
  }
  found.sort((a, b) => b.points - a.points || (a.definition.title < b.definition.title ? -1 : 1));
  return found.slice(0, limit).map(({ definition }) => definition);
}

/** 2: a socket of just this type; 1: one that takes anything, or a widget; 0: none. */
function wireFit(definition: NodeDefinition, side: "takes" | "gives", type: string): number {
  const slots = side === "takes" ? definition.inputs : definition.outputs;
  let best = 0;
  for (const slot of slots) {
    if (!(side === "takes" ? fits(type, slot.type) : fits(slot.type, type))) continue;
    const exact = members(slot.type) !== "any" && !("widget" in slot && slot.widget);
    best = Math.max(best, exact ? 2 : 1);
  }
  return best;
}

export interface Finding {
  /** As the server knows it: inside subgraphs with the instances before it ("12:3"). */
  readonly node: string;
  readonly where: string;
  readonly text: string;
}

/** Titles, types, ids and values that hold the words, in the whole document; what lies in subgraphs comes after its instance. */
export function findInDocument(document: Document, catalogue: Catalogue, words: string, limit = 100): readonly Finding[] {
  const needle = words.trim().toLowerCase();
  const found: Finding[] = [];
  if (needle !== "") findInGraph(document, document.root, "", catalogue, needle, limit, found);
  return found;
}

function findInGraph(document: Document, graph: Graph, prefix: string, catalogue: Catalogue, needle: string, limit: number, found: Finding[]): void {
  for (const node of graph.nodes.values()) {
    const subgraph = document.subgraphs.get(node.type);
    const title = node.title ?? subgraph?.name ?? catalogue.get(node.type)?.title ?? node.type;
    const places: readonly (readonly [string, string])[] = [
      ["title", title],
      ["type", node.type],
      ["id", `#${node.id}`],
      ...Object.entries(node.values ?? {}).map(([key, value]) => [key, typeof value === "object" ? JSON.stringify(value) : String(value)] as const),
    ];
    const hit = places.find(([, text]) => text.toLowerCase().includes(needle));
    if (hit) found.push({ node: prefix + node.id, where: hit[0] === "title" ? title : `${title} · ${hit[0]}`, text: hit[1] });
    // A subgraph that contains itself is searched no deeper than a reader would follow.
    if (subgraph && prefix.length < 60) findInGraph(document, subgraph.graph, `${prefix}${node.id}:`, catalogue, needle, limit, found);
    if (found.length >= limit) return;
  }
}
