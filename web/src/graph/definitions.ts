/** What the server says about node types (`GET /object_info`), and which widgets that makes, in the files' order. */

import { type Json, type JsonObject, isArray, isObject, number, text } from "./json";

export type ControlMode = "fixed" | "increment" | "decrement" | "randomize" | "increment-wrap";
export const CONTROL_MODES: readonly ControlMode[] = ["fixed", "increment", "decrement", "randomize"];

export interface NumberSpec {
  readonly kind: "number";
  readonly integer: boolean;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  readonly round: number | null;
  readonly initial: Json;
  readonly control: ControlMode | null;
  readonly display: "number" | "slider" | "color";
}
export interface TextSpec {
  readonly kind: "text";
  readonly multiline: boolean;
  readonly initial: Json;
  readonly placeholder: string;
  readonly dynamicPrompts: boolean;
}
export interface ToggleSpec {
  readonly kind: "toggle";
  readonly initial: Json;
  readonly on: string;
  readonly off: string;
}
export interface ComboSpec {
  readonly kind: "combo";
  readonly options: readonly Json[];
  readonly initial: Json;
  readonly control: ControlMode | null;
  readonly upload: "image" | "video" | "audio" | null;
  /** Which folder `GET /view` finds the file in, for a combo of files. */
  readonly folder: "input" | "output" | "temp";
  readonly multiple: boolean;
}
/** A widget type we have no special way to edit: its value is shown and edited as text or JSON. */
export interface OtherSpec {
  readonly kind: "other";
  readonly type: string;
  readonly initial: Json;
}
export type WidgetSpec = NumberSpec | TextSpec | ToggleSpec | ComboSpec | OtherSpec;

export interface InputDefinition {
  readonly name: string;
  readonly type: string;
  readonly optional: boolean;
  readonly advanced: boolean;
  readonly tooltip: string;
  readonly label: string;
  readonly widget: WidgetSpec | null;
}
export interface OutputDefinition {
  readonly name: string;
  readonly type: string;
  readonly list: boolean;
  readonly tooltip: string;
}
export interface NodeDefinition {
  readonly type: string;
  readonly title: string;
  readonly category: string;
  readonly description: string;
  readonly pack: string;
  readonly inputs: readonly InputDefinition[];
  readonly outputs: readonly OutputDefinition[];
  readonly isOutput: boolean;
  readonly deprecated: boolean;
  readonly experimental: boolean;
  readonly aliases: readonly string[];
  /** Exists only in the editor: never sent to the server. */
  readonly virtual: boolean;
  /** Stands for a subgraph: values not stored on the instance are those of the nodes inside. */
  readonly instance: boolean;
}
export type Catalogue = ReadonlyMap<string, NodeDefinition>;

/** One stored value of a node. Companions (seed control, filter, upload caption) have no input of their own. */
export interface WidgetEntry {
  /** Key in `GraphNode.values`; unique in the node. */
  readonly key: string;
  /** Name in the file's named map. */
  readonly name: string;
  readonly role: "value" | "control" | "filter" | "upload" | "extra";
  readonly spec: WidgetSpec;
  readonly input: InputDefinition | null;
}

const SPECIAL = new Set(["COLOR", "MARKDOWN", "IMAGECOMPARE", "BOUNDING_BOX", "CURVE", "FILE_3D", "LOAD_3D", "WEBCAM", "AUDIO_UI"]);
/** The peer's own randomiser stays below 2^50, so that JavaScript keeps every digit. */
export const SEED_LIMIT = 1125899906842624;

function controlOf(options: JsonObject, initial: ControlMode): ControlMode | null {
  const wish = options["control_after_generate"];
  if (wish === undefined || wish === false || wish === null) return null;
  return [...CONTROL_MODES, "increment-wrap"].find((mode) => mode === wish) as ControlMode | undefined ?? initial;
}

