/** The workflow as a form, for narrow screens: the values in the order in which they are used, and what came out. */

import { type ReactNode, useState } from "react";
import type { Editor } from "../editor/editor";
import { isArea } from "../editor/geometry";
import { typedNumber } from "../editor/number";
import { viewUrl } from "../client/http";
import { type WidgetEntry, isNote } from "../graph/definitions";
import { type Graph, type GraphNode, linkInto, wiring } from "../graph/document";
import { pickFile, useAsInput } from "../app/files";
import { useApp } from "./use-app";
import { t } from "../words/words";

/** Sources first. Nodes in a circle come last, as they stand. */
export function inOrder(graph: Graph): readonly GraphNode[] {
  const { into } = wiring(graph);
  const done = new Set<string>();
  const ordered: GraphNode[] = [];
  const visit = (node: GraphNode, path: ReadonlySet<string>): void => {
    if (done.has(node.id) || path.has(node.id)) return;
    const deeper = new Set(path).add(node.id);
    for (const link of into.get(node.id)?.values() ?? []) {
      const source = graph.nodes.get(link.from);
      if (source) visit(source, deeper);
    }
    if (done.has(node.id)) return;
    done.add(node.id);
    ordered.push(node);
  };
  for (const node of graph.nodes.values()) visit(node, new Set());
  return ordered;
}

export function Form(): ReactNode {
  const app = useApp();
  const editor = app.active;
  const results = [...editor.run.media].reverse();
  return (
    <section className="form" aria-label={t("Workflow as a form")}>
      {results.map(([node, refs]) => refs.map((ref, i) => (
        <button type="button" key={`${node}/${ref.filename}`} className="thumb" aria-label={t("Look at {name}", { name: ref.filename })} onClick={() => app.setDialog({ kind: "lightbox", images: refs, index: i })}>
          <img alt={ref.filename} src={viewUrl(ref, true)} style={{ aspectRatio: "auto" }} />
        </button>
      )))}
      {inOrder(editor.graph).filter((node) => !isNote(node.type) && node.mode === 0).map((node) => <NodeFields key={node.id} node={node} editor={editor} />)}
    </section>
  );
}

function NodeFields({ node, editor }: { readonly node: GraphNode; readonly editor: Editor }): ReactNode {
  const definition = editor.definition(node.type);
  if (!definition || !node.values) return null;
  const free = editor.entries(node).filter((entry) => {
    if (entry.role !== "value" && entry.role !== "control") return false;
    const slot = node.inputs.findIndex((input) => input.name === entry.key);
    return slot < 0 || !linkInto(editor.graph, node.id, slot);
  });
  if (free.length === 0) return null;
  const problems = editor.run.problems.filter((one) => one.node === editor.executionId(node.id));
  return (
    <fieldset>
      <legend>{editor.title(node)}</legend>
      {problems.map((one, i) => <p key={i} className="job-error">{one.message} {one.details}</p>)}
      {free.map((entry) => <Field key={entry.key} node={node} entry={entry} editor={editor} />)}
    </fieldset>
  );
}

function Field({ node, entry, editor }: { readonly node: GraphNode; readonly entry: WidgetEntry; readonly editor: Editor }): ReactNode {
  const app = useApp();
  const { spec } = entry;
  const value = editor.value(node, entry.key, spec.initial);
  const [draft, setDraft] = useState<string | null>(null);
  const label = entry.role === "control" ? t("after each run") : (entry.input?.label ?? entry.name);
  const set = (next: typeof value, merge: string | null = null): void => editor.setValue(node.id, entry.key, next, `Change ${entry.key}`, merge);
  const upload = async (): Promise<void> => {
    const file = await pickFile("image/*");
    if (file) await useAsInput(app, file, node.pos, node.id);
  };
  if (spec.kind === "toggle") return <label className="form-row">{label}<input type="checkbox" checked={value === true} onChange={(event) => set(event.target.checked)} /></label>;
  if (spec.kind === "combo") {
    const options = spec.options.map(String);
    const now = String(value);
    return (
      <label className="form-row">
        {label}
        <select value={now} onChange={(event) => set(spec.options.find((one) => String(one) === event.target.value) ?? event.target.value)}>
          {!options.includes(now) && <option value={now}>{t("{name} (missing)", { name: now })}</option>}
          {options.map((option) => <option key={option}>{option}</option>)}
        </select>
        {spec.upload === "image" && <button type="button" className="button" onClick={() => void upload()}>{t("Upload…")}</button>}
      </label>
    );
  }
  if (isArea(entry)) return <label className="form-area">{label}<textarea rows={4} value={String(value ?? "")} onChange={(event) => set(event.target.value, `type ${node.id} ${entry.key}`)} onBlur={() => editor.sealEdits()} /></label>;
  const finish = (): void => {
    if (draft === null) return;
    setDraft(null);
    if (spec.kind !== "number") return set(draft);
    const typed = typedNumber(spec, draft);
    if (typed === null) app.notify({ tone: "info", text: t("“{text}” is not a number.", { text: draft }) });
    else set(typed);
  };
  return (
    <label className="form-row">
      {label}
      <input inputMode={spec.kind === "number" ? "decimal" : "text"} value={draft ?? String(value ?? "")} onChange={(event) => setDraft(event.target.value)} onBlur={finish} onKeyDown={(event) => event.key === "Enter" && finish()} />
    </label>
  );
}
