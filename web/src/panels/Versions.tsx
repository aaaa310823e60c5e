/** Earlier states: of this workflow as it was saved and as it was drafted, and work that was never saved. */

import { type ReactNode, useEffect, useState } from "react";
import { compareWith, restoreVersion, versionText, versionsOf } from "../app/saved";
import { openJson } from "../app/files";
import type { Draft } from "../client/drafts";
import { type SavedVersion, type ServerDraft, http } from "../client/http";
import { type Json, isArray, isObject, parseJson } from "../graph/json";
import { formatBytes } from "../words/units";
import { t } from "../words/words";
import { Sheet } from "./Sheet";
import { useApp } from "./use-app";

const when = (ms: number): string => new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" }).format(ms);
const countOf = (file: Json): number => (isObject(file) && isArray(file["nodes"]) ? file["nodes"].length : 0);

export function Versions(): ReactNode {
  const app = useApp();
  const [editor] = useState(app.active);
  const [saved, setSaved] = useState<readonly SavedVersion[]>([]);
  const [drafts, setDrafts] = useState<readonly Draft[]>([]);
  const [others, setOthers] = useState<readonly ServerDraft[]>([]);
  useEffect(() => {
    versionsOf(editor).then(setSaved, () => undefined);
    void app.drafts.versions(editor.document.id).then(setDrafts);
    http.drafts().then((list) => setOthers(list.filter(({ id }) => !app.tabs.some((tab) => tab.document.id === id))), () => undefined);
  }, [app, editor]);
  const close = (work: () => unknown) => (): void => {
    app.setDialog(null);
    void work();
  };
  const open = (value: Json, time: number): void => openJson(app, value, editor.name === null ? null : `${editor.name} (${when(time)})`);
  const fetched = (id: string, then: (value: Json) => void): Promise<void> => versionText(editor, id).then(then, (error: unknown) => app.fail(error));
  return (
    <Sheet title={t("Earlier versions")} wide={600}>
      {saved.length > 0 && <h3>{t("Saved before as {name}", { name: editor.name ?? "" })}</h3>}
      <ul className="versions">
        {saved.map(({ id, time, size }) => (
          <Row key={id} label={when(time)} detail={formatBytes(size, app.settings.units)}>
            <button type="button" className="button quiet" onClick={close(() => fetched(id, (value) => compareWith(app, editor, when(time), value)))}>{t("Compare")}</button>
            <button type="button" className="button quiet" onClick={close(() => fetched(id, (value) => open(value, time)))}>{t("Open")}</button>
            <button type="button" className="button quiet" onClick={close(() => restoreVersion(app, editor, id))}>{t("Restore")}</button>
          </Row>
        ))}
      </ul>
      {drafts.length > 0 && <h3>{t("Drafted in this browser")}</h3>}
      <ul className="versions">
        {drafts.map(({ time, file }) => {
          const value = parseJson(file);
          return (
            <Row key={time} label={when(time)} detail={t("{count} nodes", { count: countOf(value) })}>
              <button type="button" className="button quiet" onClick={close(() => compareWith(app, editor, when(time), value))}>{t("Compare")}</button>
              <button type="button" className="button quiet" onClick={close(() => open(value, time))}>{t("Open")}</button>
            </Row>
          );
        })}
      </ul>
      {others.length > 0 && <h3>{t("Unsaved work of other tabs and browsers")}</h3>}
      <ul className="versions">
        {others.map(({ id, time, title }) => (
          <Row key={id} label={title === "" ? t("Untitled") : title} detail={when(time)}>
            <button type="button" className="button quiet" onClick={close(() => http.draft(id).then((value) => openJson(app, value, null), (error: unknown) => app.fail(error)))}>{t("Open")}</button>
          </Row>
        ))}
      </ul>
      {saved.length + drafts.length + others.length === 0 && <p className="nothing">{t("No earlier versions yet: one is kept with every change.")}</p>}
    </Sheet>
  );
}

function Row({ label, detail, children }: { readonly label: string; readonly detail: string; readonly children: ReactNode }): ReactNode {
  return <li><span>{label}</span><span className="faint">{detail}</span><span className="grow" />{children}</li>;
}