function widgetSpec(name: string, kind: Json | undefined, options: JsonObject, own: ReadonlySet<string>): WidgetSpec | null {
  if (options["forceInput"] === true) return null;
  const initial = options["default"];
  if (isArray(kind) || kind === "COMBO") {
    const listed = isArray(kind) ? kind : isArray(options["options"]) ? options["options"] : [];
    const upload = options["image_upload"] || options["animated_image_upload"] ? "image" : options["video_upload"] ? "video" : options["audio_upload"] ? "audio" : null;
    const folder = text(options["image_folder"]);
    return {
      kind: "combo",
      options: listed,
      initial: initial !== undefined && !isArray(initial) ? initial : isArray(initial) && options["multiselect"] ? initial : (listed[0] ?? null),
      control: controlOf(options, "fixed"),
      upload,
      folder: folder === "output" || folder === "temp" ? folder : "input",
      multiple: options["multiselect"] === true || options["multi_select"] === true,
    };
  }
  switch (kind) {
    case "INT":
    case "FLOAT": {
      const integer = kind === "INT";
      const seed = integer && (name === "seed" || name === "noise_seed");
      const display = text(options["display"]);
      return {
        kind: "number",
        integer,
        min: number(options["min"]) ?? (integer ? 0 : 0),
        max: number(options["max"]) ?? 2048,
        step: number(options["step"]) ?? (integer ? 1 : 0.5),
        round: number(options["round"]),
        initial: initial ?? 0,
        control: controlOf(options, "randomize") ?? (seed && options["control_after_generate"] !== false ? "randomize" : null),
        display: display === "slider" ? "slider" : display === "color" ? "color" : "number",
      };
    }
    case "STRING":
      return {
        kind: "text",
        multiline: options["multiline"] === true,
        initial: initial ?? "",
        placeholder: text(options["placeholder"]) ?? "",
        dynamicPrompts: options["dynamicPrompts"] === true,
      };
    case "BOOLEAN":
      return {
        kind: "toggle",
        initial: initial ?? false,
        on: text(options["label_on"]) ?? "on",
        off: text(options["label_off"]) ?? "off",
      };
    default:
      return typeof kind === "string" && (SPECIAL.has(kind) || own.has(kind) || options["widgetType"] !== undefined)
        ? { kind: "other", type: kind, initial: initial ?? null }
        : null;
  }
}

/** A type as the wire writes it: a name, a list of choices, or (in some packs) an array of names. */
export function typeName(kind: Json | undefined): string {
  if (typeof kind === "string") return kind === "" ? "*" : kind;
  if (isArray(kind)) return "COMBO";
  return "*";
}

function inputDefinition(name: string, declared: Json | undefined, optional: boolean, own: ReadonlySet<string>): InputDefinition {
  const [kind, given] = isArray(declared) ? declared : [declared];
  const options = isObject(given) ? given : {};
  return {
    name,
    type: typeName(kind),
    optional,
    advanced: options["advanced"] === true,
    tooltip: text(options["tooltip"]) ?? "",
    label: text(options["display_name"]) ?? name,
    widget: widgetSpec(name, kind, options, own),
  };
}

/** `own`: input types that packs brought widgets for. */
export function readDefinition(type: string, info: JsonObject, own: ReadonlySet<string> = new Set()): NodeDefinition {
  const input = isObject(info["input"]) ? info["input"] : {};
  const order = isObject(info["input_order"]) ? info["input_order"] : {};
  const section = (key: "required" | "optional"): InputDefinition[] => {
    const declared = input[key];
    if (!isObject(declared)) return [];
    const wanted = isArray(order[key]) ? order[key].filter((name): name is string => typeof name === "string" && name in declared) : [];
    const names = new Set([...wanted, ...Object.keys(declared)]);
    return [...names].map((name) => inputDefinition(name, declared[name], key === "optional", own));
  };
  const outputs = isArray(info["output"]) ? info["output"] : [];
  const names = isArray(info["output_name"]) ? info["output_name"] : [];
  const lists = isArray(info["output_is_list"]) ? info["output_is_list"] : [];
  const tips = isArray(info["output_tooltips"]) ? info["output_tooltips"] : [];
  const aliases = isArray(info["search_aliases"]) ? info["search_aliases"] : [];
  return {
    type,
    title: text(info["display_name"]) || type,
    category: text(info["category"]) ?? "",
    description: text(info["description"]) ?? "",
    pack: text(info["python_module"]) ?? "nodes",
    inputs: [...section("required"), ...section("optional")],
    outputs: outputs.map((kind, i) => ({
      name: text(names[i]) ?? typeName(kind),
      type: typeName(kind),
      list: lists[i] === true,
      tooltip: text(tips[i]) ?? "",
    })),
    isOutput: info["output_node"] === true,
    deprecated: info["deprecated"] === true,
    experimental: info["experimental"] === true,
    aliases: aliases.filter((alias): alias is string => typeof alias === "string"),
    virtual: false,
    instance: false,
  };
}

