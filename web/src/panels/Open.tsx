/** Opening what was saved, and looking at it beside something else. */

import { type ReactNode, useEffect, useState } from "react";
import { openFile, openTemplate, pickFile } from "../app/files";
import { compareWith, compareWithSaved, openSaved } from "../app/saved";
import { readEmbedded } from "../client/embedded";
import { http } from "../client/http";
import { score } from "../editor/search";
import { t } from "../words/words";
import { Picker } from "./Picker";
import { useApp } from "./use-app";

export function Open(): ReactNode {
  const app = useApp();
  const [files, setFiles] = useState<readonly string[] | null>(null);
  const [templates, setTemplates] = useState<readonly string[]>([]);
  useEffect(() => {
    http.workflows().then(setFiles, (error: unknown) => app.fail(error));
    void http.templates().then((list) => setTemplates(list.map(({ path }) => path)));
  }, [app]);
  const disk = async (): Promise<void> => {
    app.setDialog(null);
    const file = await pickFile(".json,.png,.webp");
    if (file) await openFile(app, file);
  };
  return (
    <Picker
      title={t("Open a workflow")}
      placeholder={t("Saved workflows")}
      find={(words) => [...(files ?? []), ...templates].map((path) => ({ path, points: score(words, path) })).filter(({ points }) => points > 0).sort((a, b) => b.points - a.points).map(({ path }) => ({ id: path, label: path.replace(/\.json$/, ""), detail: templates.includes(path) ? t("template") : "" }))}
      choose={(path) => void (templates.includes(path) ? openTemplate(app, path) : openSaved(app, path))}
      close={() => app.setDialog(null)}
      empty={files === null ? t("Looking…") : t("No saved workflows yet. Ctrl+S saves the one you have open.")}
      footer={<><button type="button" className="button" onClick={() => void disk()}>{t("From this machine… (JSON, PNG, WebP)")}</button><button type="button" className="button" onClick={() => app.setDialog({ kind: "templates" })}>{t("Templates…")}</button></>}
    />
  );
}

/** Which other state of the open workflow to look at it beside. */
export function Compare(): ReactNode {
  const app = useApp();
  const editor = app.active;
  const tabs = app.tabs.filter((tab) => tab !== editor);
  const choices = [
    ...(editor.name === null ? [] : [{ id: "saved", label: t("What is saved"), detail: editor.name }]),
    ...tabs.map((tab, i) => ({ id: String(i), label: tab.name ?? t("Untitled"), detail: t("open in a tab") })),
    { id: "disk", label: t("A file from this machine…") },
    { id: "versions", label: t("An earlier version…") },
  ];
  const disk = async (): Promise<void> => {
    const file = await pickFile(".json,.png,.webp");
    const carried = file && (await readEmbedded(file));
    if (file && carried?.workflow) compareWith(app, editor, file.name, carried.workflow);
    else if (file) app.notify({ tone: "error", text: t("{name} carries no workflow.", { name: file.name }) });
  };
  return (
    <Picker
      title={t("Compare with")}
      placeholder={t("Compare this workflow with…")}
      find={(words) => choices.filter(({ label }) => score(words, label) > 0)}
      choose={(id) => {
        const tab = tabs[Number(id)];
        if (id === "saved") void compareWithSaved(app, editor);
        else if (id === "disk") void disk();
        else if (id === "versions") app.setDialog({ kind: "versions" });
        else if (tab) app.compare({ editor, name: tab.name ?? t("Untitled"), before: tab.document });
      }}
      close={() => app.setDialog(null)}
    />
  );
}
