import { describe, expect, test } from "vitest";
import { Editor } from "../../src/editor/editor";
import { encloses } from "../../src/editor/gesture";
import { align } from "../../src/editor/guides";
import { portalName, setPortal } from "../../src/editor/portals";
import { changeGroup, changeNodes } from "../../src/graph/edit";
import { writeWorkflow } from "../../src/graph/save";
import { readWorkflow } from "../../src/graph/workflow";
import { readBookmark, withBookmark } from "../../src/app/bookmarks";
import { catalogue } from "../catalogue";
import { textToImage } from "../workflows";

const open = (): Editor => new Editor(catalogue, readWorkflow(textToImage, catalogue, () => "fresh"));
const again = (editor: Editor): Editor => new Editor(catalogue, readWorkflow(writeWorkflow(editor.document, catalogue), catalogue, () => "fresh"));

describe("guides", () => {
  test("an edge within reach is caught, one beyond it is not", () => {
    const other = [0, 0, 100, 50] as const;
    expect(align([3, 200, 40, 40], [other], 5).by).toEqual([-3, 0]);
    expect(align([9, 200, 40, 40], [other], 5).guides).toEqual([]);
  });

  test("middles count, and of two equally near things the neighbour wins", () => {
    const aligned = align([31, 100, 40, 40], [[0, 0, 100, 50], [0, 900, 100, 50]], 5);
    expect(aligned.by[0]).toBe(-1);
    expect(aligned.guides[0]).toEqual({ axis: 0, at: 50, from: 0, to: 140 });
  });
});

test("a stroke encloses what lies inside it, whichever way it went", () => {
  const square = [[0, 0], [10, 0], [10, 10], [0, 10]] as const;
  expect([encloses(square, [5, 5]), encloses([...square].reverse(), [5, 5]), encloses(square, [15, 5])]).toEqual([true, true, false]);
});

describe("a folded frame", () => {
  const framed = (): Editor => {
    const editor = open();
    editor.edit("Frame", (graph) => ({ ...changeNodes(graph, graph.nodes.keys(), (node) => node), groups: [{ title: "All", bounds: [-5000, -5000, 20000, 20000], color: null, folded: true, file: {} }] }));
    return editor;
  };

  test("hides its nodes and the links between them", () => {
    const editor = framed();
    expect(editor.folded.nodes.size).toBe(editor.graph.nodes.size);
    expect([...editor.graph.links.values()].map((link) => editor.wire(link))).toEqual([...editor.graph.links.values()].map(() => null));
  });

  test("stays folded in the file, and leaves no trace when unfolded", () => {
    const editor = framed();
    expect(again(editor).graph.groups[0]?.folded).toBe(true);
    const folded = again(editor);
    folded.edit("Fold", (graph) => changeGroup(graph, 0, (group) => ({ ...group, folded: false })));
    expect((writeWorkflow(folded.document, catalogue)["groups"] as { flags: unknown }[])[0]?.flags).toEqual({});
  });
});

describe("a portal", () => {
  test("keeps its name in the file", () => {
    const editor = open();
    const [link] = editor.graph.links.values();
    if (!link) throw new Error("no link");
    editor.edit("Name", (graph) => setPortal(graph, [link.id], "there"));
    expect(again(editor).graph.links.get(link.id)?.portal).toBe("there");
    const drawn = again(editor);
    drawn.edit("Draw", (graph) => setPortal(graph, [link.id], null));
    expect((writeWorkflow(drawn.document, catalogue)["extra"] as { linkPresentation: unknown }).linkPresentation).toEqual({});
  });

  test("is named after its output; two outputs never share a name", () => {
    const { graph } = open();
    const [first, ...rest] = [...graph.links.values()];
    const twin = rest.find((link) => link.from !== first?.from);
    if (!first || !twin) throw new Error("no links");
    const named = setPortal(graph, [first.id], portalName(graph, twin));
    expect(portalName(named, twin)).toBe(`${portalName(graph, twin)} 2`);
  });
});

test("a bookmark travels in the file", () => {
  const editor = open();
  editor.editDocument("Mark", (document) => withBookmark(document, 4, { path: [], middle: [10, 20], scale: 0.5 }));
  expect(readBookmark(again(editor).document, 4)).toEqual({ path: [], middle: [10, 20], scale: 0.5 });
  expect(readBookmark(editor.document, 5)).toBeNull();
});
