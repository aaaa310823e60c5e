/** Everything that stands over the canvas for a moment. */

import { type ReactNode, useEffect, useState } from "react";
import { Button, Dialog as AriaDialog, Label, Menu, MenuItem, Modal, ModalOverlay, Radio, RadioGroup, Separator, Switch } from "react-aria-components";
import type { App, Dialog } from "../app/app";
import type { MediaRef } from "../editor/run";
import { byId, commands, keysOf } from "../app/commands";
import { openEmbedded, openFile, openJson, openSaved, openTemplate, pickFile, save, uploadKey, useAsInput } from "../app/files";
import type { Settings as Values } from "../app/settings";
import type { Draft } from "../client/drafts";
import { http, viewUrl } from "../client/http";
import { changeGroup, changeNodes, removeLinks } from "../graph/edit";
import { parseJson } from "../graph/json";
import { score } from "../editor/search";
import { CommandPalette, ComboPicker, ConnectPicker, FindPalette, NodePalette } from "./Palette";
import { MaskEditor } from "./MaskEditor";
import { Picker, place } from "./Picker";
import { icons } from "./icons";
import { useApp, useContextOf } from "./use-app";

type Of<K extends Dialog["kind"]> = Extract<Dialog, { kind: K }>;

export function Dialogs(): ReactNode {
  const app = useApp();
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
    case "menu":
      return <ContextMenu {...dialog} />;
    case "open":
      return <Open />;
    case "save-as":
      return <Ask title="Save as" label="Name" initial={app.active.name ?? "untitled"} done={(name) => void save(app, app.active, name, false)} />;
    case "rename":
      return <Rename {...dialog} />;
    case "settings":
      return <Settings />;
    case "shortcuts":
      return <Shortcuts />;
    case "lightbox":
      return <Lightbox {...dialog} />;
    case "dropped":
      return <Dropped {...dialog} />;
    case undefined:
      return null;
  }
}

function Sheet({ title, children, wide }: { readonly title: string; readonly children: ReactNode; readonly wide?: boolean }): ReactNode {
  const app = useApp();
  return (
    <ModalOverlay isOpen isDismissable onOpenChange={(open) => !open && app.setDialog(null)} className="veil">
      <Modal className="float sheet" style={place(undefined, wide ? 720 : 440, 400)}>
        <AriaDialog aria-label={title} className="sheet-body">
          <div className="sheet-head">
            <h2>{title}</h2>
            <Button className="icon" aria-label="Close" onPress={() => app.setDialog(null)}>{icons.close}</Button>
          </div>
          {children}
        </AriaDialog>
      </Modal>
    </ModalOverlay>
  );
}

function Ask({ title, label, initial, done }: { readonly title: string; readonly label: string; readonly initial: string; readonly done: (value: string) => void }): ReactNode {
  const app = useApp();
  const [value, setValue] = useState(initial);
  const finish = (): void => {
    const name = value.trim();
    if (name === "") return;
    app.setDialog(null);
    done(name);
  };
  return (
    <Sheet title={title}>
      <form onSubmit={(event) => { event.preventDefault(); finish(); }} className="ask">
        <label>{label}<input autoFocus value={value} onFocus={(event) => event.target.select()} onChange={(event) => setValue(event.target.value)} /></label>
        <button type="submit" className="button run">{title}</button>
      </form>
    </Sheet>
  );
}

function Rename({ target, value, anchor }: Of<"rename">): ReactNode {
  const app = useApp();
  const editor = app.active;
  const [text, setText] = useState(value);
  const finish = (): void => {
    app.setDialog(null);
    if (text === value) return;
    if (target.kind === "group") editor.edit("Rename", (graph) => changeGroup(graph, target.group, (group) => ({ ...group, title: text })));
    else if ("node" in target) editor.edit("Rename", (graph) => changeNodes(graph, [target.node], (node) => ({ ...node, title: text.trim() === "" ? null : text })));
  };
  return (
    <ModalOverlay isOpen isDismissable onOpenChange={(open) => !open && finish()} className="veil clear">
      <Modal className="float rename" style={{ left: anchor[0], top: anchor[1], width: Math.max(160, anchor[2]) }}>
        <AriaDialog aria-label="Rename">
          <input autoFocus aria-label="Title" value={text} onFocus={(event) => event.target.select()} onChange={(event) => setText(event.target.value)} onKeyDown={(event) => { if (event.key === "Enter") finish(); if (event.key === "Escape") { event.stopPropagation(); app.setDialog(null); } }} />
        </AriaDialog>
      </Modal>
    </ModalOverlay>
  );
}

