import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { changeNodes, moveNodes, removeNodes, setValue } from "../../src/graph/edit";
import { type Json, type JsonObject, formatJson, isArray, isObject, parseJson } from "../../src/graph/json";
import { writeWorkflow } from "../../src/graph/save";
import { readWorkflow } from "../../src/graph/workflow";
import { catalogue } from "../catalogue";
import { textToImage } from "../workflows";

/** Keys in order, so that two files can be compared byte by byte. */
function canonical(value: Json | undefined): Json {
  if (isArray(value)) return value.map(canonical);
  if (!isObject(value)) return value ?? null;
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined).sort(([a], [b]) => (a < b ? -1 : 1)).map(([k, v]) => [k, canonical(v)]));
}

const read = (file: Json) => readWorkflow(file, catalogue, () => "fresh");
const roundTrip = (file: Json): string => formatJson(canonical(writeWorkflow(read(file), catalogue)));
const bytes = (file: Json): string => formatJson(canonical(file));

describe("a file that is opened and saved", () => {
  test("keeps every byte, unknown keys and unknown nodes included", () => {
    expect(roundTrip(textToImage)).toBe(bytes(textToImage));
  });

  test("keeps seeds beyond 2^53", () => {
    const source = '{"nodes":[{"id":1,"type":"PrimitiveInt","widgets_values":[18446744073709551615,"fixed"]}],"links":[],"version":0.4}';
    expect(formatJson(writeWorkflow(read(parseJson(source)), catalogue))).toContain("18446744073709551615");
  });

  test("reads what Python writes for not-a-number, but not inside text", () => {
    expect(parseJson('{"a": NaN, "b": [-Infinity], "c": "NaN"}')).toEqual({ a: null, b: [null], c: "NaN" });
  });

  test("keeps a root of schema 1 and its reroutes", () => {
    const file: JsonObject = {
      version: 1,
      state: { lastNodeId: 2, lastLinkId: 1, lastGroupId: 0, lastRerouteId: 1 },
      nodes: [
        { id: 1, type: "LoadImage", pos: [0, 0], size: [1, 1], outputs: [{ name: "IMAGE", type: "IMAGE", links: [1] }, { name: "MASK", type: "MASK", links: null }], widgets_values: ["b.png", "image"] },
        { id: 2, type: "PreviewImage", pos: [0, 0], size: [1, 1], inputs: [{ name: "images", type: "IMAGE", link: 1 }] },
      ],
      links: [{ id: 1, origin_id: 1, origin_slot: 0, target_id: 2, target_slot: 0, type: "IMAGE", parentId: 1 }],
      reroutes: [{ id: 1, pos: [50, 60], linkIds: [1] }],
      floatingLinks: [{ id: 7, origin_id: -1, origin_slot: -1, target_id: 2, target_slot: 0, type: "*" }],
    };
    expect(roundTrip(file)).toBe(bytes(file));
  });

  test("keeps reroute points of schema 0.4 in extra", () => {
    const file: JsonObject = {
      version: 0.4,
      last_node_id: 2,
      last_link_id: 1,
      nodes: [
        { id: 1, type: "EmptyImage", pos: [0, 0], size: [1, 1], outputs: [{ name: "IMAGE", type: "IMAGE", links: [1] }], widgets_values: [512, 512, 1, 0] },
        { id: 2, type: "PreviewImage", pos: [0, 0], size: [1, 1], inputs: [{ name: "images", type: "IMAGE", link: 1 }] },
      ],
      links: [[1, 1, 0, 2, 0, "IMAGE"]],
      extra: { reroutes: [{ id: 1, pos: [5, 6], linkIds: [1] }, { id: 2, parentId: 1, pos: [7, 8], linkIds: [1] }], linkExtensions: [{ id: 1, parentId: 2 }] },
    };
    expect(roundTrip(file)).toBe(bytes(file));
  });

  test("keeps subgraphs, nested ones included, and drops definitions nobody uses", () => {
    const inner = (id: string, nodes: JsonObject[], links: JsonObject[]): JsonObject => ({
      id, version: 1, state: { lastNodeId: 5, lastLinkId: 5, lastGroupId: 0, lastRerouteId: 0 }, revision: 0, config: {}, name: "Sub",
      inputNode: { id: -10, bounding: [0, 0, 120, 60] }, outputNode: { id: -20, bounding: [500, 0, 120, 60] },
      inputs: [{ id: "in", name: "image", type: "IMAGE", linkIds: [1] }], outputs: [{ id: "out", name: "IMAGE", type: "IMAGE", linkIds: [2], pos: [1, 2] }],
      widgets: [], nodes, groups: [], links, extra: { workflowRendererVersion: "LG" },
    });
    const pass = (type: string): JsonObject => ({ id: 5, type, pos: [1, 2], size: [3, 4], flags: {}, order: 0, mode: 0, inputs: [{ name: "image", type: "IMAGE", link: 1 }], outputs: [{ name: "IMAGE", type: "IMAGE", links: [2] }], properties: { proxyWidgets: [["5", "x"]] }, widgets_values: [] });
    const wires = [{ id: 1, origin_id: -10, origin_slot: 0, target_id: 5, target_slot: 0, type: "IMAGE" }, { id: 2, origin_id: 5, origin_slot: 0, target_id: -20, target_slot: 0, type: "IMAGE" }];
    const file: JsonObject = {
      version: 0.4, last_node_id: 1, last_link_id: 0, links: [],
      nodes: [{ ...pass("outer"), id: 1, inputs: [{ name: "image", type: "IMAGE", link: null }], outputs: [{ name: "IMAGE", type: "IMAGE", links: null }] }],
      definitions: { subgraphs: [inner("outer", [pass("nested")], wires), inner("nested", [pass("ImageInvert")], wires)], more: 1 },
    };
    expect(roundTrip(file)).toBe(bytes(file));
    const used = file["definitions"] as JsonObject;
    const spare = { ...file, definitions: { ...used, subgraphs: [...(used["subgraphs"] as Json[]), inner("spare", [], [])] } };
    expect(roundTrip(spare)).toBe(bytes(file));
  });

  test("drops links that lead nowhere, and nothing else", () => {
    const nodes = textToImage["nodes"] as JsonObject[];
    const broken = { ...textToImage, links: [...(textToImage["links"] as Json[]), [77, 99, 0, 3, 0, "MODEL"], [78, 4, 9, 9, 0, "IMAGE"]] };
    expect(nodes.length).toBe(7);
    expect(roundTrip(broken)).toBe(bytes(textToImage));
  });

  const json = fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<Json>;
  const anyNode = fc.record(
    {
      type: fc.constantFrom(...catalogue.keys(), "Missing", "workflow>old"),
      pos: fc.oneof(fc.tuple(fc.integer(), fc.integer()), fc.record({ 0: fc.integer(), 1: fc.integer() })),
      size: fc.tuple(fc.nat(500), fc.nat(500)),
      flags: fc.record({ collapsed: fc.boolean(), pinned: fc.boolean(), horizontal: fc.boolean() }, { requiredKeys: [] }),
      mode: fc.constantFrom(0, 1, 2, 3, 4),
      order: fc.nat(),
      title: fc.string(),
      color: fc.constantFrom("#123", null),
      properties: fc.dictionary(fc.string(), json),
      widgets_values: fc.oneof(fc.array(json, { maxLength: 9 }), fc.dictionary(fc.string(), json), fc.constant(null)),
      widgets_values_named: fc.dictionary(fc.constantFrom("text", "seed", "steps", "value", "image"), json),
      of_a_pack: json,
      inputs: fc.array(fc.record({ name: fc.string(), type: fc.oneof(fc.constant("IMAGE"), fc.constant(-1), fc.constant(["A", "B"])), link: fc.constant(null), shape: fc.constant(7), label: fc.string(), locked: json }, { requiredKeys: ["name", "type", "link"] }), { maxLength: 3 }),
      outputs: fc.array(fc.record({ name: fc.string(), type: fc.constant("IMAGE"), links: fc.constantFrom(null, []), slot_index: fc.nat() }, { requiredKeys: ["name", "type"] }), { maxLength: 3 }),
    },
    { requiredKeys: ["type"] },
  );
  const anyFile = fc
    .record({ nodes: fc.array(anyNode, { maxLength: 6 }), groups: fc.array(fc.record({ title: fc.string(), bounding: fc.tuple(fc.integer(), fc.integer(), fc.nat(), fc.nat()), id: fc.nat(), flags: json }, { requiredKeys: ["bounding"] }), { maxLength: 2 }), extra: fc.dictionary(fc.string(), json), whatever: json }, { requiredKeys: ["nodes"] })
    .map((file): Json => ({ ...file, nodes: file.nodes.map((node, id) => ({ id: id + 1, ...node })), links: [], version: 0.4, last_link_id: 0, last_node_id: file.nodes.length } as unknown as Json));

  test("is the same file, whatever it holds", () => {
    fc.assert(
      fc.property(anyFile, (file) => {
        const clean = parseJson(formatJson(file));
        expect(roundTrip(clean)).toBe(bytes(clean));
      }),
      { numRuns: 300 },
    );
  });
});

