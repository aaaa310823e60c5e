/** The menu under the right button (or a resting finger): what can be done with the thing that lies there. */

import type { ReactNode } from "react";
import { Dialog as AriaDialog, Menu, MenuItem, Modal, ModalOverlay, Separator } from "react-aria-components";
import type { App, Dialog } from "../app/app";
import { type Context, byId } from "../app/commands";
import { pickFile, uploadKey, useAsInput } from "../app/files";
import { keysOf } from "../app/keys";
import { expose, removeEnd } from "../app/subgraphs";
import type { Editor } from "../editor/editor";
import { portalName, setPortal, together } from "../editor/portals";
import { formatNumber } from "../editor/number";
import { type WidgetEntry, widgetEntries } from "../graph/definitions";
import { type GraphNode, linkInto } from "../graph/document";
import { addReroute, changeGroup, changeNodes, removeLinks } from "../graph/edit";
import { t } from "../words/words";
import { place } from "./Picker";
import { useApp, useContextOf } from "./use-app";

type Open = Extract<Dialog, { kind: "menu" }>;

interface Entry {
  readonly id: string;
  readonly name: string;
  readonly key?: string;
  readonly off?: boolean;
  readonly run: () => void;
}

const COLORS: readonly (readonly [name: string, color: string | null, body: string | null])[] = [
  ["None", null, null], ["Red", "#5c2a2e", "#3a1f22"], ["Amber", "#5a4322", "#372b1a"], ["Green", "#26503a", "#1b3328"], ["Teal", "#1f4d52", "#183336"], ["Blue", "#2a3f6b", "#1d2a45"], ["Violet", "#463266", "#2c2240"],
];

export function ContextMenu(open: Open): ReactNode {
  const app = useApp();
  const context = useContextOf();
  const { target, screen } = open;
  const sections = sectionsFor(app, context, open);
  const entries = sections.flat();
  const close = (): void => app.setDialog(null);
  const colored = target.kind === "group" || "node" in target;
  const paint = (color: string | null, body: string | null): void => {
    close();
    if (target.kind === "group") app.active.edit("Colour", (graph) => changeGroup(graph, target.group, (group) => ({ ...group, color: color ?? "#3f789e" })));
    else app.active.edit("Colour", (graph) => changeNodes(graph, app.active.selection.nodes, (one) => ({ ...one, color, bgcolor: body })));
  };
  return (
    <ModalOverlay isOpen isDismissable onOpenChange={(stays) => !stays && close()} className="veil clear">
      <Modal className="float menu" style={place([screen[0], screen[1], 0, 0], 296, 60 + entries.length * 30)}>
        <AriaDialog aria-label={t("Menu")}>
          <Menu autoFocus="first" className="menu-list" aria-label={t("Menu")} onAction={(id) => {
            close();
            entries.find((entry) => entry.id === id)?.run();
          }}>
            {sections.flatMap((section, i) => [
              ...(i > 0 && section.length > 0 ? [<Separator key={`line ${i}`} className="line" />] : []),
              ...section.map(({ id, name, key, off }) => (
                <MenuItem key={id} id={id} className="option" textValue={name} isDisabled={off ?? false}>
                  <span className="option-label">{name}</span>
                  {key !== undefined && <span className="option-detail">{key}</span>}
                </MenuItem>
              )),
            ])}
          </Menu>
          {colored && (
            <div className="swatches" role="group" aria-label={t("Colour")}>
              {COLORS.map(([name, color, body]) => <button key={name} type="button" title={t(name)} aria-label={t("Colour: {name}", { name: t(name) })} style={{ background: color ?? "var(--head)" }} onClick={() => paint(color, body)} />)}
            </div>
          )}
        </AriaDialog>
      </Modal>
    </ModalOverlay>
  );
}

/** What the menu offers, most particular first. */
function sectionsFor(app: App, context: Context, open: Open): readonly (readonly Entry[])[] {
  const { target, at } = open;
  const command = (id: string): Entry => {
    const one = byId.get(id);
    const key = one && keysOf(app, one)[0];
    return { id, name: t(one?.name ?? id), ...(key === undefined ? {} : { key }), off: !(one?.enabled?.(context) ?? true), run: () => one?.run(context) };
  };
  switch (target.kind) {
    case "empty":
      return [
        [{ id: "palette", name: t("Add node"), key: "Tab", run: () => app.setDialog({ kind: "palette", at, end: null }) }],
        ["undo", "redo", "select-all", "fit", "arrange"].map(command),
        ["open", "save", "settings"].map(command),
      ];
    case "link":
    case "portal":
      return [linkEntries(app, open)];
    case "end":
      return [endEntries(app, open)];
    case "reroute":
      return [["delete"].map(command)];
    case "group":
    case "group-fold":
    case "group-resize":
      return [["fold", "run-group", "mute", "bypass"].map(command), ["duplicate", "arrange", "frame", "subgraph"].map(command), ["dissolve", "delete"].map(command)];
    default: {
      const node = app.active.graph.nodes.get(target.node);
      if (!node) return [];
      const instance = app.active.document.subgraphs.has(node.type);
      return [
        partEntries(app, node, open),
        nodeEntries(app, node, open),
        [...(instance ? ["enter", "unpack", "shown-widgets"] : []), "run-to", "run-selected", "connect", "duplicate", "mute", "bypass", "collapse", "pin", "frame", "subgraph", "save-block"].map(command),
        app.extensions.menusFor(node).map((entry, i): Entry => ({ id: `extension:${i}`, name: entry.name, run: () => entry.run(app.extensions.view(node)) })),
        ["dissolve", "delete"].map(command),
      ];
    }
  }
}