const NODE_COLORS: readonly (readonly [string, string | null, string | null])[] = [
  ["None", null, null], ["Red", "#5c2a2e", "#3a1f22"], ["Amber", "#5a4322", "#372b1a"], ["Green", "#26503a", "#1b3328"], ["Teal", "#1f4d52", "#183336"], ["Blue", "#2a3f6b", "#1d2a45"], ["Violet", "#463266", "#2c2240"],
];

function ContextMenu({ target, at, screen }: Of<"menu">): ReactNode {
  const app = useApp();
  const context = useContextOf();
  const editor = app.active;
  const node = "node" in target ? editor.graph.nodes.get(target.node) : undefined;
  const onNode = node !== undefined;
  const lastSeed = node ? editor.run.seeds.get(editor.executionId(node.id)) : undefined;
  const close = (): void => app.setDialog(null);
  const act = (id: string): void => {
    close();
    if (id === "cut-link" && target.kind === "link") editor.edit("Remove link", (graph) => removeLinks(graph, new Set([target.link])));
    else if (id === "upload" && "node" in target) void pickFile("image/*").then((file) => (file ? useAsInput(app, file, at, target.node) : undefined));
    else if (id === "mask" && node) {
      const media = editor.loaded(node);
      if (media) app.setDialog({ kind: "mask", node: node.id, media });
    } else if (id === "last-seed" && node && lastSeed) {
      editor.edit("Use the last seed", (graph) => changeNodes(graph, [node.id], (one) => ({ ...one, values: { ...one.values, [lastSeed[0]]: lastSeed[1], control_after_generate: "fixed" } })));
    } else if (id.startsWith("extension:") && node) app.extensions.menusFor(node)[Number(id.slice(10))]?.run(app.extensions.view(node));
    else if (id === "palette") app.setDialog({ kind: "palette", at, end: null });
    else byId.get(id)?.run(context);
  };
  const item = (id: string): ReactNode => {
    const one = byId.get(id);
    return one && (
      <MenuItem key={id} id={id} className="option" textValue={one.name} isDisabled={!(one.enabled?.(context) ?? true)}>
        <span className="option-label">{one.name}</span>
        <span className="option-detail">{keysOf(app, one)[0] ?? ""}</span>
      </MenuItem>
    );
  };
  const own = (id: string, name: string): ReactNode => <MenuItem key={id} id={id} className="option" textValue={name}><span className="option-label">{name}</span></MenuItem>;
  return (
    <ModalOverlay isOpen isDismissable onOpenChange={(open) => !open && close()} className="veil clear">
      <Modal className="float menu" style={place([screen[0], screen[1], 0, 0], 296, onNode ? 400 : 260)}>
        <AriaDialog aria-label="Menu">
          <Menu autoFocus="first" onAction={(id) => act(String(id))} className="menu-list" aria-label="Menu">
            {target.kind === "link" && own("cut-link", "Remove this link")}
            {onNode && editor.document.subgraphs.has(node.type) && ["enter", "unpack"].map(item)}
            {onNode && uploadKey(editor, node.id) !== null && own("upload", "Upload an image…")}
            {onNode && editor.loaded(node) && own("mask", "Draw a mask…")}
            {onNode && lastSeed && own("last-seed", `Use the seed of the last run (${String(lastSeed[1])})`)}
            {onNode || target.kind === "group" ? ["run-selected", "connect", "duplicate", "mute", "bypass", "collapse", "pin", "frame", "subgraph"].map(item) : [own("palette", "Add node"), ...["undo", "redo", "select-all", "fit", "arrange", "open", "save", "settings"].map(item)]}
            {onNode && app.extensions.menusFor(node).map((entry, i) => own(`extension:${i}`, entry.name))}
            {(onNode || target.kind === "group") && <Separator className="line" />}
            {(onNode || target.kind === "group") && ["dissolve", "delete"].map(item)}
          </Menu>
          {onNode && (
            <div className="swatches" role="group" aria-label="Colour">
              {NODE_COLORS.map(([name, color, bgcolor]) => (
                <button key={name} type="button" title={name} aria-label={`Colour: ${name}`} style={{ background: color ?? "var(--head)" }} onClick={() => { close(); editor.edit("Colour", (graph) => changeNodes(graph, editor.selection.nodes, (one) => ({ ...one, color, bgcolor }))); }} />
              ))}
            </div>
          )}
        </AriaDialog>
      </Modal>
    </ModalOverlay>
  );
}

