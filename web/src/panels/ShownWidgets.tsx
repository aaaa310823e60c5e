/** Which values of its inside a subgraph shows on its node. */

import type { ReactNode } from "react";
import type { Dialog } from "../app/app";
import { changeNodes } from "../graph/edit";
import { possibleProxies, readProxies, withProxies } from "../graph/proxies";
import { t } from "../words/words";
import { Sheet } from "./Sheet";
import { useApp } from "./use-app";

export function ShownWidgets({ node: id }: Extract<Dialog, { kind: "shown-widgets" }>): ReactNode {
  const app = useApp();
  const editor = app.active;
  const node = editor.graph.nodes.get(id);
  if (!node) return null;
  const shown = readProxies(node);
  const possible = possibleProxies(editor.document, app.catalogue, node);
  const titles = [...new Set(possible.map(({ title, node: inner }) => `${inner}\n${title}`))];
  const toggle = (inner: string, widget: string): void => {
    const on = shown.some((one) => one.node === inner && one.widget === widget);
    const next = on ? shown.filter((one) => one.node !== inner || one.widget !== widget) : [...shown, { node: inner, widget }];
    editor.edit("Choose shown values", (graph) => changeNodes(graph, [id], (one) => withProxies(one, next)));
    app.changed();
  };
  return (
    <Sheet title={t("Values shown on {node}", { node: editor.title(node) })}>
      <p className="faint">{t("They are set here and live inside: every instance of this subgraph shares them.")}</p>
      {titles.map((key) => {
        const [inner = "", title = ""] = key.split("\n");
        return (
          <fieldset key={key} className="shown-widgets">
            <legend>{title}</legend>
            {possible.filter((one) => one.node === inner).map((one) => (
              <label key={one.widget} className="setting">
                {one.label}
                <input type="checkbox" checked={shown.some((other) => other.node === inner && other.widget === one.widget)} onChange={() => toggle(inner, one.widget)} />
              </label>
            ))}
          </fieldset>
        );
      })}
      {titles.length === 0 && <p className="nothing">{t("There are no values inside that are not shown already.")}</p>}
    </Sheet>
  );
}
