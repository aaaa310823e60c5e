/** The graph a new document begins with: one that runs at once on this machine. */

import { type Catalogue, type NodeDefinition } from "../graph/definitions";
import { newNode } from "../graph/create";
import { type Document, type Graph, type Point, emptyDocument, emptyGraph } from "../graph/document";
import { addNode, connect } from "../graph/edit";
import type { Values } from "../graph/document";

interface Step {
  readonly type: string;
  readonly pos: Point;
  readonly values?: Values;
  readonly title?: string;
  /** Input name → [index of an earlier step, its output]. */
  readonly from?: Readonly<Record<string, readonly [number, number]>>;
}

const TEXT_TO_IMAGE: readonly Step[] = [
  { type: "CheckpointLoaderSimple", pos: [0, 168] },
  { type: "CLIPTextEncode", pos: [400, 0], title: "Positive prompt", values: { text: "a lighthouse on a cliff at dusk, warm light, detailed" }, from: { clip: [0, 1] } },
  { type: "CLIPTextEncode", pos: [400, 216], title: "Negative prompt", values: { text: "blurry, watermark" }, from: { clip: [0, 1] } },
  { type: "EmptyLatentImage", pos: [400, 432] },
  { type: "KSampler", pos: [800, 64], from: { model: [0, 0], positive: [1, 0], negative: [2, 0], latent_image: [3, 0] } },
  { type: "VAEDecode", pos: [1136, 64], from: { samples: [4, 0], vae: [0, 2] } },
  { type: "SaveImage", pos: [1336, 64], from: { images: [5, 0] } },
];

/** Without a checkpoint there is still something to see: nodes that need no model. */
const IMAGE_ONLY: readonly Step[] = [
  { type: "EmptyImage", pos: [0, 48], title: "Background", values: { width: 512, height: 512, color: 0x24406e } },
  { type: "EmptyImage", pos: [0, 240], title: "Square", values: { width: 192, height: 192, color: 0xffb46b } },
  { type: "ImageCompositeMasked", pos: [336, 96], values: { x: 160, y: 160, resize_source: false }, from: { destination: [0, 0], source: [1, 0] } },
  { type: "ImageBlur", pos: [656, 96], values: { blur_radius: 24, sigma: 8 }, from: { image: [2, 0] } },
  { type: "SaveImage", pos: [976, 64], from: { images: [3, 0] } },
];

const SMALLEST: readonly Step[] = [
  { type: "EmptyImage", pos: [0, 64], values: { color: 0x24406e } },
  { type: "PreviewImage", pos: [336, 64], from: { images: [0, 0] } },
];

function build(steps: readonly Step[], catalogue: Catalogue): Graph | null {
  let graph: Graph = emptyGraph;
  const definitions = (type: string): NodeDefinition | undefined => catalogue.get(type);
  for (const step of steps) {
    const definition = catalogue.get(step.type);
    if (!definition) return null;
    const known = Object.fromEntries(Object.entries(step.values ?? {}).filter(([key]) => definition.inputs.some((input) => input.name === key)));
    [graph] = addNode(graph, (id) => ({ ...newNode(id, definition, step.pos, known), title: step.title ?? null }));
    for (const [input, [source, output]] of Object.entries(step.from ?? {})) {
      const made = connect(graph, { node: String(source + 1), output }, { node: String(graph.lastNode), input }, definitions);
      if (!made.ok) return null;
      graph = made.value;
    }
  }
  return graph;
}

export const textToImage = (catalogue: Catalogue): Graph | null => build(TEXT_TO_IMAGE, catalogue);

export function hasCheckpoint(catalogue: Catalogue): boolean {
  const widget = catalogue.get("CheckpointLoaderSimple")?.inputs[0]?.widget;
  return widget?.kind === "combo" && widget.options.length > 0;
}

export function startDocument(catalogue: Catalogue, id: string): Document {
  const choices = hasCheckpoint(catalogue) ? [TEXT_TO_IMAGE, IMAGE_ONLY, SMALLEST] : [IMAGE_ONLY, SMALLEST];
  for (const steps of choices) {
    const root = build(steps, catalogue);
    if (root) return { ...emptyDocument(id), root };
  }
  return emptyDocument(id);
}