function Open(): ReactNode {
  const app = useApp();
  const [files, setFiles] = useState<readonly string[] | null>(null);
  const [templates, setTemplates] = useState<readonly string[]>([]);
  useEffect(() => {
    http.workflows().then(setFiles, (error: unknown) => app.fail(error));
    void http.templates().then(setTemplates);
  }, [app]);
  const disk = async (): Promise<void> => {
    app.setDialog(null);
    const file = await pickFile(".json,.png,.webp");
    if (file) await openFile(app, file);
  };
  return (
    <Picker
      title="Open a workflow"
      placeholder="Saved workflows"
      find={(words) => [...(files ?? []), ...templates].map((path) => ({ path, points: score(words, path) })).filter(({ points }) => points > 0).sort((a, b) => b.points - a.points).map(({ path }) => ({ id: path, label: path.replace(/\.json$/, ""), detail: templates.includes(path) ? "template" : "" }))}
      choose={(path) => void (templates.includes(path) ? openTemplate(app, path) : openSaved(app, path))}
      close={() => app.setDialog(null)}
      empty={files === null ? "Looking…" : "No saved workflows yet. Ctrl+S saves the one you have open."}
      footer={<button type="button" className="button" onClick={() => void disk()}>From this machine… (JSON, PNG, WebP)</button>}
    />
  );
}

/** Earlier states of this document, kept in this browser with every change. */
function Versions(): ReactNode {
  const app = useApp();
  const editor = app.active;
  const [drafts, setDrafts] = useState<readonly Draft[]>([]);
  useEffect(() => {
    void app.drafts.versions(editor.document.id).then(setDrafts);
  }, [app, editor]);
  const when = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  return (
    <Picker
      title="Earlier versions"
      placeholder="Earlier versions of this workflow"
      find={(words) => drafts.map((draft) => ({ id: String(draft.time), label: when.format(draft.time), detail: `${(parseJson(draft.file) as { nodes?: readonly unknown[] }).nodes?.length ?? 0} nodes` })).filter((choice) => score(words, choice.label) > 0)}
      choose={(time) => {
        const draft = drafts.find((one) => String(one.time) === time);
        if (draft) openJson(app, parseJson(draft.file), editor.name === null ? null : `${editor.name} (${when.format(draft.time)})`);
      }}
      close={() => app.setDialog(null)}
      empty="No earlier versions yet: one is kept with every change."
    />
  );
}

function Choice<K extends "theme" | "linkStyle" | "wheel" | "seedControl">({ name, label, options }: { readonly name: K; readonly label: string; readonly options: readonly (readonly [Values[K], string])[] }): ReactNode {
  const app = useApp();
  return (
    <RadioGroup value={app.settings[name]} onChange={(value) => app.set({ [name]: value } as Partial<Values>)} className="setting" orientation="horizontal">
      <Label>{label}</Label>
      <div className="segments">{options.map(([value, words]) => <Radio key={value} value={value} className="segment">{words}</Radio>)}</div>
    </RadioGroup>
  );
}

function Toggle({ name, label }: { readonly name: "snap" | "grid" | "minimap"; readonly label: string }): ReactNode {
  const app = useApp();
  return (
    <Switch className="setting switch" isSelected={app.settings[name]} onChange={(on) => app.set({ [name]: on })}>
      {label}
      <span className="switch-track" />
    </Switch>
  );
}

function Settings(): ReactNode {
  return (
    <Sheet title="Settings">
      <Choice name="theme" label="Theme" options={[["dark", "Dark"], ["light", "Light"], ["system", "As the system"]]} />
      <Choice name="linkStyle" label="Links" options={[["curve", "Curves"], ["straight", "Straight"], ["stepped", "Stepped"]]} />
      <Choice name="wheel" label="Wheel" options={[["auto", "Automatic"], ["zoom", "Zooms"], ["pan", "Scrolls"]]} />
      <Choice name="seedControl" label="Seeds change" options={[["after", "After queueing"], ["before", "Before"]]} />
      <Toggle name="snap" label="Snap to the grid" />
      <Toggle name="grid" label="Show the grid" />
      <Toggle name="minimap" label="Show the minimap" />
    </Sheet>
  );
}

