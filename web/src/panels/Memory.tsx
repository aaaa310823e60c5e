/** Which models are where, in words, and how to make room. */

import { type ReactNode, useEffect, useState } from "react";
import { byId } from "../app/commands";
import { type ModelMemory, type WorkerMemory, http } from "../client/http";
import { formatBytes } from "../words/units";
import { t } from "../words/words";
import { Sheet } from "./Sheet";
import { useApp, useContextOf } from "./use-app";

const EVERY_MS = 2000;

/** What the places of a model's bytes mean for whoever waits for it. */
export function placeWords({ host, device }: ModelMemory, hasCard: boolean): string {
  if (!hasCard) return t("in main memory, computed there");
  const share = device / Math.max(1, Math.max(host, device));
  if (device === 0) return t("in main memory; it moves to the card when it is needed");
  if (share > 0.98) return t("wholly on the card");
  return t("{share} % on the card; the rest is streamed while it runs, which is slower", { share: Math.round(share * 100) });
}

export function Memory(): ReactNode {
  const app = useApp();
  const context = useContextOf();
  const [workers, setWorkers] = useState<readonly WorkerMemory[] | null>(null);
  const [silent, setSilent] = useState(false);
  useEffect(() => {
    const ask = (): void => void http.memory().then((found) => {
      setWorkers(found);
      setSilent(false);
    }, () => setSilent(true));
    ask();
    const timer = setInterval(ask, EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  const bytes = (value: number): string => formatBytes(value, app.settings.units);
  return (
    <Sheet title={t("Memory")} wide={560}>
      {silent && <p className="nothing">{t("No worker answers at the moment.")}</p>}
      {workers?.map(({ name, device, models }) => (
        <section key={name} aria-label={name}>
          {device ? (
            <>
              <h3>{device.name}</h3>
              <div className="job-progress"><progress max={device.capacity} value={device.used} aria-label={t("Memory in use")} /><span className="faint">{t("{used} of {capacity}", { used: bytes(device.used), capacity: bytes(device.capacity) })}</span></div>
            </>
          ) : <p className="faint">{t("This machine computes without a card.")}</p>}
          {models.length === 0 && <p className="nothing">{t("No model is loaded.")}</p>}
          <ul className="versions">
            {models.map((model, i) => (
              <li key={i}>
                <span>{model.name}{model.running ? ` · ${t("running")}` : ""}<br /><span className="faint">{placeWords(model, device !== null)}</span></span>
                <span className="grow" />
                <span className="faint">{bytes(Math.max(model.host, model.device))}</span>
              </li>
            ))}
          </ul>
        </section>
      ))}
      <button type="button" className="button" onClick={() => byId.get("free")?.run(context)}>{t("Free memory: unload models, drop cached results")}</button>
    </Sheet>
  );
}
