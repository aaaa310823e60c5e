/** New nodes, sized for what they carry. */

import { type NodeDefinition, initialValues, isNote, widgetEntries } from "./definitions";
import { type GraphNode, type NodeId, NORMAL, type Point, type Size } from "./document";
import type { Values } from "./document";

/** Units of the classic renderer, which files are laid out for. */
export const TITLE = 30;
export const SLOT = 20;
export const WIDGET = 24;
const TEXT_AREA = 88;
const PADDING = 8;

/** An estimate, since measuring needs a canvas: close enough to choose a width, never used to place text. */
const textWidth = (text: string): number => text.length * 6.6;

export function naturalSize(definition: NodeDefinition): Size {
  if (isNote(definition.type)) return [224, 96];
  if (definition.type === "Reroute") return [75, 26];
  const entries = widgetEntries(definition).filter((entry) => entry.role === "value" || entry.role === "control");
  const plain = definition.inputs.filter((input) => !input.widget);
  const slots = Math.max(plain.length, definition.outputs.length);
  const areas = entries.filter((entry) => entry.spec.kind === "text" && entry.spec.multiline).length;
  const upload = definition.inputs.some((input) => input.widget?.kind === "combo" && input.widget.upload === "image");
  const rows = slots * SLOT + (entries.length - areas) * WIDGET + areas * TEXT_AREA + (entries.length > 0 ? PADDING : 0) + PADDING;
  const sides =
    Math.max(0, ...plain.map((input) => textWidth(input.label))) + Math.max(0, ...definition.outputs.map((output) => textWidth(output.name))) + 64;
  const widgets = Math.max(0, ...entries.map((entry) => textWidth(entry.input?.label ?? entry.name) + 132));
  const width = Math.max(144, areas > 0 ? 320 : 0, upload ? 256 : 0, definition.title.length * 8 + 56, sides, widgets);
  return [Math.ceil(Math.min(width, 400) / 8) * 8, Math.ceil((rows + (upload || (definition.isOutput && plain.some((i) => i.type === "IMAGE")) ? 208 : 0)) / 8) * 8];
}

export function newNode(id: NodeId, definition: NodeDefinition, pos: Point, values: Values = {}): GraphNode {
  return {
    id,
    type: definition.type,
    pos,
    size: naturalSize(definition),
    mode: NORMAL,
    title: null,
    collapsed: false,
    pinned: false,
    color: definition.type === "MarkdownNote" || definition.type === "Note" ? "#432" : null,
    bgcolor: isNote(definition.type) ? "#653" : null,
    inputs: isNote(definition.type)
      ? []
      : definition.inputs.map((input) => ({
          name: input.name,
          type: input.type,
          ...(input.widget ? { widget: input.name } : {}),
          ...(input.optional ? { optional: true } : {}),
        })),
    outputs: definition.outputs.map((output) => ({ name: output.name, type: output.type })),
    values: { ...initialValues(definition), ...values },
    properties: definition.virtual ? {} : { "Node name for S&R": definition.type },
    file: {},
  };
}
