import { describe, expect, test } from "vitest";
import { exifTexts, fromJson, readEmbedded } from "../../src/client/embedded";
import { parseBinary, parseText } from "../../src/client/protocol";

const bytes = (text: string): number[] => [...new TextEncoder().encode(text)];
const u32 = (value: number): number[] => [value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255];
const chunk = (type: string, data: number[]): number[] => [...u32(data.length), ...bytes(type), ...data, 0, 0, 0, 0];
const png = (...chunks: number[][]): Blob => new Blob([new Uint8Array([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, ...chunks.flat(), ...chunk("IEND", [])])]);
const workflow = { nodes: [], links: [], version: 0.4 };

const deflate = async (text: string): Promise<number[]> => [...new Uint8Array(await new Response(new Blob([text]).stream().pipeThrough(new CompressionStream("deflate"))).arrayBuffer())];

describe("a workflow inside a picture", () => {
  test("is found in plain, compressed and international text chunks, also when encoded twice", async () => {
    const text = JSON.stringify(workflow);
    const plain = png(chunk("tEXt", [...bytes("workflow"), 0, ...bytes(text)]));
    const squeezed = png(chunk("zTXt", [...bytes("workflow"), 0, 0, ...(await deflate(text))]));
    const international = png(chunk("iTXt", [...bytes("workflow"), 0, 0, 0, 0, 0, ...bytes(JSON.stringify(text))]));
    for (const file of [plain, squeezed, international]) expect((await readEmbedded(file)).workflow).toEqual(workflow);
    expect(await readEmbedded(png())).toEqual({ workflow: null, prompt: null, parameters: null });
  });

  test("is found in EXIF whatever tag holds it", () => {
    const value = [...bytes(`Workflow:${JSON.stringify(workflow)}`), 0];
    const block = new Uint8Array([...bytes("Exif"), 0, 0, ...bytes("MM"), 0, 42, ...u32(8), 0, 1, 0x01, 0x0f, 0, 2, ...u32(value.length), ...u32(26), ...u32(0), ...value]);
    expect(exifTexts(block).get("workflow")).toBe(JSON.stringify(workflow));
  });

  test("is told from an API prompt by its content", () => {
    expect(fromJson({ 3: { class_type: "KSampler", inputs: {} } }).prompt).not.toBeNull();
    expect(fromJson(workflow).workflow).toEqual(workflow);
    expect(fromJson({ a: 1 })).toEqual({ workflow: null, prompt: null, parameters: null });
  });
});

describe("the websocket", () => {
  test("speaks of nodes by the id that is on screen", () => {
    expect(parseText('{"type":"executing","data":{"node":"3.0.0.1","display_node":"3","prompt_id":"p"}}')).toEqual({ kind: "executing", prompt: "p", node: "3" });
    expect(parseText('{"type":"executing","data":{"node":null,"prompt_id":"p"}}')).toEqual({ kind: "executing", prompt: "p", node: null });
    expect(parseText('{"type":"from_a_pack","data":{"x":1}}')).toEqual({ kind: "other", type: "from_a_pack", data: { x: 1 } });
  });
  test("sends previews with and without their node, and text", () => {
    const frame = (...words: number[][]): ArrayBuffer => new Uint8Array(words.flat()).buffer;
    expect(parseBinary(frame(u32(1), u32(1), [1, 2]))).toMatchObject({ kind: "preview", node: null, image: { type: "image/jpeg" } });
    const meta = bytes('{"node_id":"5","prompt_id":"p","image_type":"image/png"}');
    expect(parseBinary(frame(u32(4), u32(meta.length), meta, [1]))).toMatchObject({ kind: "preview", node: "5", prompt: "p", image: { type: "image/png" } });
    expect(parseBinary(frame(u32(3), u32(1), bytes("1"), bytes("héllo")))).toEqual({ kind: "text", node: "1", text: "héllo" });
    expect(parseBinary(frame(u32(9), u32(0)))).toBeNull();
  });
});
