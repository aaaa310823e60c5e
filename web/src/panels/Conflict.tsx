/** Somebody else saved the same workflow meanwhile: nobody's work is lost, whatever is chosen. */

import type { ReactNode } from "react";
import type { Dialog } from "../app/app";
import { compareWithSaved, save, takeTheirs } from "../app/saved";
import { t } from "../words/words";
import { Sheet } from "./Sheet";
import { useApp } from "./use-app";

export function Conflict({ editor }: Extract<Dialog, { kind: "conflict" }>): ReactNode {
  const app = useApp();
  const name = editor.name ?? "";
  const choose = (work: () => unknown) => (): void => {
    app.setDialog(null);
    void work();
  };
  return (
    <Sheet title={t("{name} was saved elsewhere meanwhile", { name })}>
      <p>{t("Another tab or program has saved it since you opened it here. Nothing was written.")}</p>
      <div className="choices">
        <button type="button" autoFocus className="button run" onClick={choose(() => app.setDialog({ kind: "save-as" }))}>{t("Save mine under another name")}</button>
        <button type="button" className="button" onClick={choose(() => compareWithSaved(app, editor))}>{t("What differs")}</button>
        <button type="button" className="button" onClick={choose(() => save(app, editor, name, true))}>{t("Save mine over it (theirs stays among the versions)")}</button>
        <button type="button" className="button" onClick={choose(() => takeTheirs(app, editor))}>{t("Take theirs (undo brings mine back)")}</button>
      </div>
    </Sheet>
  );
}
