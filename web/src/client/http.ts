/** The routes the editor uses. Addresses are relative to the page, so that a reverse proxy may put it anywhere. */

import type { MediaRef } from "../editor/run";
import type { Prompt } from "../graph/prompt";
import { t } from "../words/words";
import { type Json, type JsonObject, formatJson, isArray, isObject, number, parseJson, text } from "../graph/json";

export class HttpError extends Error {
  constructor(
    readonly status: number,
    readonly body: Json,
    message: string,
  ) {
    super(message);
  }
}

export const address = (path: string): string => new URL(path, document.baseURI).href;

async function answerOf(path: string, init?: RequestInit): Promise<{ readonly body: Json; readonly headers: Headers }> {
  let response: Response;
  try {
    response = await fetch(address(path), init);
  } catch {
    throw new HttpError(0, null, t("The server does not answer."));
  }
  const source = await response.text();
  let body: Json = source;
  try {
    body = source === "" ? null : parseJson(source);
  } catch {
    // Plain text: many routes answer so.
  }
  if (!response.ok) throw new HttpError(response.status, body, isObject(body) && isObject(body["error"]) ? (text(body["error"]["message"]) ?? response.statusText) : `${path}: ${response.status} ${response.statusText}`);
  return { body, headers: response.headers };
}

const call = async (path: string, init?: RequestInit): Promise<Json> => (await answerOf(path, init)).body;

const post = (path: string, body: Json): Promise<Json> => call(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: formatJson(body) });

export interface NodeErrors {
  readonly [node: string]: { readonly type: string; readonly errors: readonly { readonly message: string; readonly details: string; readonly input: string | null }[] };
}

export function readNodeErrors(value: Json | undefined): NodeErrors {
  const errors: Record<string, NodeErrors[string]> = {};
  if (!isObject(value)) return errors;
  for (const [node, entry] of Object.entries(value)) {
    if (!isObject(entry) || !isArray(entry["errors"])) continue;
    errors[node] = {
      type: text(entry["class_type"]) ?? "",
      errors: entry["errors"].filter(isObject).map((error) => ({
        message: text(error["message"]) ?? "",
        details: text(error["details"]) ?? "",
        input: isObject(error["extra_info"]) ? text(error["extra_info"]["input_name"]) : null,
      })),
    };
  }
  return errors;
}

export interface Submission {
  readonly prompt: Prompt;
  readonly workflow: JsonObject;
  readonly client: string;
  readonly front?: boolean;
  /** How to make previews of this job; the server's own way without. */
  readonly previews?: string;
  readonly targets?: readonly string[];
}

/** An earlier content of a saved file. */
export interface SavedVersion {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly size: number;
}

/** Unsaved work as the server lists it. */
export interface ServerDraft {
  readonly id: string;
  readonly time: number;
  readonly title: string;
}

export interface Template {
  readonly pack: string;
  readonly name: string;
  /** "pack/name" */
  readonly path: string;
}

/** A model of a worker; places in bytes. */
export interface ModelMemory {
  readonly name: string;
  readonly running: boolean;
  readonly host: number;
  readonly device: number;
}
export interface WorkerMemory {
  readonly name: string;
  /** Null where models compute on the processor. */
  readonly device: { readonly name: string; readonly capacity: number; readonly used: number } | null;
  readonly models: readonly ModelMemory[];
}

function readWorker(file: JsonObject): WorkerMemory {
  const device = isObject(file["device"]) ? file["device"] : null;
  const models = (isArray(file["models"]) ? file["models"] : []).filter(isObject).map((model): ModelMemory => {
    const bytes = isObject(model["bytes"]) ? model["bytes"] : {};
    return { name: text(model["name"]) ?? "", running: model["running"] === true, host: number(bytes["host"]) ?? 0, device: number(bytes["device"]) ?? 0 };
  });
  return { name: text(file["worker"]) ?? "", device: device && { name: text(device["name"]) ?? "", capacity: number(device["capacity"]) ?? 0, used: number(device["used"]) ?? 0 }, models };
}

export interface ModelFile {
  readonly name: string;
  /** Which of the folder's places it is in. */
  readonly place: number;
  /** Bytes. */
  readonly size: number;
  /** Seconds since 1970. */
  readonly modified: number;
}

export interface JobItem {
  readonly id: string;
  readonly number: number;
  readonly state: "running" | "pending" | "success" | "error" | "interrupted";
  readonly images: readonly MediaRef[];
  readonly outputs: Readonly<Record<string, JsonObject>>;
  readonly workflow: Json | null;
  readonly prompt: JsonObject;
  readonly message: string;
  /** Milliseconds it took, once over. */
  readonly took: number | null;
}

