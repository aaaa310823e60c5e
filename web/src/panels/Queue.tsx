/** What runs, what waits and in which order, what went wrong, what came out. */

import { type DragEvent, type ReactNode, useEffect, useRef, useState } from "react";
import type { App } from "../app/app";
import { openJson } from "../app/files";
import { jumpTo } from "../app/runner";
import { type JobItem, http, viewUrl } from "../client/http";
import { remaining, share } from "../editor/eta";
import type { PanelEntry } from "../extend/api";
import { t } from "../words/words";
import { formatTime } from "../words/units";
import { ComparisonPanel } from "./Comparison";
import { icons } from "./icons";
import { useApp } from "./use-app";

const WORDS: Readonly<Record<JobItem["state"], string>> = { running: "Running", pending: "Waiting", success: "Done", error: "Failed", interrupted: "Stopped" };

type Later = (work: Promise<unknown>) => void;

export function Queue(): ReactNode {
  const app = useApp();
  const panel = app.extensions.panels.find(({ id }) => app.sidebar === `panel:${id}`);
  if (app.comparison?.editor === app.active) return <ComparisonPanel />;
  if (panel) return <Panel key={panel.id} panel={panel} />;
  return app.sidebar === "queue" ? <Jobs /> : null;
}

function Jobs(): ReactNode {
  const app = useApp();
  useEffect(() => {
    void app.refreshQueue();
  }, [app]);
  const later: Later = (work) => void work.then(() => app.refreshQueue(), (error: unknown) => app.fail(error));
  const running = app.jobs.filter((job) => job.state === "running");
  const waiting = app.jobs.filter((job) => job.state === "pending");
  const done = app.jobs.filter((job) => job.state !== "pending" && job.state !== "running");
  return (
    <aside className="side" aria-label={t("Queue and results")}>
      <div className="side-head">
        <h2>{t("The queue")}</h2>
        <span className="grow" />
        {app.paused !== null && <button type="button" className="button quiet" aria-pressed={app.paused} onClick={() => later(http.hold(app.paused !== true))}>{app.paused ? t("Go on") : t("Hold")}</button>}
        {waiting.length > 0 && <button type="button" className="button quiet" onClick={() => later(http.clearQueue())}>{t("Clear")}</button>}
      </div>
      {app.paused && <p className="nothing">{t("The queue is held: nothing begins until you let it go on.")}</p>}
      {running.length + waiting.length === 0 && !app.paused && <p className="nothing">{t("Nothing waits. Press Queue or Ctrl+Enter.")}</p>}
      <ul className="jobs">
        {running.map((job) => <Job key={job.id} job={job} later={later} />)}
        {waiting.map((job, i) => <Job key={job.id} job={job} later={later} before={waiting[i - 1] ?? null} movable={app.paused !== null && waiting.length > 1} first={i === 0} />)}
      </ul>
      <Problems />
      <div className="side-head">
        <h2>{t("Results")}</h2>
        <span className="grow" />
        {done.some((job) => job.images.length > 0) && <button type="button" className="button quiet" onClick={() => app.setDialog({ kind: "gallery" })}>{t("Gallery")}</button>}
        {done.length > 0 && <button type="button" className="button quiet" onClick={() => later(http.clearHistory())}>{t("Clear")}</button>}
      </div>
      {done.length === 0 && <p className="nothing">{t("Pictures appear here.")}</p>}
      <ul className="jobs">{done.map((job) => <Job key={job.id} job={job} later={later} />)}</ul>
    </aside>
  );
}

