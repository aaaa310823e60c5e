/** Workflows inside files: JSON, PNG text chunks, WebP EXIF. */

import { type Json, isObject, parseJson } from "../graph/json";

export interface Embedded {
  readonly workflow: Json | null;
  readonly prompt: Json | null;
  /** AUTOMATIC1111's text, if that is all there is. */
  readonly parameters: string | null;
}

const none: Embedded = { workflow: null, prompt: null, parameters: null };
const latin1 = new TextDecoder("latin1");
const utf8 = new TextDecoder();

export async function readEmbedded(file: Blob): Promise<Embedded> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const texts = isPng(bytes) ? await pngTexts(bytes) : isWebp(bytes) ? webpTexts(bytes) : null;
  if (texts) return fromTexts(texts);
  try {
    return fromJson(parseJson(utf8.decode(bytes)));
  } catch {
    return none;
  }
}

/** A dropped .json may be either form; its content decides. */
export function fromJson(value: Json): Embedded {
  if (!isObject(value)) return none;
  if (Array.isArray(value["nodes"])) return { ...none, workflow: value };
  if (isObject(value["workflow"]) || isObject(value["prompt"])) return { ...none, workflow: isObject(value["workflow"]) ? value["workflow"] : null, prompt: isObject(value["prompt"]) ? value["prompt"] : null };
  const nodes = Object.values(value);
  return nodes.length > 0 && nodes.every((node) => isObject(node) && typeof node["class_type"] === "string") ? { ...none, prompt: value } : none;
}

function fromTexts(texts: ReadonlyMap<string, string>): Embedded {
  // Some writers encode the JSON more than once.
  const decode = (source: string | undefined): Json | null => {
    let value: Json = source ?? null;
    try {
      for (let i = 0; i < 3 && typeof value === "string"; i++) value = parseJson(value);
    } catch {
      return null;
    }
    return isObject(value) ? value : null;
  };
  return { workflow: decode(texts.get("workflow")), prompt: decode(texts.get("prompt")), parameters: texts.get("parameters") ?? null };
}

const isPng = (bytes: Uint8Array): boolean => bytes[0] === 0x89 && bytes[1] === 0x50 && bytes[2] === 0x4e && bytes[3] === 0x47;
const isWebp = (bytes: Uint8Array): boolean => latin1.decode(bytes.subarray(0, 4)) === "RIFF" && latin1.decode(bytes.subarray(8, 12)) === "WEBP";

async function inflate(bytes: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function pngTexts(bytes: Uint8Array): Promise<ReadonlyMap<string, string>> {
  const texts = new Map<string, string>();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    const type = latin1.decode(bytes.subarray(at + 4, at + 8));
    const data = bytes.subarray(at + 8, Math.min(bytes.length, at + 8 + length));
    at += 12 + length;
    if (type !== "tEXt" && type !== "zTXt" && type !== "iTXt" && type !== "comf") continue;
    const end = data.indexOf(0);
    if (end < 0) continue;
    const key = latin1.decode(data.subarray(0, end)).toLowerCase();
    const rest = data.subarray(end + 1);
    if (type === "tEXt") texts.set(key, latin1.decode(rest));
    else if (type === "comf") texts.set(key, utf8.decode(rest));
    else if (type === "zTXt") texts.set(key, latin1.decode(await inflate(rest.subarray(1))));
    else {
      // Compression flag and method, then language and translated keyword, each ended by a zero.
      const compressed = rest[0] === 1;
      const language = rest.indexOf(0, 2);
      const keyword = language < 0 ? -1 : rest.indexOf(0, language + 1);
      if (keyword < 0) continue;
      const body = rest.subarray(keyword + 1);
      texts.set(key, utf8.decode(compressed ? await inflate(body) : body));
    }
  }
  return texts;
}

function webpTexts(bytes: Uint8Array): ReadonlyMap<string, string> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 12; at + 8 <= bytes.length; ) {
    const type = latin1.decode(bytes.subarray(at, at + 4));
    const length = view.getUint32(at + 4, true);
    if (type === "EXIF") return exifTexts(bytes.subarray(at + 8, at + 8 + length));
    at += 8 + length + (length % 2);
  }
  return new Map();
}

/** Every ASCII tag of the form `key:{json}`; which tag it stands in does not matter. */
export function exifTexts(block: Uint8Array): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  const tiff = latin1.decode(block.subarray(0, 6)) === "Exif\0\0" ? block.subarray(6) : block;
  if (tiff.length < 8) return texts;
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  const little = view.getUint16(0) === 0x4949;
  const start = view.getUint32(4, little);
  if (start + 2 > tiff.length) return texts;
  const count = view.getUint16(start, little);
  for (let i = 0; i < count; i++) {
    const entry = start + 2 + i * 12;
    if (entry + 12 > tiff.length || view.getUint16(entry + 2, little) !== 2) continue;
    const length = view.getUint32(entry + 4, little);
    const at = length <= 4 ? entry + 8 : view.getUint32(entry + 8, little);
    const value = utf8.decode(tiff.subarray(at, Math.min(tiff.length, at + length))).replace(/\0+$/, "");
    const colon = value.indexOf(":");
    if (colon > 0) texts.set(value.slice(0, colon).toLowerCase(), value.slice(colon + 1));
  }
  return texts;
}
