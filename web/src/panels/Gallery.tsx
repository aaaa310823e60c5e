/** All results at once: found by the words that made them, looked at, compared in pairs. */

import { type ReactNode, useEffect, useMemo, useState } from "react";
import { type JobItem, http, viewUrl } from "../client/http";
import type { MediaRef } from "../editor/run";
import { describePrompt } from "../graph/describe";
import { t } from "../words/words";
import { Sheet } from "./Sheet";
import { useApp } from "./use-app";

const MOST = 500;

interface Result {
  readonly ref: MediaRef;
  readonly words: string;
}

const keyOf = (ref: MediaRef): string => `${ref.type}/${ref.subfolder}/${ref.filename}`;

function resultsOf(jobs: readonly JobItem[]): readonly Result[] {
  const seen = new Set<string>();
  return jobs.flatMap((job) => {
    const words = describePrompt(job.prompt).map(({ value }) => value).join(" ").toLowerCase();
    return job.images.flatMap((ref) => {
      const key = keyOf(ref);
      if (seen.has(key)) return [];
      seen.add(key);
      return [{ ref, words: `${words} ${ref.filename.toLowerCase()}` }];
    });
  });
}

export function Gallery(): ReactNode {
  const app = useApp();
  const [jobs, setJobs] = useState<readonly JobItem[] | null>(null);
  const [words, setWords] = useState("");
  const [chosen, setChosen] = useState<readonly MediaRef[]>([]);
  useEffect(() => {
    http.jobs(MOST).then(setJobs, (error: unknown) => app.fail(error));
  }, [app]);
  const results = useMemo(() => resultsOf(jobs ?? []), [jobs]);
  const shown = results.filter((result) => words.toLowerCase().split(/\s+/).every((word) => result.words.includes(word)));
  const images = shown.map(({ ref }) => ref);
  const toggle = (ref: MediaRef): void => setChosen(chosen.includes(ref) ? chosen.filter((one) => one !== ref) : [...chosen.slice(-1), ref]);
  const [first, second] = chosen;
  return (
    <Sheet title={t("Gallery")} wide={1080}>
      <div className="shortcut-tools">
        <input className="line-input" aria-label={t("Find results")} placeholder={t("Words of the prompt, a model, a name")} value={words} onChange={(event) => setWords(event.target.value)} />
        <button type="button" className="button" disabled={!first || !second} onClick={() => first && second && app.setDialog({ kind: "lightbox", images: [second], index: 0, against: first })}>{t("Compare the two chosen")}</button>
      </div>
      {jobs === null ? <p className="nothing">{t("Looking…")}</p> : shown.length === 0 && <p className="nothing">{t("No results here.")}</p>}
      <ul className="gallery">
        {shown.map(({ ref }, i) => (
          <li key={keyOf(ref)} className={chosen.includes(ref) ? "chosen" : ""}>
            <button type="button" className="thumb" aria-label={t("Look at {name}", { name: ref.filename })} onClick={() => app.setDialog({ kind: "lightbox", images, index: i })}>
              <img loading="lazy" alt={ref.filename} src={viewUrl(ref, true)} />
            </button>
            <label className="tick"><input type="checkbox" checked={chosen.includes(ref)} onChange={() => toggle(ref)} aria-label={t("Choose {name} to compare", { name: ref.filename })} /></label>
          </li>
        ))}
      </ul>
    </Sheet>
  );
}