function Shortcuts(): ReactNode {
  const app = useApp();
  const groups = ["Run", "Edit", "Node", "View", "File"] as const;
  return (
    <Sheet title="Keyboard shortcuts" wide>
      <div className="shortcuts">
        {groups.map((group) => (
          <section key={group}>
            <h3>{group}</h3>
            <dl>
              {commands.filter((one) => one.group === group && keysOf(app, one).length > 0).map((one) => (
                <div key={one.id}>
                  <dt>{one.name}</dt>
                  <dd>{keysOf(app, one).map((key) => <kbd key={key}>{key}</kbd>)}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
        <section>
          <h3>By hand</h3>
          <dl>
            {[["Pan", "drag, middle button, Space"], ["Zoom", "wheel, pinch"], ["Select a region", "Ctrl or Shift + drag"], ["Cut links", "right drag"], ["Copy while moving", "Alt + drag"], ["Point on a link", "double-click"], ["Next node that way", "Alt + arrows"], ["Edit the chosen node", "Enter"], ["Finer scrubbing", "Shift + drag"], ["Weight of words", "Ctrl + ↑ ↓"]].map(([what, how]) => <div key={what}><dt>{what}</dt><dd>{how}</dd></div>)}
          </dl>
        </section>
      </div>
    </Sheet>
  );
}

/** The picture that the job before this picture's job made. */
function previous(app: App, ref: MediaRef): MediaRef | null {
  const jobs = app.jobs.filter((job) => job.images.length > 0);
  const at = jobs.findIndex((job) => job.images.some((image) => image.filename === ref.filename && image.subfolder === ref.subfolder));
  return at < 0 ? null : (jobs[at + 1]?.images[0] ?? null);
}

function Lightbox({ images, index }: Of<"lightbox">): ReactNode {
  const app = useApp();
  const [at, setAt] = useState(index);
  const [share, setShare] = useState<number | null>(null);
  const ref = images[at];
  if (!ref) return null;
  const move = (by: number): void => setAt((at + by + images.length) % images.length);
  const before = previous(app, ref);
  return (
    <ModalOverlay isOpen isDismissable onOpenChange={(open) => !open && app.setDialog(null)} className="veil deep">
      <Modal className="lightbox">
        <AriaDialog aria-label={ref.filename}>
          <div className="lightbox-body" onKeyDown={(event) => { if (event.key === "ArrowRight") move(1); if (event.key === "ArrowLeft") move(-1); }}>
            <div className="compare">
              <img alt={ref.filename} src={viewUrl(ref)} />
              {share !== null && before && <img alt={`The result before: ${before.filename}`} src={viewUrl(before)} style={{ clipPath: `inset(0 ${100 - share}% 0 0)` }} />}
            </div>
            <div className="lightbox-line">
              {before && share === null && <Button className="button quiet" onPress={() => setShare(50)}>Compare with the result before</Button>}
              {share !== null && <label>Before <input type="range" aria-label="How much of the result before is shown" min="0" max="100" value={share} onChange={(event) => setShare(Number(event.target.value))} /> now</label>}
              {images.length > 1 && <Button className="icon" aria-label="Previous" onPress={() => move(-1)}>{icons.left}</Button>}
              <span>{ref.subfolder ? `${ref.subfolder}/` : ""}{ref.filename}</span>
              {images.length > 1 && <span className="faint">{at + 1} of {images.length}</span>}
              {images.length > 1 && <Button className="icon" aria-label="Next" onPress={() => move(1)}>{icons.right}</Button>}
              <a className="button quiet" href={viewUrl(ref)} download={ref.filename}>Download</a>
              <Button className="icon" aria-label="Close" autoFocus onPress={() => app.setDialog(null)}>{icons.close}</Button>
            </div>
          </div>
        </AriaDialog>
      </Modal>
    </ModalOverlay>
  );
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
        <button type="button" autoFocus className="button run" onClick={choose(() => void openEmbedded(app, embedded, file.name.replace(/\.[^.]+$/, "")))}>Open its workflow</button>
        <button type="button" className="button" onClick={choose(() => void useAsInput(app, file, at))}>Use as input</button>
      </div>
    </Sheet>
  );
}
