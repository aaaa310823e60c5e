/** The bar above the canvas: documents, search, connection, and the one button that matters. */

import type { ReactNode } from "react";
import { byId } from "../app/commands";
import { remaining } from "../editor/eta";
import { formatTime } from "../words/units";
import { t } from "../words/words";
import { icons } from "./icons";
import { useApp, useContextOf } from "./use-app";

export function Bar(): ReactNode {
  const app = useApp();
  const context = useContextOf();
  const act = (id: string) => (): void => byId.get(id)?.run(context);
  const running = app.jobs.find((job) => job.state === "running");
  const run = running && app.tabs.find((tab) => tab.run.promptId === running.id)?.run;
  const left = run ? remaining(run, performance.now()) : null;
  return (
    <header className="bar">
      <button type="button" className="brand" title={`${t("All commands")} (Ctrl+K)`} aria-label={t("All commands")} onClick={act("commands")}>
        <svg viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
          <path d="M4 3v14M8 3v14M12 3v14M16 3v14" stroke="currentColor" strokeWidth="1.3" opacity=".55" />
          <path d="M2 7h16M2 13h16" stroke="var(--accent)" strokeWidth="2" strokeDasharray="4 4" />
        </svg>
      </button>
      <div className="tabs">
        <div className="tabs" role="tablist" aria-label={t("Open workflows")}>
        {app.tabs.map((tab) => (
          <div key={tab.document.id} role="presentation" className={`tab${tab === app.active ? " at" : ""}`}>
            <button type="button" role="tab" aria-selected={tab === app.active} onClick={() => app.show(tab)} className="tab-name">
              {tab.name ?? t("Untitled")}
              {tab.dirty && <i className="dot" title={t("Changed since it was saved; a draft is kept")} />}
            </button>
            {/* A tab list may hold only tabs; without a pointer Alt+W closes. */}
            <button type="button" className="icon small" title={`${t("Close")} (Alt+W)`} aria-hidden="true" tabIndex={-1} onClick={() => app.close(tab)}>
              {icons.close}
            </button>
          </div>
        ))}
        </div>
        <button type="button" className="icon" title={`${t("New workflow")} (Alt+N)`} aria-label={t("New workflow")} onClick={act("new")}>
          {icons.plus}
        </button>
      </div>
      <span className="grow" />
      <button type="button" className="button quiet narrow" onClick={act("form")}>{app.form ? t("Canvas") : t("Form")}</button>
      {app.connection === "open" && !app.ready && <span className="faint" role="status">{t("Loading nodes…")}</span>}
      {app.connection !== "open" && (
        <span className="lost" role="status">
          {app.connection === "lost" ? t("Connection lost. Trying again…") : t("Connecting…")}
        </span>
      )}
      <button type="button" className="icon open" title={`${t("Open…")} (Ctrl+O)`} aria-label={t("Open")} onClick={act("open")}>{icons.folder}</button>
      <button type="button" className="icon wide" title={t("Gallery")} aria-label={t("Gallery")} onClick={act("gallery")}>{icons.grid}</button>
      <button type="button" className="icon wide" title={`${t("Find in workflow")} (Ctrl+F)`} aria-label={t("Find in workflow")} onClick={act("find")}>{icons.search}</button>
      <button type="button" className="icon" title={`${t("Settings")} (Ctrl+,)`} aria-label={t("Settings")} onClick={act("settings")}>{icons.gear}</button>
      <button type="button" className={`icon${app.sidebar === "queue" ? " on" : ""}`} title={`${t("Queue and results")} (Q)`} aria-label={t("Queue and results")} aria-pressed={app.sidebar === "queue"} onClick={act("queue-panel")}>
        {icons.queue}
        {app.remaining > 0 && <b className="badge">{app.remaining}</b>}
      </button>
      {left !== null && <span className="faint eta" title={t("What this run still takes, by what it took before")}>{formatTime(Math.max(1000, Math.round(left / 1000) * 1000))}</span>}
      {running && (
        <button type="button" className="button quiet" title={t("Stop what runs ({key})", { key: "Ctrl+Alt+C" })} onClick={act("interrupt")}>
          {icons.stop} {t("Stop")}
        </button>
      )}
      <button type="button" className="button run" title={`${t("Queue this workflow")} (Ctrl+Enter)`} onClick={act("run")} disabled={!app.ready}>
        {icons.play} {app.live ? t("Live") : t("Queue")}
      </button>
    </header>
  );
}

/** Where one is inside subgraphs, and how close one looks. */
export function Corner(): ReactNode {
  const app = useApp();
  const context = useContextOf();
  const editor = app.active;
  const steps = editor.path.map((id, i) => {
    const outer = i === 0 ? editor.document.root : editor.document.subgraphs.get(nodeType(editor.path.slice(0, i)))?.graph;
    const node = outer?.nodes.get(id);
    return { name: node ? editor.title(node) : id, path: editor.path.slice(0, i + 1) };
  });
  function nodeType(path: readonly string[]): string {
    let type = "";
    let graph = editor.document.root;
    for (const id of path) {
      type = graph.nodes.get(id)?.type ?? "";
      graph = editor.document.subgraphs.get(type)?.graph ?? graph;
    }
    return type;
  }
  return (
    <>
      {steps.length > 0 && (
        <nav className="crumbs" aria-label={t("Subgraph")}>
          <button type="button" onClick={() => editor.goTo([])}>{editor.name ?? t("Workflow")}</button>
          {steps.map(({ name, path }) => (
            <button key={path.join(":")} type="button" onClick={() => editor.goTo(path)}>
              <span aria-hidden="true">›</span> {name}
            </button>
          ))}
        </nav>
      )}
      <div className="zoom">
        <button type="button" className="icon" title={`${t("Show everything")} (F)`} aria-label={t("Show everything")} onClick={() => app.reveal?.()}>{icons.fit}</button>
        <button type="button" className="zoom-value" title={`${t("Actual size")} (Ctrl+0)`} onClick={() => context.surface.zoomTo(1)}>
          {Math.round(editor.viewport.scale * 100)} %
        </button>
      </div>
    </>
  );
}
