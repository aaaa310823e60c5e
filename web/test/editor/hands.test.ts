import { describe, expect, test } from "vitest";
import { copyNodes, fromClipboard, paste, toHtml } from "../../src/editor/clipboard";
import { Editor } from "../../src/editor/editor";
import { bounds } from "../../src/editor/geometry";
import { hit } from "../../src/editor/hit";
import { findInDocument, findTypes, score } from "../../src/editor/search";
import { fit, toGraph, toScreen, zoomAt } from "../../src/editor/viewport";
import { addConnected, land } from "../../src/editor/wiring";
import { startDocument } from "../../src/app/start";
import { catalogue } from "../catalogue";

const opened = (): Editor => new Editor(catalogue, startDocument(catalogue, "doc"));
const idOf = (editor: Editor, type: string): string => {
  for (const node of editor.graph.nodes.values()) if (node.type === type) return node.id;
  throw new Error(type);
};

describe("hitting", () => {
  test("finds the title, the sockets, the widgets and the corner of a node where they are drawn", () => {
    const editor = opened();
    const id = idOf(editor, "KSampler");
    const node = editor.graph.nodes.get(id);
    if (!node) throw new Error("node");
    const layout = editor.layout(node);
    const at = (x: number, y: number) => hit(editor, [node.pos[0] + x, node.pos[1] + y]);
    expect(at(80, -15)).toEqual({ kind: "title", node: id });
    expect(at(8, -15)).toEqual({ kind: "collapse", node: id });
    expect(at(layout.width - 3, layout.height - 3)).toEqual({ kind: "resize", node: id });
    for (const placed of layout.inputs.filter((one) => one.socket.widget === null)) expect(at(placed.x, placed.y)).toEqual({ kind: "input", node: id, input: placed.socket.name });
    for (const { entry, rect } of layout.widgets) expect(at(rect[0] + rect[2] / 2, rect[1] + rect[3] / 2)).toMatchObject({ kind: "widget", node: id, key: entry.key });
    const box = bounds(node, layout);
    expect(hit(editor, [box[0] + box[2] / 2, box[1] - 40]).kind).not.toBe("title");
  });

  test("everything of every node lies inside it", () => {
    const editor = opened();
    for (const node of editor.graph.nodes.values()) {
      const layout = editor.layout(node);
      for (const { rect } of layout.widgets) {
        expect(rect[0] + rect[2]).toBeLessThanOrEqual(layout.width);
        expect(rect[1] + rect[3]).toBeLessThanOrEqual(layout.height);
      }
    }
  });
});

describe("the view", () => {
  test("zooms so that what is under the pointer stays there", () => {
    const view = { scale: 0.7, offset: [13, -40] as const };
    const at = [300, 200] as const;
    const before = toGraph(view, at);
    expect(toScreen(zoomAt(view, at, 1.9), before)).toEqual([expect.closeTo(300), expect.closeTo(200)]);
  });
  test("fits a rectangle whole", () => {
    const view = fit([-100, -50, 4000, 1000], 1200, 800);
    const [left, top] = toScreen(view, [-100, -50]);
    const [right, bottom] = toScreen(view, [3900, 950]);
    expect(Math.min(left, top)).toBeGreaterThanOrEqual(0);
    expect(right).toBeLessThanOrEqual(1200);
    expect(bottom).toBeLessThanOrEqual(800);
  });
});

describe("wiring by hand", () => {
  test("a link dropped on a node takes its best socket", () => {
    const editor = opened();
    const preview = addConnected(editor, "PreviewImage", [2000, 0], null);
    if (preview === null) throw new Error("preview");
    expect(land(editor, { side: "output", node: idOf(editor, "VAEDecode"), output: 0 }, { kind: "body", node: preview })).toBeNull();
    expect([...editor.graph.links.values()].at(-1)).toMatchObject({ to: preview, toSlot: 0 });
  });

  test("a refusal names the types and offers the node between", () => {
    const editor = opened();
    const load = addConnected(editor, "LoadImage", [0, 900], null);
    if (load === null) throw new Error("load");
    const notice = land(editor, { side: "output", node: load, output: 0 }, { kind: "input", node: idOf(editor, "KSampler"), input: "latent_image" });
    expect(notice?.text).toBe("KSampler wants a LATENT for “latent_image”, not an IMAGE.");
    expect(notice?.action?.label).toBe("Add VAE Encode");
    const before = editor.document;
    notice?.action?.run();
    expect([...editor.graph.links.values()].slice(-2).map((link) => link.type)).toEqual(["IMAGE", "LATENT"]);
    editor.undo();
    expect(editor.document).toBe(before);
  });
});

describe("the clipboard", () => {
  test("carries nodes with their values and links through HTML, under fresh ids", () => {
    const editor = opened();
    const ids = new Set([idOf(editor, "KSampler"), idOf(editor, "VAEDecode")]);
    const html = toHtml(copyNodes(editor.document, editor.graph, ids, new Set(), catalogue));
    const clip = fromClipboard(html, "");
    if (!clip) throw new Error("clip");
    const pasted = paste(editor.document, editor.graph, clip, [0, 1000], false, catalogue);
    expect(pasted.graph.nodes.size).toBe(editor.graph.nodes.size + 2);
    expect(pasted.graph.links.size).toBe(editor.graph.links.size + 1);
    for (const id of pasted.ids) expect(editor.graph.nodes.has(id)).toBe(false);
    const connected = paste(editor.document, editor.graph, clip, [0, 1000], true, catalogue);
    expect(connected.graph.links.size).toBe(editor.graph.links.size + 1 + 5);
  });
});

describe("searching", () => {
  test("ranks beginnings over insides over scattered letters", () => {
    expect(score("load", "Load Image")).toBeGreaterThan(score("load", "Upload"));
    expect(score("li", "Load Image")).toBeGreaterThan(0);
    expect(score("zz", "Load Image")).toBe(0);
  });
  test("knows other words for nodes, and keeps to what fits a wire", () => {
    expect(findTypes(catalogue, { text: "prompt" })[0]?.type).toBe("CLIPTextEncode");
    const fitting = findTypes(catalogue, { text: "", wire: { side: "takes", type: "LATENT" } }).map((one) => one.type);
    expect(fitting).toContain("VAEDecode");
    expect(fitting).not.toContain("CheckpointLoaderSimple");
  });
  test("finds values and titles in the workflow", () => {
    expect(findInDocument(opened().document, catalogue, "watermark").map((one) => one.where)).toEqual(["Negative prompt · text"]);
  });
});

describe("an edit while the hand still moves", () => {
  test("is one step when it settles and none when it is taken back", () => {
    const editor = opened();
    const before = editor.document;
    editor.live((graph) => ({ ...graph, lastNode: 90 }));
    editor.live((graph) => ({ ...graph, lastNode: 91 }));
    editor.settle("Move");
    expect(editor.graph.lastNode).toBe(91);
    editor.undo();
    expect(editor.document).toBe(before);
    editor.live((graph) => ({ ...graph, lastNode: 92 }));
    editor.settle(null);
    expect(editor.document).toBe(before);
  });
});
