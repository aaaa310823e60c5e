import { describe, expect, test } from "vitest";
import { remaining, share } from "../../src/editor/eta";
import { RunState } from "../../src/editor/run";
import { describePrompt } from "../../src/graph/describe";
import { upTo } from "../../src/graph/partial";
import { toPrompt } from "../../src/graph/prompt";
import { textToImage } from "../../src/app/start";
import { emptyDocument, emptyGraph } from "../../src/graph/document";
import { formatBytes, formatTime } from "../../src/words/units";
import { catalogue } from "../catalogue";

const prompt = toPrompt({ ...emptyDocument("fresh"), root: textToImage(catalogue) ?? emptyGraph }, catalogue);
const idOf = (type: string): string => Object.entries(prompt).find(([, node]) => node.class_type === type)?.[0] ?? "";

describe("a part of a prompt", () => {
  test("holds what the node needs and a viewer of its picture, nothing behind it", () => {
    const part = upTo(prompt, [idOf("VAEDecode")], catalogue);
    const types = Object.values(part.prompt).map((node) => node.class_type);
    expect(types).toContain("KSampler");
    expect(types).not.toContain("SaveImage");
    expect(part.targets.map((id) => part.prompt[id])).toMatchObject([{ class_type: "PreviewImage", inputs: { images: [idOf("VAEDecode"), 0] } }]);
  });

  test("needs no viewer where the node shows its result itself", () => {
    expect(upTo(prompt, [idOf("SaveImage")], catalogue).targets).toEqual([idOf("SaveImage")]);
  });

  test("is empty for nodes that are switched off", () => {
    expect(upTo(prompt, ["99"], catalogue)).toEqual({ prompt: {}, targets: [] });
  });
});

describe("what is left of a run", () => {
  const second = (): RunState => {
    const run = new RunState();
    run.begin("a", ["load", "sample", "save"], 0);
    for (const [id, took] of [["load", 1000], ["sample", 4000], ["save", 500]] as const) {
      run.progress(id, "running", 0, 1, 0);
      run.progress(id, "done", 1, 1, took);
    }
    run.begin("b", ["load", "sample", "save"], 0);
    return run;
  };

  test("is what the nodes took before", () => {
    expect(remaining(second(), 0)).toBe(5500);
  });

  test("follows the pace of the steps, and leaves out what comes from the cache", () => {
    const run = second();
    run.cached(["load"], 0);
    run.progress("sample", "running", 0, 10, 1000);
    run.progress("sample", "running", 5, 10, 2000);
    expect(remaining(run, 3000)).toBe(2000 + 500);
    expect(share(run)).toBeCloseTo((1 + 0.5) / 3);
  });

  test("is unknown the first time", () => {
    const run = new RunState();
    run.begin("a", ["load"], 0);
    expect(remaining(run, 10)).toBeNull();
  });
});

test("a prompt is told in the words people ask with", () => {
  const facts = Object.fromEntries(describePrompt(prompt as never).map(({ name, value }) => [name, value]));
  expect(Object.keys(facts)).toEqual(expect.arrayContaining(["Prompt", "Negative prompt", "Checkpoint", "Seed", "Steps", "CFG", "Sampler", "Schedule", "Size"]));
  expect(describePrompt(null)).toEqual([]);
});

test("times and sizes read well", () => {
  expect([formatTime(420), formatTime(4200), formatTime(12_000), formatTime(62_000)]).toEqual(["420 ms", "4.2 s", "12 s", "1 min 2 s"]);
  expect([formatBytes(4.5 * 2 ** 30, "binary"), formatBytes(4.5e9, "decimal"), formatBytes(12, "binary")]).toEqual(["4.5 GiB", "4.5 GB", "12 B"]);
});
