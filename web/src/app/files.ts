/** Opening and saving: the server's folder, this machine's disk, things dropped and pasted. */

import { type Embedded, fromJson, readEmbedded } from "../client/embedded";
import { http, viewUrl } from "../client/http";
import type { Editor } from "../editor/editor";
import type { MediaRef } from "../editor/run";
import type { Point } from "../graph/document";
import { addNode } from "../graph/edit";
import { fromPrompt } from "../graph/from-prompt";
import { newNode } from "../graph/create";
import { type Json, formatJson } from "../graph/json";
import { writeWorkflow } from "../graph/save";
import { isWorkflow, readWorkflow } from "../graph/workflow";
import type { App } from "./app";
import { fromParameters } from "./parameters";
import { t } from "../words/words";

export const fileText = (app: App, editor: Editor): string => formatJson(writeWorkflow(editor.document, app.catalogue), 2);

/** Opens what a file holds in a new tab. False when it holds no workflow. */
export function openEmbedded(app: App, { workflow, prompt, parameters }: Embedded, name: string | null): boolean {
  const source = workflow ?? prompt;
  if (source === null) {
    const described = parameters === null ? null : fromParameters(parameters, app.catalogue, crypto.randomUUID());
    if (!described) return false;
    app.open(described, name);
    app.reveal?.();
    return true;
  }
  const document = workflow !== null && isWorkflow(workflow) ? readWorkflow(workflow, app.catalogue, () => crypto.randomUUID()) : fromPrompt(source as never, app.catalogue, crypto.randomUUID());
  app.open(document, name);
  app.reveal?.();
  return true;
}

export function openJson(app: App, value: Json, name: string | null): void {
  if (!openEmbedded(app, fromJson(value), name)) app.notify({ tone: "error", text: t("This file holds no workflow: neither a list of nodes nor an API prompt.") });
}

const bare = (name: string): string => name.replace(/\.[^.]+$/, "");

export async function openFile(app: App, file: File): Promise<void> {
  const embedded = await readEmbedded(file);
  if (!openEmbedded(app, embedded, bare(file.name))) {
    app.notify({ tone: "error", text: file.type.startsWith("image/") ? t("{name} carries no workflow.", { name: file.name }) : t("{name} is not a workflow.", { name: file.name }) });
  }
}

/** A file dropped on the canvas: workflows open, pictures may be either, so the user is asked. */
export async function dropFile(app: App, file: File, at: Point): Promise<void> {
  if (!file.type.startsWith("image/")) return openFile(app, file);
  const embedded = await readEmbedded(file);
  if (embedded.workflow === null && embedded.prompt === null && embedded.parameters === null) return useAsInput(app, file, at);
  app.setDialog({ kind: "dropped", file, embedded, at });
}

/** Uploads a picture and puts a loader for it on the canvas (or into the loader it was dropped on). */
export async function useAsInput(app: App, file: File, at: Point, node: string | null = null): Promise<void> {
  const editor = app.active;
  try {
    const name = file.name || "pasted.png";
    const stored = await http.upload(file, name, (share) => app.progress("upload", share < 1 ? t("Uploading {name}… {share} %", { name, share: Math.round(share * 100) }) : null));
    if (node !== null) return setLoaded(editor, node, stored);
    const definition = app.catalogue.get("LoadImage");
    if (!definition) return app.notify({ tone: "error", text: t("The server has no node that loads an image.") });
    let made = "";
    editor.edit("Add Load Image", (graph) => {
      const [next, added] = addNode(graph, (id) => newNode(id, definition, [Math.round(at[0]), Math.round(at[1])], { image: stored }));
      made = added.id;
      return next;
    });
    editor.select({ nodes: new Set([made]) });
  } catch (error) {
    app.progress("upload", null);
    app.fail(error);
  }
}

/** Puts a result on the canvas as an input: a copy of it, so that later runs may not change it. */
export async function useResult(app: App, ref: MediaRef, at: Point): Promise<void> {
  try {
    const body = await (await fetch(viewUrl(ref))).blob();
    await useAsInput(app, new File([body], ref.filename, { type: body.type }), at);
  } catch (error) {
    app.fail(error);
  }
}

export function setLoaded(editor: Editor, node: string, stored: string): void {
  const key = uploadKey(editor, node);
  if (key !== null) editor.setValue(node, key, stored, "Choose image");
}

/** The widget of a node that takes uploaded pictures. */
export function uploadKey(editor: Editor, node: string): string | null {
  const type = editor.graph.nodes.get(node)?.type;
  const input = type === undefined ? undefined : editor.definition(type)?.inputs.find((one) => one.widget?.kind === "combo" && one.widget.upload === "image");
  return input?.name ?? null;
}

export async function openTemplate(app: App, path: string): Promise<void> {
  try {
    openJson(app, await http.readTemplate(path), null);
  } catch (error) {
    app.fail(error);
  }
}

export function download(app: App, editor: Editor, content: string, suffix = ".json"): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type: "application/json" }));
  link.download = `${editor.name ?? "workflow"}${suffix}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  editor.saved = editor.document;
  app.changed();
}

export function pickFile(accept: string): Promise<File | null> {
  return new Promise((resolve) => {
    const input = document.createElement("input");
    input.type = "file";
    input.accept = accept;
    input.onchange = () => resolve(input.files?.[0] ?? null);
    input.oncancel = () => resolve(null);
    input.click();
  });
}