const note = (type: string, title: string): NodeDefinition => ({
  ...readDefinition(type, {
    display_name: title,
    category: "editor",
    description: "A note on the canvas. It never reaches the server.",
    input: { required: { text: ["STRING", { multiline: true }] } },
  }),
  virtual: true,
});

/** Nodes that exist only in the editor. */
export const EDITOR_NODES: readonly NodeDefinition[] = [
  note("Note", "Note"),
  note("MarkdownNote", "Markdown Note"),
  {
    ...readDefinition("Reroute", {
      category: "editor",
      description: "Passes a link on, to lead it round other nodes.",
      input: { required: { "": ["*"] } },
      output: ["*"],
      output_name: [""],
    }),
    virtual: true,
  },
  {
    ...readDefinition("PrimitiveNode", {
      display_name: "Primitive",
      category: "editor",
      description: "One value for any number of widgets. Takes its kind from the first widget it is connected to.",
      output: ["*"],
      output_name: ["connect to widget input"],
    }),
    virtual: true,
  },
];

/** Notes carry text but no sockets. */
export const isNote = (type: string): boolean => type === "Note" || type === "MarkdownNote";

/** Reads the whole of `GET /object_info`. A definition that cannot be read is left out, not fatal. */
export function readCatalogue(info: Json, own: ReadonlySet<string> = new Set()): Catalogue {
  const catalogue = new Map(EDITOR_NODES.map((definition) => [definition.type, definition]));
  if (isObject(info)) {
    for (const [type, declared] of Object.entries(info)) {
      if (isObject(declared)) catalogue.set(type, readDefinition(type, declared, own));
    }
  }
  return catalogue;
}

const controlSpec = (initial: ControlMode, combo: boolean): ComboSpec => ({
  kind: "combo",
  options: combo ? [...CONTROL_MODES, "increment-wrap"] : CONTROL_MODES,
  initial,
  control: null,
  upload: null,
  folder: "input",
  multiple: false,
});
const fixedText = (initial: Json): TextSpec => ({ kind: "text", multiline: false, initial, placeholder: "", dynamicPrompts: false });

const entriesOf = new WeakMap<NodeDefinition, readonly WidgetEntry[]>();

/**
 * Every value a file stores for a node of this definition, in its order: the widgets, directly followed by the
 * companions some of them bring (seed control; filter of a controlled list; caption of an upload button).
 */
export function widgetEntries(definition: NodeDefinition): readonly WidgetEntry[] {
  const known = entriesOf.get(definition);
  if (known) return known;
  const entries: WidgetEntry[] = [];
  const companion = (input: InputDefinition, name: string, role: WidgetEntry["role"], spec: WidgetSpec): void => {
    const taken = entries.some((entry) => entry.key === name);
    entries.push({ key: taken ? `${name}:${input.name}` : name, name, role, spec, input: null });
  };
  const companionless = (name: string, role: WidgetEntry["role"], spec: WidgetSpec): void => {
    entries.push({ key: name, name, role, spec, input: null });
  };
  if (definition.type === "PrimitiveNode") {
    // Its one value takes the kind of whatever it is connected to; the file stores it in front of its companions.
    entries.push({ key: "value", name: "value", role: "value", spec: { kind: "other", type: "*", initial: null }, input: null });
    companionless("control_after_generate", "control", controlSpec("fixed", true));
    companionless("control_filter_list", "filter", fixedText(""));
  }
  const uploads: InputDefinition[] = [];
  const endOfRequired = (): void => {
    for (const input of uploads.splice(0)) companion(input, "upload", "upload", fixedText("image"));
  };
  for (const input of definition.inputs) {
    if (input.optional) endOfRequired();
    const spec = input.widget;
    if (!spec) continue;
    entries.push({ key: input.name, name: input.name, role: "value", spec, input });
    if ((spec.kind === "number" || spec.kind === "combo") && spec.control) {
      companion(input, "control_after_generate", "control", controlSpec(spec.control, spec.kind === "combo"));
      if (spec.kind === "combo") companion(input, "control_filter_list", "filter", fixedText(""));
    }
    if (spec.kind === "combo" && spec.upload === "audio") {
      companion(input, "audioUI", "extra", fixedText(null));
      companion(input, "upload", "extra", fixedText(""));
    } else if (spec.kind === "combo" && spec.upload) uploads.push(input);
  }
  endOfRequired();
  entriesOf.set(definition, entries);
  return entries;
}

export function initialValues(definition: NodeDefinition): Record<string, Json> {
  return Object.fromEntries(widgetEntries(definition).map((entry) => [entry.key, entry.spec.initial]));
}
