/** Choosing a node to add; finding nodes, commands and options. */

import { type ReactNode, useEffect } from "react";
import { listBlocks, placeBlock } from "../app/blocks";
import { allCommands } from "../app/commands";
import { keysOf } from "../app/keys";
import { findInDocument, findTypes, score } from "../editor/search";
import { addConnected, possibleLinks, typeOf } from "../editor/wiring";
import { jumpTo } from "../app/runner";
import type { NodeDefinition } from "../graph/definitions";
import { connect } from "../graph/edit";
import { readable } from "../graph/types";
import { t } from "../words/words";
import { themes, typeStyle } from "../view/theme";
import type { Dialog } from "../app/app";
import { type Choice, Picker } from "./Picker";
import { useApp, useContextOf } from "./use-app";

type Of<K extends Dialog["kind"]> = Extract<Dialog, { kind: K }>;

function Sockets({ definition }: { readonly definition: NodeDefinition }): ReactNode {
  const theme = document.documentElement.dataset["theme"] === "light" ? themes.light : themes.dark;
  const row = (name: string, type: string, key: string): ReactNode => (
    <div className="socket-row" key={key}>
      <i style={{ background: typeStyle(theme, type).color }} />
      {name} <span>{type}</span>
    </div>
  );
  return (
    <>
      <h3>{definition.title}</h3>
      <p className="faint">{[definition.category, definition.pack === "nodes" ? "" : definition.pack].filter(Boolean).join(" · ")}</p>
      {definition.description && <p>{definition.description}</p>}
      {definition.inputs.length > 0 && <h4>{t("Takes")}</h4>}
      {definition.inputs.map((input) => row(input.label, input.type, `in ${input.name}`))}
      {definition.outputs.length > 0 && <h4>{t("Gives")}</h4>}
      {definition.outputs.map((output, i) => row(output.name, output.type, `out ${i}`))}
    </>
  );
}

export function NodePalette({ at, end }: Of<"palette">): ReactNode {
  const app = useApp();
  const editor = app.active;
  const uses = new Map(Object.entries(app.settings.uses));
  const wire = end ? { side: end.side === "output" ? ("takes" as const) : ("gives" as const), type: typeOf(editor, end) } : undefined;
  useEffect(() => {
    if (!end) void listBlocks().then((blocks) => {
      app.blocks = blocks;
      app.changed();
    }, () => undefined);
  }, [app, end]);
  const find = (text: string): readonly Choice[] => {
    const types = findTypes(app.catalogue, { text, uses, ...(wire ? { wire } : {}) }).map((definition) => ({ id: definition.type, label: definition.title, detail: definition.category }));
    const blocks = end || text.trim() === "" ? [] : app.blocks.map((block) => ({ block, points: score(text, block.name) })).filter(({ points }) => points > 300);
    return [...blocks.map(({ block }) => ({ id: `block:${block.id}`, label: block.name, detail: block.pack ?? t("block") })), ...types];
  };
  return (
    <Picker
      title={t("Add node")}
      placeholder={!wire ? t("Add a node: type its name") : wire.side === "takes" ? t("Add a node that takes {type}", { type: readable(wire.type) }) : t("Add a node that gives {type}", { type: readable(wire.type) })}
      find={find}
      close={() => app.setDialog(null)}
      choose={(type) => {
        if (type.startsWith("block:")) return void placeBlock(app, type.slice(6), at);
        addConnected(editor, type, at, end);
        return app.used(type);
      }}
      preview={(type) => {
        const definition = app.catalogue.get(type);
        return definition && <Sockets definition={definition} />;
      }}
      empty={t("No node of that name fits here.")}
    />
  );
}

export function CommandPalette(): ReactNode {
  const app = useApp();
  const context = useContextOf();
  const find = (words: string): readonly Choice[] => {
    const nodes = words.length < 2 ? [] : findTypes(app.catalogue, { text: words }, 8).map((definition) => ({ id: `node:${definition.type}`, label: t("Add {node}", { node: definition.title }), detail: definition.category }));
    const found = allCommands(app)
      .map((one) => ({ one, points: Math.max(score(words, t(one.name)), score(words, one.name) * 0.8, score(words, t(one.group)) * 0.5) }))
      .filter(({ points }) => points > 0)
      .sort((a, b) => (words === "" ? 0 : b.points - a.points))
      .map(({ one }) => ({ id: one.id, label: t(one.name), detail: keysOf(app, one)[0] ?? t(one.group), disabled: !(one.enabled?.(context) ?? true) }));
    return [...found, ...nodes];
  };
  return (
    <Picker
      title={t("All commands")}
      placeholder={t("Do something")}
      find={find}
      close={() => app.setDialog(null)}
      choose={(id) => {
        if (id.startsWith("node:")) {
          addConnected(app.active, id.slice(5), context.surface.pointer, null);
          app.used(id.slice(5));
        } else allCommands(app).find((one) => one.id === id)?.run(context);
      }}
    />
  );
}

export function FindPalette(): ReactNode {
  const app = useApp();
  const editor = app.active;
  return (
    <Picker
      title={t("Find in workflow")}
      placeholder={t("Title, type, number or any value")}
      find={(words) => findInDocument(editor.document, app.catalogue, words).map(({ node, where, text }) => ({ id: node, label: where, detail: text.slice(0, 60) }))}
      close={() => app.setDialog(null)}
      choose={(node) => jumpTo(app, editor, node)}
      empty={t("Type to search titles, types, numbers and values.")}
    />
  );
}

/** Links without a pointer: all that the chosen node could have. */
export function ConnectPicker({ node }: Of<"connect">): ReactNode {
  const app = useApp();
  const editor = app.active;
  const links = possibleLinks(editor, node);
  return (
    <Picker
      title={t("Connect")}
      placeholder={t("Connect to…")}
      find={(words) => links.map((link, i) => ({ id: String(i), label: link.label, detail: link.type })).filter((choice) => score(words, choice.label) > 0).slice(0, 200)}
      close={() => app.setDialog(null)}
      choose={(index) => {
        const link = links[Number(index)];
        if (link) editor.attempt("Connect", (graph) => connect(graph, link.from, link.to, editor.definition));
      }}
      empty={t("Nothing here fits this node.")}
    />
  );
}
