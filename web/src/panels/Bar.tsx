/** The bar above the canvas: documents, search, connection, and the one button that matters. */

import type { ReactNode } from "react";
import { byId } from "../app/commands";
import { icons } from "./icons";
import { useApp, useContextOf } from "./use-app";

export function Bar(): ReactNode {
  const app = useApp();
  const context = useContextOf();
  const run = (id: string) => (): void => byId.get(id)?.run(context);
  const running = app.jobs.some((job) => job.state === "running");
  return (
    <header className="bar">
      <button type="button" className="brand" title="All commands (Ctrl+K)" aria-label="All commands" onClick={run("commands")}>
        <svg viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
          <path d="M4 3v14M8 3v14M12 3v14M16 3v14" stroke="currentColor" strokeWidth="1.3" opacity=".55" />
          <path d="M2 7h16M2 13h16" stroke="var(--accent)" strokeWidth="2" strokeDasharray="4 4" />
        </svg>
      </button>
      <div className="tabs">
        <div className="tabs" role="tablist" aria-label="Open workflows">
        {app.tabs.map((tab) => (
          <div key={tab.document.id} role="presentation" className={`tab${tab === app.active ? " at" : ""}`}>
            <button type="button" role="tab" aria-selected={tab === app.active} onClick={() => app.show(tab)} className="tab-name">
              {tab.name ?? "Untitled"}
              {tab.dirty && <i className="dot" title="Changed since it was saved; a draft is kept" />}
            </button>
            {/* A tab list may hold only tabs; without a pointer Alt+W closes. */}
            <button type="button" className="icon small" title="Close (Alt+W)" aria-hidden="true" tabIndex={-1} onClick={() => app.close(tab)}>
              {icons.close}
            </button>
          </div>
        ))}
        </div>
        <button type="button" className="icon" title="New workflow (Alt+N)" aria-label="New workflow" onClick={run("new")}>
          {icons.plus}
        </button>
      </div>
      <span className="grow" />
      <button type="button" className="button quiet narrow" onClick={run("form")}>{app.form ? "Canvas" : "Form"}</button>
      {app.connection === "open" && !app.ready && <span className="faint" role="status">Loading nodes…</span>}
      {app.connection !== "open" && (
        <span className="lost" role="status">
          {app.connection === "lost" ? "Connection lost. Trying again…" : "Connecting…"}
        </span>
      )}
      <button type="button" className="icon" title="Open… (Ctrl+O)" aria-label="Open" onClick={run("open")}>{icons.folder}</button>
      <button type="button" className="icon" title="Find in workflow (Ctrl+F)" aria-label="Find in workflow" onClick={run("find")}>{icons.search}</button>
      <button type="button" className="icon" title="Settings (Ctrl+,)" aria-label="Settings" onClick={run("settings")}>{icons.gear}</button>
      <button type="button" className={`icon${app.sidebar === "queue" ? " on" : ""}`} title="Queue and results (Q)" aria-label="Queue and results" aria-pressed={app.sidebar === "queue"} onClick={run("queue-panel")}>
        {icons.queue}
        {app.remaining > 0 && <b className="badge">{app.remaining}</b>}
      </button>
      {running && (
        <button type="button" className="button quiet" title="Stop what runs (Ctrl+Alt+C)" onClick={run("interrupt")}>
          {icons.stop} Stop
        </button>
      )}
      <button type="button" className="button run" title="Queue this workflow (Ctrl+Enter)" onClick={run("run")} disabled={!app.ready}>
        {icons.play} {app.live ? "Live" : "Queue"}
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
        <nav className="crumbs" aria-label="Subgraph">
          <button type="button" onClick={() => editor.goTo([])}>{editor.name ?? "Workflow"}</button>
          {steps.map(({ name, path }) => (
            <button key={path.join(":")} type="button" onClick={() => editor.goTo(path)}>
              <span aria-hidden="true">›</span> {name}
            </button>
          ))}
        </nav>
      )}
      <div className="zoom">
        <button type="button" className="icon" title="Show everything (F)" aria-label="Show everything" onClick={() => app.reveal?.()}>{icons.fit}</button>
        <button type="button" className="zoom-value" title="Actual size (Ctrl+0)" onClick={() => context.surface.zoomTo(1)}>
          {Math.round(editor.viewport.scale * 100)} %
        </button>
      </div>
    </>
  );
}