describe("a file that was edited", () => {
  const nodesOf = (file: JsonObject): JsonObject[] => file["nodes"] as JsonObject[];

  test("changes only the place of the node that moved", () => {
    const document = read(textToImage);
    const moved = { ...document, root: moveNodes(document.root, ["6"], 5, 5) };
    const saved = writeWorkflow(moved, catalogue);
    expect(nodesOf(saved)[2]?.["pos"]).toEqual([420, 191]);
    expect(bytes({ ...saved, nodes: nodesOf(saved).map((n, i) => (i === 2 ? { ...n, pos: { 0: 415, 1: 186 } } : n)) })).toBe(bytes(textToImage));
  });

  test("writes a changed value into its place of the list, with names beside it, and keeps the surplus", () => {
    const document = read(textToImage);
    const saved = writeWorkflow({ ...document, root: setValue(document.root, "3", "steps", 30) }, catalogue);
    expect(nodesOf(saved)[4]?.["widgets_values"]).toEqual([156680208700286, "randomize", 30, 8, "euler", "normal", 1, "surplus"]);
    expect(nodesOf(saved)[4]?.["widgets_values_named"]).toMatchObject({ steps: 30, control_after_generate: "randomize" });
  });

  test("forgets the links of a deleted node at both ends", () => {
    const document = read(textToImage);
    const saved = writeWorkflow({ ...document, root: removeNodes(document.root, new Set(["3"])) }, catalogue);
    expect(saved["links"]).toEqual([[3, 4, 1, 6, 0, "CLIP"], [5, 4, 1, 7, 0, "CLIP"], [8, "4", "2", 8, 1, "VAE"], [9, 8, 0, 9, 0, "IMAGE"]]);
    expect(bytes(writeWorkflow(read(saved), catalogue))).toBe(bytes(saved));
    expect(JSON.stringify(nodesOf(saved))).not.toContain('"link":7');
  });

  test("keeps what a missing node holds when it is renamed and muted", () => {
    const document = read(textToImage);
    const root = changeNodes(document.root, ["9"], (node) => ({ ...node, title: "mine", mode: 4 }));
    const saved = nodesOf(writeWorkflow({ ...document, root }, catalogue))[6];
    expect(saved).toEqual({ ...nodesOf(textToImage)[6], title: "mine", mode: 4 });
  });
});
