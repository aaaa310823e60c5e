/** What comes over the websocket, parsed once. Unknown messages are `other`, never an error. */

import { type Json, type JsonObject, isArray, isObject, number, parseJson, text } from "../graph/json";

export interface NodeProgress {
  readonly node: string;
  readonly display: string;
  readonly state: "running" | "finished" | "error";
  readonly value: number;
  readonly max: number;
}

export type Message =
  | { readonly kind: "status"; readonly remaining: number; readonly sid: string | null }
  | { readonly kind: "start"; readonly prompt: string }
  | { readonly kind: "cached"; readonly prompt: string; readonly nodes: readonly string[] }
  | { readonly kind: "executing"; readonly prompt: string | null; readonly node: string | null }
  | { readonly kind: "progress"; readonly prompt: string | null; readonly node: string; readonly value: number; readonly max: number }
  | { readonly kind: "progress-state"; readonly prompt: string; readonly nodes: readonly NodeProgress[] }
  | { readonly kind: "executed"; readonly prompt: string; readonly node: string; readonly output: JsonObject | null }
  | { readonly kind: "success"; readonly prompt: string }
  | { readonly kind: "error"; readonly prompt: string; readonly node: string; readonly nodeType: string; readonly message: string; readonly exception: string; readonly traceback: readonly string[] }
  | { readonly kind: "interrupted"; readonly prompt: string; readonly node: string | null }
  | { readonly kind: "features"; readonly flags: JsonObject }
  | { readonly kind: "preview"; readonly prompt: string | null; readonly node: string | null; readonly image: Blob }
  | { readonly kind: "text"; readonly node: string; readonly text: string }
  | { readonly kind: "other"; readonly type: string; readonly data: Json };

const words = (value: Json | undefined): string => text(value) ?? (value === undefined || value === null ? "" : String(value));
const list = (value: Json | undefined): readonly string[] => (isArray(value) ? value.map(words) : []);

function progressNodes(value: Json | undefined): readonly NodeProgress[] {
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([id, entry]) => {
    if (!isObject(entry)) return [];
    const state = entry["state"] === "finished" ? "finished" : entry["state"] === "error" ? "error" : "running";
    return [{ node: id, display: text(entry["display_node_id"]) ?? id, state, value: number(entry["value"]) ?? 0, max: number(entry["max"]) ?? 1 }];
  });
}

export function parseText(frame: string): Message {
  const message = parseJson(frame);
  if (!isObject(message)) return { kind: "other", type: "", data: message };
  const type = words(message["type"]);
  const data = isObject(message["data"]) ? message["data"] : {};
  const prompt = words(data["prompt_id"]);
  switch (type) {
    case "status": {
      const status = isObject(data["status"]) ? data["status"] : {};
      const info = isObject(status["exec_info"]) ? status["exec_info"] : {};
      return { kind: "status", remaining: number(info["queue_remaining"]) ?? 0, sid: text(data["sid"]) };
    }
    case "execution_start":
      return { kind: "start", prompt };
    case "execution_cached":
      return { kind: "cached", prompt, nodes: list(data["nodes"]) };
    case "executing":
      return { kind: "executing", prompt: text(data["prompt_id"]), node: text(data["display_node"]) ?? text(data["node"]) };
    case "progress":
      return { kind: "progress", prompt: text(data["prompt_id"]), node: words(data["node"]), value: number(data["value"]) ?? 0, max: number(data["max"]) ?? 1 };
    case "progress_state":
      return { kind: "progress-state", prompt, nodes: progressNodes(data["nodes"]) };
    case "executed":
      return { kind: "executed", prompt, node: text(data["display_node"]) ?? words(data["node"]), output: isObject(data["output"]) ? data["output"] : null };
    case "execution_success":
      return { kind: "success", prompt };
    case "execution_error":
      return { kind: "error", prompt, node: words(data["node_id"]), nodeType: words(data["node_type"]), message: words(data["exception_message"]).trimEnd(), exception: words(data["exception_type"]), traceback: list(data["traceback"]) };
    case "execution_interrupted":
      return { kind: "interrupted", prompt, node: text(data["node_id"]) };
    case "feature_flags":
      return { kind: "features", flags: data };
    default:
      return { kind: "other", type, data };
  }
}

const utf8 = new TextDecoder();

/** A binary frame; null when it is of no known kind. All integers are big-endian. */
export function parseBinary(frame: ArrayBuffer): Message | null {
  if (frame.byteLength < 8) return null;
  const view = new DataView(frame);
  const second = view.getUint32(4);
  switch (view.getUint32(0)) {
    case 1:
      return { kind: "preview", prompt: null, node: null, image: new Blob([frame.slice(8)], { type: second === 2 ? "image/png" : "image/jpeg" }) };
    case 3:
      return { kind: "text", node: utf8.decode(frame.slice(8, 8 + second)), text: utf8.decode(frame.slice(8 + second)) };
    case 4: {
      const meta = parseJson(utf8.decode(frame.slice(8, 8 + second)));
      if (!isObject(meta)) return null;
      return { kind: "preview", prompt: text(meta["prompt_id"]), node: text(meta["display_node_id"]) ?? text(meta["node_id"]), image: new Blob([frame.slice(8 + second)], { type: text(meta["image_type"]) ?? "image/jpeg" }) };
    }
    default:
      return null;
  }
}
