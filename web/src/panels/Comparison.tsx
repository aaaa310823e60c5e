/** What the open workflow differs in from another state of it. */

import type { ReactNode } from "react";
import { jumpTo } from "../app/runner";
import type { Difference } from "../graph/diff";
import { t } from "../words/words";
import { icons } from "./icons";
import { useApp } from "./use-app";

const KINDS: Readonly<Record<Difference["kind"], string>> = { added: "New", removed: "Gone", changed: "Changed" };

export function ComparisonPanel(): ReactNode {
  const app = useApp();
  const { comparison } = app;
  if (!comparison || comparison.editor !== app.active) return null;
  const { editor, list } = comparison;
  const jump = (one: Difference): void => {
    if (one.ref === null) return jumpTo(app, editor, one.node);
    // Into the first instance of the subgraph that is found at the top.
    const instance = [...editor.document.root.nodes.values()].find((node) => node.type === one.ref);
    if (instance) jumpTo(app, editor, `${instance.id}:${one.node}`);
  };
  return (
    <aside className="side" aria-label={t("Differences")}>
      <div className="side-head">
        <h2>{t("Compared with {name}", { name: comparison.name })}</h2>
        <span className="grow" />
        <button type="button" className="icon small" aria-label={t("Close")} onClick={() => app.compare(null)}>{icons.close}</button>
      </div>
      {list.length === 0 && <p className="nothing">{t("Nothing differs but places on the canvas.")}</p>}
      <ul className="jobs">
        {list.map((one) => (
          <li key={`${one.ref ?? ""}/${one.node}/${one.kind}`} className={`job difference ${one.kind}`}>
            <div className="job-line">
              <span className="job-state">{editor.title(one.shown)}</span>
              <span className="faint">{t(KINDS[one.kind])}</span>
              <span className="grow" />
              {one.kind !== "removed" && <button type="button" className="button quiet" onClick={() => jump(one)}>{t("Show")}</button>}
            </div>
            {one.changes.map(({ what, before, after }) => (
              <p key={what} className="change"><b>{what}</b> <del>{cut(before)}</del> → <ins>{cut(after)}</ins></p>
            ))}
          </li>
        ))}
      </ul>
    </aside>
  );
}

const cut = (value: string): string => (value.length > 160 ? `${value.slice(0, 160)}…` : value === "" ? "—" : value);