export const http = {
  objectInfo: (): Promise<Json> => call("api/object_info"),
  systemStats: (): Promise<Json> => call("api/system_stats"),

  async submit({ prompt, workflow, client, front, previews, targets }: Submission): Promise<{ readonly id: string; readonly errors: NodeErrors }> {
    const body: JsonObject = {
      prompt: prompt as unknown as JsonObject,
      client_id: client,
      extra_data: { extra_pnginfo: { workflow }, ...(previews === undefined ? {} : { preview_method: previews }) },
      ...(front ? { front: true } : {}),
      ...(targets ? { partial_execution_targets: targets } : {}),
    };
    const answer = await post("api/prompt", body);
    return { id: isObject(answer) ? (text(answer["prompt_id"]) ?? "") : "", errors: isObject(answer) ? readNodeErrors(answer["node_errors"]) : {} };
  },

  interrupt: (id?: string): Promise<Json> => post("api/interrupt", id === undefined ? {} : { prompt_id: id }),
  cancel: (ids: readonly string[]): Promise<Json> => post("api/queue", { delete: ids }),
  clearQueue: (): Promise<Json> => post("api/queue", { clear: true }),
  /** Gives a waiting job the place before another, or the first. */
  move: (id: string, before: string | null): Promise<Json> => post(`v1/jobs/${encodeURIComponent(id)}/move`, before === null ? { front: true } : { before }),
  /** Whether the queue is held; null when the server cannot hold it. */
  async paused(): Promise<boolean | null> {
    const status = await call("v1/queue").catch(() => null);
    return isObject(status) && typeof status["paused"] === "boolean" ? status["paused"] : null;
  },
  /** Which models are where. Fails while no worker answers. */
  async memory(): Promise<readonly WorkerMemory[]> {
    const answer = await call("v1/memory");
    return isObject(answer) && isArray(answer["workers"]) ? answer["workers"].filter(isObject).map(readWorker) : [];
  },
  hold: (held: boolean): Promise<Json> => post(`v1/queue/${held ? "pause" : "resume"}`, {}),
  forget: (ids: readonly string[]): Promise<Json> => post("api/history", { delete: ids }),
  clearHistory: (): Promise<Json> => post("api/history", { clear: true }),
  free: (): Promise<Json> => post("api/free", { unload_models: true, free_memory: true }),

  async jobs(limit: number): Promise<readonly JobItem[]> {
    const [queue, history] = await Promise.all([call("api/queue"), call(`api/history?max_items=${limit}`)]);
    return readJobs(queue, history);
  },
  history: (id: string): Promise<Json> => call(`api/history/${encodeURIComponent(id)}`),

  /** The files of a folder of models, with what the disk says of them. */
  async models(folder: string): Promise<readonly ModelFile[]> {
    const list = await call(`api/experiment/models/${encodeURIComponent(folder)}`);
    return (isArray(list) ? list : []).flatMap((file) => (isObject(file) && typeof file["name"] === "string" ? [{ name: file["name"], place: number(file["pathIndex"]) ?? 0, size: number(file["size"]) ?? 0, modified: number(file["modified"]) ?? 0 }] : []));
  },
  async embeddings(): Promise<readonly string[]> {
    const list = await call("api/embeddings");
    return isArray(list) ? list.map(String) : [];
  },

  nodeTexts: (): Promise<Json> => call("api/i18n"),
  settings: (): Promise<Json> => call("api/settings"),
  saveSetting: (id: string, value: Json): Promise<Json> => post(`api/settings/${encodeURIComponent(id)}`, value),

  /** The user's files in a folder, by path within it. */
  async userdata(folder: string): Promise<readonly string[]> {
    try {
      const list = await call(`api/userdata?dir=${encodeURIComponent(folder)}&recurse=true`);
      return isArray(list) ? list.filter((path): path is string => typeof path === "string") : [];
    } catch (error) {
      // The folder appears with the first file in it.
      if (error instanceof HttpError && error.status === 404) return [];
      throw error;
    }
  },
  workflows: async (): Promise<readonly string[]> => (await http.userdata("workflows")).filter((path) => path.endsWith(".json")),
  /** Subgraphs that packs share. */
  async blueprints(): Promise<readonly { readonly id: string; readonly name: string; readonly pack: string }[]> {
    const answer = await call("api/global_subgraphs").catch(() => null);
    if (!isObject(answer)) return [];
    return Object.entries(answer).flatMap(([id, one]) => (isObject(one) ? [{ id, name: text(one["name"]) ?? id, pack: isObject(one["info"]) ? (text(one["info"]["node_pack"]) ?? "") : "" }] : []));
  },
  async blueprint(id: string): Promise<JsonObject> {
    const answer = await call(`api/global_subgraphs/${encodeURIComponent(id)}`);
    return isObject(answer) ? answer : {};
  },
  /** Workflows to begin with: the server's own and those of packs. */
  async templates(): Promise<readonly Template[]> {
    const answer = await call("api/workflow_templates").catch(() => null);
    if (!isObject(answer)) return [];
    return Object.entries(answer).flatMap(([pack, names]) => (isArray(names) ? names.map((name) => ({ pack, name: String(name), path: `${pack}/${String(name)}` })) : []));
  },
  readTemplate: (path: string): Promise<Json> => call(`api/workflow_templates/${path.split("/").map(encodeURIComponent).join("/")}.json`),
  readUserdata: (path: string): Promise<Json> => call(`api/userdata/${encodeURIComponent(path)}`),
  writeUserdata: (path: string, body: string, overwrite: boolean): Promise<Json> => call(`api/userdata/${encodeURIComponent(path)}?overwrite=${overwrite}`, { method: "POST", body }),

  /** A file with the tag that names its content; null from a server that names none. */
  async openFile(path: string): Promise<{ readonly value: Json; readonly tag: string | null }> {
    const { body, headers } = await answerOf(`api/userdata/${encodeURIComponent(path)}`);
    return { value: body, tag: headers.get("ETag") };
  },
  tagOf: async (path: string): Promise<string | null> => (await answerOf(`api/userdata/${encodeURIComponent(path)}`, { method: "HEAD" })).headers.get("ETag"),
  /** Writes a file if there still is what `over` says; answers 409 or 412 when not. Returns the new content's tag. */
  async saveFile(path: string, body: string, over: "anything" | "nothing" | { readonly was: string }): Promise<string | null> {
    const headers: HeadersInit = typeof over === "object" ? { "If-Match": over.was } : {};
    return (await answerOf(`api/userdata/${encodeURIComponent(path)}?overwrite=${over !== "nothing"}`, { method: "POST", headers, body })).headers.get("ETag");
  },
  async versions(path: string): Promise<readonly SavedVersion[]> {
    const list = await call(`api/userdata/${encodeURIComponent(path)}/versions`);
    return (isArray(list) ? list : []).flatMap((one) => (isObject(one) ? [{ id: String(one["id"]), time: (number(one["saved"]) ?? 0) * 1000, size: number(one["size"]) ?? 0 }] : []));
  },
  version: (path: string, id: string): Promise<Json> => call(`api/userdata/${encodeURIComponent(path)}/versions/${encodeURIComponent(id)}`),
  restoreVersion: async (path: string, id: string): Promise<string | null> => (await answerOf(`api/userdata/${encodeURIComponent(path)}/versions/${encodeURIComponent(id)}/restore`, { method: "POST" })).headers.get("ETag"),

  async drafts(): Promise<readonly ServerDraft[]> {
    const list = await call("api/drafts");
    return (isArray(list) ? list : []).flatMap((one) => (isObject(one) ? [{ id: String(one["id"]), time: (number(one["saved"]) ?? 0) * 1000, title: text(one["title"]) ?? "" }] : []));
  },
  /** The workflow of a draft. */
  async draft(id: string): Promise<Json> {
    const found = await call(`api/drafts/${encodeURIComponent(id)}`);
    return isObject(found) ? (found["workflow"] ?? null) : null;
  },
  keepDraft: (id: string, draft: { readonly workflow: Json; readonly title: string; readonly file: string | null; readonly base: string | null }): Promise<Json> =>
    call(`api/drafts/${encodeURIComponent(id)}`, { method: "PUT", headers: { "Content-Type": "application/json" }, body: formatJson({ ...draft }) }),
  dropDraft: (id: string): Promise<Json> => call(`api/drafts/${encodeURIComponent(id)}`, { method: "DELETE" }),

  /** Uploads into the input folder; the name may come back changed. */
  upload(file: Blob, name: string, progress: (share: number) => void): Promise<string> {
    const form = new FormData();
    form.append("image", file, name);
    form.append("type", "input");
    return send("api/upload/image", form, name, progress);
  },

  /** Stores a copy of a picture with the alpha of this one; the server joins them, because a canvas loses hidden colours. */
  uploadMask(alpha: Blob, name: string, original: MediaRef): Promise<string> {
    const form = new FormData();
    form.append("image", alpha, name);
    form.append("type", "input");
    form.append("original_ref", JSON.stringify(original));
    return send("api/upload/mask", form, name, () => undefined);
  },
};

