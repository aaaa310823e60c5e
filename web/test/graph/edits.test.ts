import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nextNumber, nextOption } from "../../src/graph/control";
import { newNode } from "../../src/graph/create";
import { type Graph, emptyGraph, linkInto } from "../../src/graph/document";
import { addNode, addReroute, connect, dissolveNodes, mayConnect, moveNodes, removeNodes, removeReroute, setMode, setValue } from "../../src/graph/edit";
import { type History, emptyHistory, record, redo, undo } from "../../src/graph/undo";
import { fits, mending, readable } from "../../src/graph/types";
import { catalogue } from "../catalogue";

const definitions = (type: string) => catalogue.get(type);
const types = ["LoadImage", "ImageInvert", "ImageBlur", "PreviewImage", "VAEEncode", "PrimitiveInt"];

function build(...names: string[]): Graph {
  return names.reduce((graph, type) => addNode(graph, (id) => newNode(id, catalogue.get(type) as never, [0, 0]))[0], emptyGraph);
}
function linked(graph: Graph, from: string, output: number, to: string, input: string): Graph {
  const made = connect(graph, { node: from, output }, { node: to, input }, definitions);
  if (!made.ok) throw new Error(made.reason.code);
  return made.value;
}

describe("a link", () => {
  test("takes the place of the one before it", () => {
    const graph = linked(linked(build("LoadImage", "EmptyImage", "ImageInvert"), "1", 0, "3", "image"), "2", 0, "3", "image");
    expect([...graph.links.values()].map((link) => link.from)).toEqual(["2"]);
  });

  test("to a widget makes its socket where the file had dropped it", () => {
    let graph = build("PrimitiveInt", "EmptyImage");
    graph = { ...graph, nodes: new Map([...graph.nodes].map(([id, node]) => [id, { ...node, inputs: [] }])) };
    graph = linked(graph, "1", 0, "2", "width");
    expect(graph.nodes.get("2")?.inputs).toEqual([{ name: "width", type: "INT", widget: "width" }]);
    expect(linkInto(graph, "2", 0)?.from).toBe("1");
  });

  test("is refused for the type, the cycle, and the node itself", () => {
    const graph = linked(build("ImageInvert", "ImageBlur", "VAEDecode"), "1", 0, "2", "image");
    const reason = (from: string, to: string, input: string) => {
      const result = mayConnect(graph, { node: from, output: 0 }, { node: to, input }, definitions);
      return result.ok ? "ok" : result.reason.code;
    };
    expect(reason("1", "3", "samples")).toBe("types");
    expect(reason("2", "1", "image")).toBe("cycle");
    expect(reason("1", "1", "image")).toBe("same-node");
  });
});

describe("socket types", () => {
  test("fit when equal, any, or sharing a member", () => {
    expect([fits("IMAGE", "image"), fits("*", "MASK"), fits("IMAGE", "MASK,IMAGE"), fits("-1", "X"), fits("IMAGE", "LATENT")]).toEqual([true, true, true, true, false]);
  });
  test("that do not fit have a node that mends it", () => {
    expect(mending(catalogue, "IMAGE", "LATENT")?.type).toBe("VAEEncode");
    expect(readable("IMAGE")).toBe("an IMAGE");
    expect(readable("MASK,IMAGE")).toBe("a MASK or IMAGE");
  });
});

describe("deleting", () => {
  test("a node and keeping the flow joins what it joined", () => {
    const graph = dissolveNodes(linked(linked(build("LoadImage", "ImageInvert", "PreviewImage"), "1", 0, "2", "image"), "2", 0, "3", "images"), new Set(["2"]));
    expect([...graph.links.values()].map((link) => [link.from, link.to])).toEqual([["1", "3"]]);
  });
  test("the last link through a reroute removes the reroute", () => {
    const graph = addReroute(linked(build("LoadImage", "ImageInvert"), "1", 0, "2", "image"), 1, [5, 5]);
    expect(graph.reroutes.size).toBe(1);
    expect(removeNodes(graph, new Set(["1"])).reroutes.size).toBe(0);
    expect(removeReroute(graph, 1).links.get(1)?.reroute).toBeNull();
  });
});

describe("undo", () => {
  const edit = fc.record({ kind: fc.nat(5), a: fc.nat(20), b: fc.nat(20), n: fc.integer({ min: -50, max: 50 }) });

  test("n times and then redo n times changes nothing; undo alone gives back every state on the way", () => {
    fc.assert(
      fc.property(fc.array(edit, { maxLength: 30 }), (edits) => {
        let graph = emptyGraph;
        let history: History<Graph> = emptyHistory;
        const states: Graph[] = [];
        for (const { kind, a, b, n } of edits) {
          const ids = [...graph.nodes.keys()];
          const [one, two] = [ids[a % Math.max(1, ids.length)] ?? "0", ids[b % Math.max(1, ids.length)] ?? "0"];
          const type = catalogue.get(types[a % types.length] ?? "") as never;
          const made = connect(graph, { node: one, output: 0 }, { node: two, input: "image" }, definitions);
          const next = [
            () => addNode(graph, (id) => newNode(id, type, [n, n]))[0],
            () => moveNodes(graph, [one, two], n, -n),
            () => (made.ok ? made.value : graph),
            () => removeNodes(graph, new Set([one])),
            () => setMode(graph, [one], 4),
            () => setValue(graph, one, "sigma", n),
          ][kind]?.();
          if (!next || next === graph) continue;
          states.push(graph);
          history = record(history, graph, "edit");
          graph = next;
        }
        const last = graph;
        for (const state of [...states].reverse()) {
          const step = undo(history, graph);
          if (!step) throw new Error("nothing to undo");
          [history, graph] = step;
          expect(graph).toBe(state);
        }
        expect(undo(history, graph)).toBeNull();
        for (let step = redo(history, graph); step; step = redo(history, graph)) [history, graph] = step;
        expect(graph).toBe(last);
      }),
    );
  });

  test("takes edits with one key as one step", () => {
    let history: History<number> = emptyHistory;
    history = record(history, 1, "scrub", "steps");
    history = record(history, 2, "scrub", "steps");
    expect(undo(history, 3)?.[1]).toBe(1);
  });
});

describe("control after generate", () => {
  const seed = catalogue.get("KSampler")?.inputs.find((input) => input.name === "seed")?.widget;
  if (seed?.kind !== "number") throw new Error("seed");
  test("stays inside the limits, and random seeds below 2^50", () => {
    expect(nextNumber({ ...seed, max: 5 }, "increment", 5, Math.random)).toBe(5);
    expect(nextNumber(seed, "decrement", 0, Math.random)).toBe(0);
    expect(nextNumber(seed, "randomize", 0, () => 0.999999)).toBeLessThan(2 ** 50);
    expect(nextNumber(seed, "fixed", 9, Math.random)).toBe(9);
  });
  test("moves along a list, filtered by words or a pattern", () => {
    const combo = { kind: "combo", options: ["a1", "b1", "a2"], initial: "a1", control: "fixed", upload: null, folder: "input", multiple: false } as const;
    expect(nextOption(combo, "increment", "a1", "A", Math.random)).toBe("a2");
    expect(nextOption(combo, "increment-wrap", "a2", "/^a/", Math.random)).toBe("a1");
    expect(nextOption(combo, "increment", "a2", "", Math.random)).toBe("a2");
  });
});
