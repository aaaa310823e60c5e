/** What runs, what waits, what came out. */

import { type ReactNode, useEffect, useRef } from "react";
import { type JobItem, http, viewUrl } from "../client/http";
import type { PanelEntry } from "../extend/api";
import { openJson } from "../app/files";
import { formatTime } from "../view/draw-node";
import { icons } from "./icons";
import { useApp } from "./use-app";

const WORDS: Readonly<Record<JobItem["state"], string>> = { running: "Running", pending: "Waiting", success: "Done", error: "Failed", interrupted: "Stopped" };

export function Queue(): ReactNode {
  const app = useApp();
  const panel = app.extensions.panels.find(({ id }) => app.sidebar === `panel:${id}`);
  if (panel) return <Panel key={panel.id} panel={panel} />;
  if (app.sidebar !== "queue") return null;
  const later = (work: Promise<unknown>): void => void work.then(() => app.refreshJobs(), (error: unknown) => app.fail(error));
  const pending = app.jobs.filter((job) => job.state === "pending" || job.state === "running");
  const done = app.jobs.filter((job) => job.state !== "pending" && job.state !== "running");
  return (
    <aside className="side" aria-label="Queue and results">
      <div className="side-head">
        <h2>Queue</h2>
        <span className="grow" />
        {pending.some((job) => job.state === "pending") && <button type="button" className="button quiet" onClick={() => later(http.clearQueue())}>Clear</button>}
      </div>
      {pending.length === 0 && <p className="nothing">Nothing waits. Press Queue or Ctrl+Enter.</p>}
      <ul className="jobs">{pending.map((job) => <Job key={job.id} job={job} later={later} />)}</ul>
      <div className="side-head">
        <h2>Results</h2>
        <span className="grow" />
        {done.length > 0 && <button type="button" className="button quiet" onClick={() => later(http.clearHistory())}>Clear</button>}
      </div>
      {done.length === 0 && <p className="nothing">Pictures appear here.</p>}
      <ul className="jobs">{done.map((job) => <Job key={job.id} job={job} later={later} />)}</ul>
    </aside>
  );
}

/** A panel that a pack's script fills. */
function Panel({ panel }: { readonly panel: PanelEntry }): ReactNode {
  const app = useApp();
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    try {
      return place.current ? panel.mount(place.current) : undefined;
    } catch (error) {
      app.fail(error);
      return undefined;
    }
  }, [app, panel]);
  return (
    <aside className="side" aria-label={panel.title}>
      <div className="side-head">
        <h2>{panel.title}</h2>
      </div>
      <div ref={place} className="side-own" />
    </aside>
  );
}

function Job({ job, later }: { readonly job: JobItem; readonly later: (work: Promise<unknown>) => void }): ReactNode {
  const app = useApp();
  const { state } = job;
  const stop = state === "running" ? () => http.interrupt(job.id) : state === "pending" ? () => http.cancel([job.id]) : () => http.forget([job.id]);
  const nodes = Object.keys(job.prompt).length;
  return (
    <li className={`job ${state}`}>
      <div className="job-line">
        <span className="job-state">{WORDS[state]}</span>
        <span className="faint">{[job.took === null ? "" : formatTime(job.took), `${nodes} nodes`].filter(Boolean).join(" · ")}</span>
        <span className="grow" />
        <button type="button" className="icon small" title="Open the exact graph in a new tab" aria-label="Open the exact graph" onClick={() => openJson(app, job.workflow ?? { prompt: job.prompt }, null)}>{icons.folder}</button>
        <button type="button" className="icon small" title={state === "running" ? "Stop" : state === "pending" ? "Take out of the queue" : "Forget"} aria-label={state === "running" ? "Stop" : state === "pending" ? "Take out of the queue" : "Forget"} onClick={() => later(stop())}>
          {state === "running" ? icons.stop : state === "pending" ? icons.close : icons.trash}
        </button>
      </div>
      {job.message && <p className="job-error">{job.message}</p>}
      {job.images.length > 0 && (
        <div className="thumbs">
          {job.images.slice(0, 8).map((ref, i) => (
            <button type="button" key={`${ref.subfolder}/${ref.filename}`} className="thumb" aria-label={`Look at ${ref.filename}`} onClick={() => app.setDialog({ kind: "lightbox", images: job.images, index: i })}>
              <img loading="lazy" alt={ref.filename} src={viewUrl(ref, true)} />
            </button>
          ))}
        </div>
      )}
    </li>
  );
}
