/** Opening what was saved, and what it was before. */

import { type ReactNode, useEffect, useState } from "react";
import { openFile, openJson, openSaved, openTemplate, pickFile } from "../app/files";
import type { Draft } from "../client/drafts";
import { http } from "../client/http";
import { score } from "../editor/search";
import { parseJson } from "../graph/json";
import { Picker } from "./Picker";
import { useApp } from "./use-app";

export function Open(): ReactNode {
  const app = useApp();
  const [files, setFiles] = useState<readonly string[] | null>(null);
  const [templates, setTemplates] = useState<readonly string[]>([]);
  useEffect(() => {
    http.workflows().then(setFiles, (error: unknown) => app.fail(error));
    void http.templates().then(setTemplates);
  }, [app]);
  const disk = async (): Promise<void> => {
    app.setDialog(null);
    const file = await pickFile(".json,.png,.webp");
    if (file) await openFile(app, file);
  };
  return (
    <Picker
      title="Open a workflow"
      placeholder="Saved workflows"
      find={(words) => [...(files ?? []), ...templates].map((path) => ({ path, points: score(words, path) })).filter(({ points }) => points > 0).sort((a, b) => b.points - a.points).map(({ path }) => ({ id: path, label: path.replace(/\.json$/, ""), detail: templates.includes(path) ? "template" : "" }))}
      choose={(path) => void (templates.includes(path) ? openTemplate(app, path) : openSaved(app, path))}
      close={() => app.setDialog(null)}
      empty={files === null ? "Looking…" : "No saved workflows yet. Ctrl+S saves the one you have open."}
      footer={<button type="button" className="button" onClick={() => void disk()}>From this machine… (JSON, PNG, WebP)</button>}
    />
  );
}

/** Earlier states of this document, kept in this browser with every change. */
export function Versions(): ReactNode {
  const app = useApp();
  const editor = app.active;
  const [drafts, setDrafts] = useState<readonly Draft[]>([]);
  useEffect(() => {
    void app.drafts.versions(editor.document.id).then(setDrafts);
  }, [app, editor]);
  const when = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  return (
    <Picker
      title="Earlier versions"
      placeholder="Earlier versions of this workflow"
      find={(words) => drafts.map((draft) => ({ id: String(draft.time), label: when.format(draft.time), detail: `${(parseJson(draft.file) as { nodes?: readonly unknown[] }).nodes?.length ?? 0} nodes` })).filter((choice) => score(words, choice.label) > 0)}
      choose={(time) => {
        const draft = drafts.find((one) => String(one.time) === time);
        if (draft) openJson(app, parseJson(draft.file), editor.name === null ? null : `${editor.name} (${when.format(draft.time)})`);
      }}
      close={() => app.setDialog(null)}
      empty="No earlier versions yet: one is kept with every change."
    />
  );
}

