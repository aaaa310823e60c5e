/** Workflows in the user's folder on the server: saved only over what one has seen, with every earlier content kept. */

import { HttpError, type SavedVersion, http } from "../client/http";
import type { Editor } from "../editor/editor";
import { type Json, isObject } from "../graph/json";
import { readWorkflow } from "../graph/workflow";
import { t } from "../words/words";
import type { App } from "./app";
import { fileText, openJson } from "./files";

const pathOf = (name: string): string => `workflows/${name}.json`;
const bare = (name: string): string => name.replace(/\.[^.]+$/, "");

/** Saves under a name. `force` writes over whatever is there. */
export async function save(app: App, editor: Editor, name: string, force = false): Promise<void> {
  const own = editor.name === name;
  try {
    editor.tag = await http.saveFile(pathOf(name), fileText(app, editor), force ? "anything" : own && editor.tag !== null ? { was: editor.tag } : own ? "anything" : "nothing");
    editor.name = name;
    editor.saved = editor.document;
    app.notify({ tone: "info", text: t("Saved {name}.", { name }) });
    void http.dropDraft(editor.document.id).catch(() => undefined);
  } catch (error) {
    if (!(error instanceof HttpError) || (error.status !== 412 && error.status !== 409)) return app.fail(error);
    if (own) return app.setDialog({ kind: "conflict", editor });
    app.notify({ tone: "error", text: t("There is already a workflow called {name}.", { name }), action: { label: t("Replace it"), run: () => void save(app, editor, name, true) } });
  }
}

export async function openSaved(app: App, path: string): Promise<void> {
  try {
    const { value, tag } = await http.openFile(`workflows/${path}`);
    const before = app.active;
    openJson(app, value, bare(path));
    if (app.active !== before || app.active.name === bare(path)) app.active.tag = tag;
  } catch (error) {
    app.fail(error);
  }
}

/** Tells once for each foreign save that the file on the server is no longer what this page opened. */
export async function lookForOthers(app: App): Promise<void> {
  for (const editor of app.tabs) {
    const { name, tag } = editor;
    if (name === null || tag === null) continue;
    const now = await http.tagOf(pathOf(name)).catch(() => tag);
    if (now === null || now === tag || editor.told === now) continue;
    editor.told = now;
    app.notify({ tone: "info", text: t("{name} was saved elsewhere meanwhile.", { name }), action: { label: t("What differs"), run: () => void compareWithSaved(app, editor) } });
  }
}

export const versionsOf = (editor: Editor): Promise<readonly SavedVersion[]> => (editor.name === null ? Promise.resolve([]) : http.versions(pathOf(editor.name)));

export const versionText = (editor: Editor, id: string): Promise<Json> => http.version(pathOf(editor.name ?? ""), id);

export async function restoreVersion(app: App, editor: Editor, id: string): Promise<void> {
  if (editor.name === null) return;
  try {
    const value = await versionText(editor, id);
    editor.tag = await http.restoreVersion(pathOf(editor.name), id);
    replaceWith(app, editor, value, t("Restore version"));
    editor.saved = editor.document;
    app.notify({ tone: "info", text: t("{name} is again what it was. What it was before is among the versions.", { name: editor.name }) });
  } catch (error) {
    app.fail(error);
  }
}

/** Takes another content into the open document, as a step that can be undone. */
export function replaceWith(app: App, editor: Editor, value: Json, label: string): void {
  const other = readWorkflow(value, app.catalogue, () => editor.document.id);
  editor.goTo([]);
  editor.editDocument(label, () => ({ ...other, id: editor.document.id }));
}

export function compareWith(app: App, editor: Editor, name: string, value: Json): void {
  if (!isObject(value)) return;
  app.compare({ editor, name, before: readWorkflow(value, app.catalogue, () => "other") });
}

export async function compareWithSaved(app: App, editor: Editor): Promise<void> {
  if (editor.name === null) return;
  try {
    const { value } = await http.openFile(pathOf(editor.name));
    if (app.active !== editor) app.show(editor);
    compareWith(app, editor, t("what is saved"), value);
  } catch (error) {
    app.fail(error);
  }
}

/** Takes what somebody else saved instead of what is open; undo brings one's own back. */
export async function takeTheirs(app: App, editor: Editor): Promise<void> {
  if (editor.name === null) return;
  try {
    const { value, tag } = await http.openFile(pathOf(editor.name));
    replaceWith(app, editor, value, t("Take what is saved"));
    editor.tag = tag;
    editor.saved = editor.document;
  } catch (error) {
    app.fail(error);
  }
}