function linkEntries(app: App, { target, at }: Open): readonly Entry[] {
  const editor = app.active;
  const link = target.kind === "link" || target.kind === "portal" ? editor.graph.links.get(target.link) : undefined;
  if (!link) return [];
  const named = together(editor.graph, link);
  const remove: Entry = { id: "cut-link", name: t("Remove this link"), run: () => editor.edit("Remove link", (graph) => removeLinks(graph, new Set([link.id]))) };
  if (link.portal === undefined) {
    return [
      { id: "portal", name: t("Name it instead of drawing it"), run: () => editor.edit("Name link", (graph) => setPortal(graph, [link.id], portalName(graph, link))) },
      { id: "reroute", name: t("Put a point on it"), run: () => editor.edit("Add reroute", (graph) => addReroute(graph, link.id, [Math.round(at[0]), Math.round(at[1])])) },
      remove,
    ];
  }
  return [
    { id: "rename", name: t("Rename…"), run: () => app.rename?.(target) },
    { id: "draw", name: t("Draw it again"), run: () => editor.edit("Draw link", (graph) => setPortal(graph, named.map(({ id }) => id), null)) },
    remove,
  ];
}

function endEntries(app: App, { target }: Open): readonly Entry[] {
  if (target.kind !== "end") return [];
  const { ref, document } = app.active;
  const count = ref === null ? 0 : (document.subgraphs.get(ref)?.[target.side === "input" ? "inputs" : "outputs"].length ?? 0);
  if (target.slot >= count) return [{ id: "hint", name: t("Drag a link here to make a slot"), off: true, run: () => undefined }];
  return [
    { id: "rename", name: t("Rename…"), run: () => app.rename?.(target) },
    { id: "remove", name: t("Remove this slot"), run: () => removeEnd(app.active, target.side, target.slot) },
  ];
}

/** For the socket or widget under the pointer. */
function partEntries(app: App, node: GraphNode, { target }: Open): readonly Entry[] {
  const editor = app.active;
  const inside = editor.ref !== null;
  if (target.kind === "output") {
    return [
      { id: "rename", name: t("Rename the output…"), run: () => app.rename?.(target) },
      ...(inside ? [{ id: "expose", name: t("Show as an output of the subgraph"), run: () => expose(editor, target) }] : []),
    ];
  }
  const name = target.kind === "input" ? target.input : target.kind === "widget" ? target.key : null;
  const definition = editor.definition(node.type);
  if (name === null || !definition?.inputs.some((input) => input.name === name)) return [];
  const input = { kind: "input", node: node.id, input: name } as const;
  const slot = node.inputs.findIndex((one) => one.name === name);
  const link = slot < 0 ? undefined : linkInto(editor.graph, node.id, slot);
  const entry = widgetEntries(definition).find((one) => one.key === name && one.role === "value");
  return [
    ...(entry && target.kind === "widget" ? resetEntry(editor, node, entry) : []),
    { id: "rename", name: t("Rename the input…"), run: () => app.rename?.(input) },
    ...(inside ? [{ id: "expose", name: t("Show as an input of the subgraph"), run: () => expose(editor, input) }] : []),
    ...(link ? [{ id: "disconnect", name: t("Disconnect"), run: () => editor.edit("Disconnect", (graph) => removeLinks(graph, new Set([link.id]))) }] : []),
  ];
}

function resetEntry(editor: Editor, node: GraphNode, { key, spec, input }: WidgetEntry): readonly Entry[] {
  const initial = spec.kind === "number" ? formatNumber(spec, spec.initial) : typeof spec.initial === "object" ? JSON.stringify(spec.initial) : String(spec.initial);
  const shown = initial.length > 24 ? `${initial.slice(0, 24)}…` : initial;
  return [{ id: "reset-widget", name: t("Reset {name} to {value}", { name: input?.label ?? key, value: shown === "" ? t("nothing") : shown }), off: node.values?.[key] === spec.initial, run: () => editor.setValue(node.id, key, spec.initial, `Reset ${key}`) }];
}

function nodeEntries(app: App, node: GraphNode, { at }: Open): readonly Entry[] {
  const editor = app.active;
  const seed = editor.run.seeds.get(editor.executionId(node.id));
  const media = editor.loaded(node);
  return [
    ...(uploadKey(editor, node.id) !== null ? [{ id: "upload", name: t("Upload an image…"), run: () => void pickFile("image/*").then((file) => (file ? useAsInput(app, file, at, node.id) : undefined)) }] : []),
    ...(media ? [{ id: "mask", name: t("Draw a mask…"), run: () => app.setDialog({ kind: "mask", node: node.id, media }) }] : []),
    ...(seed ? [{ id: "last-seed", name: t("Use the seed of the last run ({seed})", { seed: String(seed[1]) }), run: () => editor.lastSeed(node.id) }] : []),
  ];
}