/** By XMLHttpRequest, which alone can say how far an upload is. */
function send(path: string, form: FormData, name: string, progress: (share: number) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address(path));
    request.upload.onprogress = ({ loaded, total }) => progress(total > 0 ? loaded / total : 0);
    request.onerror = () => reject(new HttpError(0, null, t("The upload did not reach the server.")));
    request.onload = () => {
      if (request.status !== 200) return reject(new HttpError(request.status, null, request.status === 413 ? t("{name} is larger than the server accepts.", { name }) : t("{name} was refused ({status}).", { name, status: request.status })));
      const answer = parseJson(request.responseText);
      const stored = isObject(answer) ? text(answer["name"]) : null;
      const folder = isObject(answer) ? text(answer["subfolder"]) : null;
      if (stored === null) return reject(new HttpError(request.status, answer, t("The server did not say where it put the file.")));
      resolve(folder ? `${folder}/${stored}` : stored);
    };
    request.send(form);
  });
}

export const modelPreview = (folder: string, { name, place }: ModelFile): string => address(`api/experiment/models/preview/${encodeURIComponent(folder)}/${place}/${name.split("/").map(encodeURIComponent).join("/")}`);

export function viewUrl(ref: MediaRef, preview = false): string {
  const query = new URLSearchParams({ filename: ref.filename, subfolder: ref.subfolder, type: ref.type, ...(preview ? { preview: "webp;80" } : {}) });
  return address(`api/view?${query}`);
}

