/** Everything that stands over the canvas for a moment. What opens seldom is fetched when it first does. */

import { type ReactNode, Suspense, lazy, useState } from "react";
import type { Dialog } from "../app/app";
import { saveBlock } from "../app/blocks";
import { openEmbedded, useAsInput } from "../app/files";
import { save } from "../app/saved";
import type { Editor } from "../editor/editor";
import { evaluate } from "../editor/number";
import { t } from "../words/words";
import { ContextMenu } from "./Menu";
import { Compare, Open } from "./Open";
import { ComboPicker } from "./ComboPicker";
import { CommandPalette, ConnectPicker, FindPalette, NodePalette } from "./Palette";
import { Rename } from "./Rename";
import { Ask, Sheet } from "./Sheet";
import { useApp, useContextOf } from "./use-app";

const MOST_RUNS = 999;

type Of<K extends Dialog["kind"]> = Extract<Dialog, { kind: K }>;

const Settings = lazy(async () => ({ default: (await import("./later")).Settings }));
const Shortcuts = lazy(async () => ({ default: (await import("./later")).Shortcuts }));
const Lightbox = lazy(async () => ({ default: (await import("./later")).Lightbox }));
const Gallery = lazy(async () => ({ default: (await import("./later")).Gallery }));
const ShownWidgets = lazy(async () => ({ default: (await import("./later")).ShownWidgets }));
const Conflict = lazy(async () => ({ default: (await import("./later")).Conflict }));
const Templates = lazy(async () => ({ default: (await import("./later")).Templates }));
const Versions = lazy(async () => ({ default: (await import("./later")).Versions }));
const Memory = lazy(async () => ({ default: (await import("./later")).Memory }));
const MaskEditor = lazy(async () => ({ default: (await import("./later")).MaskEditor }));

export function Dialogs(): ReactNode {
  return <Suspense fallback={null}><Shown /></Suspense>;
}

function Shown(): ReactNode {
  const app = useApp();
  const { runner } = useContextOf();
  const { dialog } = app;
  switch (dialog?.kind) {
    case "palette":
      return <NodePalette {...dialog} />;
    case "commands":
      return <CommandPalette />;
    case "find":
      return <FindPalette />;
    case "combo":
      return <ComboPicker node={dialog.node} entryKey={dialog.key} anchor={dialog.anchor} />;
    case "connect":
      return <ConnectPicker {...dialog} />;
    case "mask":
      return <MaskEditor {...dialog} />;
    case "versions":
      return <Versions />;
    case "conflict":
      return <Conflict {...dialog} />;
    case "compare":
      return <Compare />;
    case "templates":
      return <Templates />;
    case "menu":
      return <ContextMenu {...dialog} />;
    case "open":
      return <Open />;
    case "save-as":
      return <Ask title={t("Save as")} label={t("Name")} initial={app.active.name ?? "untitled"} done={(name) => void save(app, app.active, name)} />;
    case "run-many":
      return <Ask title={t("Queue")} label={t("How many times")} initial="4" done={(text) => {
        const count = Math.round(evaluate(text) ?? 0);
        if (count >= 1 && count <= MOST_RUNS) void runner.queue({ count });
        else app.notify({ tone: "info", text: t("A number from 1 to {most} is wanted.", { most: MOST_RUNS }) });
      }} />;
    case "save-block":
      return <Ask title={t("Keep as a block")} label={t("Name")} initial={firstTitle(app.active)} done={(name) => void saveBlock(app, name)} />;
    case "shown-widgets":
      return <ShownWidgets {...dialog} />;
    case "rename":
      return <Rename {...dialog} />;
    case "settings":
      return <Settings />;
    case "shortcuts":
      return <Shortcuts />;
    case "lightbox":
      return <Lightbox {...dialog} />;
    case "memory":
      return <Memory />;
    case "gallery":
      return <Gallery />;
    case "dropped":
      return <Dropped {...dialog} />;
    case undefined:
      return null;
  }
}

function firstTitle(editor: Editor): string {
  const [node] = editor.selectedNodes;
  return node ? editor.title(node) : "";
}

function Dropped({ file, embedded, at }: Of<"dropped">): ReactNode {
  const app = useApp();
  const [url] = useState(() => URL.createObjectURL(file));
  const choose = (work: () => void) => (): void => {
    app.setDialog(null);
    URL.revokeObjectURL(url);
    work();
  };
  return (
    <Sheet title={file.name}>
      <div className="dropped">
        <img alt="" src={url} />
        <button type="button" autoFocus className="button run" onClick={choose(() => void openEmbedded(app, embedded, file.name.replace(/\.[^.]+$/, "")))}>{t("Open its workflow")}</button>
        <button type="button" className="button" onClick={choose(() => void useAsInput(app, file, at))}>{t("Use as input")}</button>
      </div>
    </Sheet>
  );
}