/** What is wrong with the open workflow, each with the way there. */
function Problems(): ReactNode {
  const app = useApp();
  const editor = app.active;
  const { problems } = editor.run;
  if (problems.length === 0) return null;
  return (
    <>
      <div className="side-head"><h2>{t("Problems")}</h2></div>
      <ul className="jobs">
        {problems.map((one, i) => {
          const node = editor.document.root.nodes.get(one.node.split(":")[0] ?? "");
          const [line, ...more] = one.details.split("\n");
          return (
            <li key={i} className="job error">
              <div className="job-line">
                <span className="job-state">{node ? editor.title(node) : one.node}</span>
                {one.input !== null && <span className="faint">{one.input}</span>}
                <span className="grow" />
                <button type="button" className="button quiet" onClick={() => jumpTo(app, editor, one.node)}>{t("Show")}</button>
              </div>
              <p className="job-error">{one.message}{more.length === 0 && line ? ` ${line}` : ""}</p>
              {more.length > 0 && <details><summary>{t("Where it happened")}</summary><pre tabIndex={0}>{one.details}</pre></details>}
            </li>
          );
        })}
      </ul>
    </>
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

interface JobProps {
  readonly job: JobItem;
  readonly later: Later;
  /** The job served before this one, if both wait. */
  readonly before?: JobItem | null;
  readonly movable?: boolean;
  readonly first?: boolean;
}

const DRAGGED = "application/x-heddle-job";

function Job({ job, later, before = null, movable = false, first = false }: JobProps): ReactNode {
  const app = useApp();
  const [over, setOver] = useState(false);
  const { state } = job;
  const stop = state === "running" ? () => http.interrupt(job.id) : state === "pending" ? () => http.cancel([job.id]) : () => http.forget([job.id]);
  const nodes = Object.keys(job.prompt).length;
  const stopWords = state === "running" ? t("Stop") : state === "pending" ? t("Take out of the queue") : t("Forget");
  const drag = movable
    ? {
        draggable: true,
        onDragStart: (event: DragEvent) => event.dataTransfer.setData(DRAGGED, job.id),
        onDragOver: (event: DragEvent) => {
          if (!event.dataTransfer.types.includes(DRAGGED)) return;
          event.preventDefault();
          setOver(true);
        },
        onDragLeave: () => setOver(false),
        onDrop: (event: DragEvent) => {
          const id = event.dataTransfer.getData(DRAGGED);
          setOver(false);
          if (id === "") return;
          event.preventDefault();
          event.stopPropagation();
          if (id !== job.id) later(http.move(id, job.id));
        },
      }
    : {};
  return (
    <li className={`job ${state}${over ? " over" : ""}`} {...drag}>
      <div className="job-line">
        <span className="job-state">{t(WORDS[state])}</span>
        <span className="faint">{[job.took === null ? "" : formatTime(job.took), t("{count} nodes", { count: nodes })].filter(Boolean).join(" · ")}</span>
        <span className="grow" />
        {movable && !first && before && <button type="button" className="icon small" title={t("Sooner")} aria-label={t("Sooner")} onClick={() => later(http.move(job.id, before.id))}>{icons.up}</button>}
        {movable && !first && <button type="button" className="icon small" title={t("To the front")} aria-label={t("To the front")} onClick={() => later(http.move(job.id, null))}>{icons.top}</button>}
        <button type="button" className="icon small" title={t("Open the exact graph in a new tab")} aria-label={t("Open the exact graph")} onClick={() => openJson(app, job.workflow ?? { prompt: job.prompt }, null)}>{icons.folder}</button>
        <button type="button" className="icon small" title={stopWords} aria-label={stopWords} onClick={() => later(stop())}>
          {state === "running" ? icons.stop : state === "pending" ? icons.close : icons.trash}
        </button>
      </div>
      {state === "running" && <Progress app={app} job={job} />}
      {job.message && <p className="job-error">{job.message}</p>}
      {job.images.length > 0 && (
        <div className="thumbs">
          {job.images.slice(0, 8).map((ref, i) => (
            <button type="button" key={`${ref.subfolder}/${ref.filename}`} className="thumb" aria-label={t("Look at {name}", { name: ref.filename })} onClick={() => app.setDialog({ kind: "lightbox", images: job.images, index: i })}>
              <img loading="lazy" alt={ref.filename} src={viewUrl(ref, true)} />
            </button>
          ))}
        </div>
      )}
    </li>
  );
}

/** How far a job is, if it came from a document that is open here. */
function Progress({ app, job }: { readonly app: App; readonly job: JobItem }): ReactNode {
  const run = app.tabs.find((tab) => tab.run.promptId === job.id)?.run;
  if (!run) return null;
  const done = share(run);
  const left = remaining(run, performance.now());
  return (
    <div className="job-progress">
      <progress max={1} value={done} aria-label={t("Progress of the job")} />
      <span className="faint">{left === null ? `${Math.round(done * 100)} %` : t("about {time} left", { time: formatTime(Math.max(1000, Math.round(left / 1000) * 1000)) })}</span>
    </div>
  );
}
