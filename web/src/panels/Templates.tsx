/** Workflows to begin with: ours and those of packs, each with a sketch, what it is for, and what it would need. */

import { type ReactNode, useEffect, useState } from "react";
import { openJson } from "../app/files";
import { type Template, http } from "../client/http";
import { score } from "../editor/search";
import type { Catalogue } from "../graph/definitions";
import { isNote, widgetEntries } from "../graph/definitions";
import type { Document } from "../graph/document";
import { type Json, isObject, text } from "../graph/json";
import { isWorkflow, readWorkflow } from "../graph/workflow";
import { t } from "../words/words";
import { Sheet } from "./Sheet";
import { useApp } from "./use-app";

interface Card extends Template {
  readonly file: Json;
  readonly document: Document;
  readonly about: string;
  readonly needs: readonly string[];
}

/** Node types and files that this machine lacks for a workflow. */
function lacking(document: Document, catalogue: Catalogue): readonly string[] {
  const needs = new Set<string>();
  for (const node of [...document.root.nodes.values(), ...[...document.subgraphs.values()].flatMap((sub) => [...sub.graph.nodes.values()])]) {
    const definition = catalogue.get(node.type);
    if (!definition && !document.subgraphs.has(node.type)) needs.add(node.type);
    for (const { key, spec, role } of definition ? widgetEntries(definition) : []) {
      const value = node.values?.[key];
      if (role === "value" && spec.kind === "combo" && typeof value === "string" && !spec.upload && !spec.multiple && !spec.options.includes(value)) needs.add(value);
    }
  }
  return [...needs];
}

function aboutOf(file: Json, document: Document): string {
  const extra = isObject(file) && isObject(file["extra"]) && isObject(file["extra"]["heddle"]) ? file["extra"]["heddle"] : {};
  const note = [...document.root.nodes.values()].find((node) => isNote(node.type));
  return text(extra["about"]) ?? String(note?.values?.["text"] ?? "").split("\n").find((line) => line.trim() !== "" && !line.startsWith("#"))?.replace(/[*_`]/g, "") ?? "";
}

export function Templates(): ReactNode {
  const app = useApp();
  const [cards, setCards] = useState<readonly Card[] | null>(null);
  const [words, setWords] = useState("");
  useEffect(() => {
    const read = async (template: Template): Promise<readonly Card[]> => {
      const file = await http.readTemplate(template.path).catch(() => null);
      if (file === null || !isWorkflow(file)) return [];
      const document = readWorkflow(file, app.catalogue, () => template.path);
      // Ours are named like files; a pack's names are its own.
      const name = template.pack === "heddle" ? template.name.replaceAll("-", " ").replace(/^./, (letter) => letter.toUpperCase()) : template.name;
      return [{ ...template, name: t(name), file, document, about: t(aboutOf(file, document)), needs: lacking(document, app.catalogue) }];
    };
    http.templates().then((list) => Promise.all(list.map(read))).then((read) => setCards(read.flat()), (error: unknown) => app.fail(error));
  }, [app]);
  const shown = (cards ?? []).filter((card) => words === "" || Math.max(score(words, card.name), score(words, card.pack), score(words, card.about)) > 0);
  const packs = [...new Set(shown.map(({ pack }) => pack))];
  return (
    <Sheet title={t("Templates")} wide={960}>
      <div className="shortcut-tools">
        <input className="line-input" autoFocus aria-label={t("Find templates")} placeholder={t("What you want to make")} value={words} onChange={(event) => setWords(event.target.value)} />
      </div>
      {cards === null ? <p className="nothing">{t("Looking…")}</p> : shown.length === 0 && <p className="nothing">{t("Nothing found.")}</p>}
      {packs.map((pack) => (
        <section key={pack} aria-label={pack}>
          {packs.length > 1 && <h3>{pack === "heddle" ? "Heddle" : pack}</h3>}
          <ul className="templates">
            {shown.filter((card) => card.pack === pack).map((card) => (
              <li key={card.path}>
                <button type="button" className="template" onClick={() => { app.setDialog(null); openJson(app, isObject(card.file) ? { ...card.file, id: crypto.randomUUID() } : card.file, null); }}>
                  <Sketch document={card.document} />
                  <strong>{card.name}</strong>
                  {card.about !== "" && <span>{card.about}</span>}
                  <span className="needs">{card.needs.length === 0 ? t("Everything it needs is here.") : t("Needs {what}", { what: card.needs.slice(0, 3).join(", ") })}</span>
                </button>
              </li>
            ))}
          </ul>
        </section>
      ))}
    </Sheet>
  );
}

/** The workflow from far away. */
function Sketch({ document }: { readonly document: Document }): ReactNode {
  const nodes = [...document.root.nodes.values()];
  if (nodes.length === 0) return null;
  const left = Math.min(...nodes.map(({ pos }) => pos[0]));
  const top = Math.min(...nodes.map(({ pos }) => pos[1] - 30));
  const right = Math.max(...nodes.map(({ pos, size }) => pos[0] + size[0]));
  const bottom = Math.max(...nodes.map(({ pos, size }) => pos[1] + size[1]));
  return (
    <svg className="sketch" viewBox={`${left - 40} ${top - 40} ${right - left + 80} ${bottom - top + 80}`} preserveAspectRatio="xMidYMid meet" aria-hidden="true">
      {[...document.root.links.values()].map((link) => {
        const [from, to] = [document.root.nodes.get(link.from), document.root.nodes.get(link.to)];
        return from && to && <path key={link.id} d={`M${from.pos[0] + from.size[0]} ${from.pos[1] + 14 + 20 * link.fromSlot}L${to.pos[0]} ${to.pos[1] + 14 + 20 * link.toSlot}`} />;
      })}
      {nodes.map(({ id, pos, size, color }) => <rect key={id} x={pos[0]} y={pos[1] - 30} width={size[0]} height={size[1] + 30} rx="10" {...(color ? { style: { fill: color } } : {})} />)}
    </svg>
  );
}