/** Queue and history as one list: running, waiting in order, then finished, newest first. */
export function readJobs(queue: Json, history: Json): readonly JobItem[] {
  const part = (key: string): readonly JobItem[] => {
    const items = isObject(queue) && isArray(queue[key]) ? queue[key] : [];
    return items.flatMap((item) => (isArray(item) ? [readItem(item, key === "queue_running" ? "running" : "pending")] : []));
  };
  const done = isObject(history)
    ? Object.values(history).flatMap((entry) => (isObject(entry) && isArray(entry["prompt"]) ? [readDone(entry, entry["prompt"])] : []))
    : [];
  return [...part("queue_running"), ...[...part("queue_pending")].sort((a, b) => a.number - b.number), ...done.reverse()];
}

function readItem(item: readonly Json[], state: JobItem["state"]): JobItem {
  const extra = isObject(item[3]) ? item[3] : {};
  const info = isObject(extra["extra_pnginfo"]) ? extra["extra_pnginfo"] : {};
  return { id: text(item[1]) ?? "", number: number(item[0]) ?? 0, state, images: [], outputs: {}, workflow: info["workflow"] ?? null, prompt: isObject(item[2]) ? item[2] : {}, message: "", took: null };
}

function readDone(entry: JsonObject, prompt: readonly Json[]): JobItem {
  const status = isObject(entry["status"]) ? entry["status"] : {};
  const messages = (isArray(status["messages"]) ? status["messages"] : []).flatMap((message) => (isArray(message) && typeof message[0] === "string" && isObject(message[1]) ? [[message[0], message[1]] as const] : []));
  const outputs: Record<string, JsonObject> = {};
  for (const [node, output] of Object.entries(isObject(entry["outputs"]) ? entry["outputs"] : {})) if (isObject(output)) outputs[node] = output;
  const images = Object.values(outputs).flatMap((output) => [...refs(output["images"]), ...refs(output["gifs"])]);
  const times = messages.map(([, data]) => number(data["timestamp"])).filter((time) => time !== null);
  const failed = messages.find(([name]) => name === "execution_error")?.[1];
  const interrupted = messages.some(([name]) => name === "execution_interrupted");
  return {
    ...readItem(prompt, status["status_str"] === "success" ? "success" : interrupted ? "interrupted" : "error"),
    images,
    outputs,
    message: failed ? (text(failed["exception_message"]) ?? "").trimEnd() : "",
    took: times.length > 1 ? Math.max(...times) - Math.min(...times) : null,
  };
}

const refs = (value: Json | undefined): readonly MediaRef[] =>
  (isArray(value) ? value : []).flatMap((item) => (isObject(item) && typeof item["filename"] === "string" ? [{ filename: item["filename"], subfolder: text(item["subfolder"]) ?? "", type: text(item["type"]) ?? "output" }] : []));
