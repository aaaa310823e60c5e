/** Results, large: what made one, and how it differs from another. */

import { type ReactNode, useEffect, useState } from "react";
import { Button, Dialog as AriaDialog, Modal, ModalOverlay } from "react-aria-components";
import type { App, Dialog } from "../app/app";
import { openEmbedded, useResult } from "../app/files";
import { type Embedded, readEmbedded } from "../client/embedded";
import { viewUrl } from "../client/http";
import type { MediaRef } from "../editor/run";
import { type Fact, describePrompt } from "../graph/describe";
import { t } from "../words/words";
import { icons } from "./icons";
import { useApp, useContextOf } from "./use-app";

/** The picture that the job before this picture's job made. */
function previous(app: App, ref: MediaRef): MediaRef | null {
  const jobs = app.jobs.filter((job) => job.images.length > 0);
  const at = jobs.findIndex((job) => job.images.some((image) => image.filename === ref.filename && image.subfolder === ref.subfolder));
  return at < 0 ? null : (jobs[at + 1]?.images[0] ?? null);
}

/** What the file itself carries: fetched anew for each picture that is looked at. */
function useCarried(ref: MediaRef | undefined): Embedded | null {
  const [carried, setCarried] = useState<{ readonly ref: MediaRef; readonly embedded: Embedded } | null>(null);
  useEffect(() => {
    if (!ref) return undefined;
    let wanted = true;
    fetch(viewUrl(ref))
      .then((response) => response.blob())
      .then(readEmbedded)
      .then((embedded) => wanted && setCarried({ ref, embedded }), () => undefined);
    return () => {
      wanted = false;
    };
  }, [ref]);
  return carried?.ref === ref ? (carried?.embedded ?? null) : null;
}

export function Lightbox({ images, index, against }: Extract<Dialog, { kind: "lightbox" }>): ReactNode {
  const app = useApp();
  const { surface } = useContextOf();
  const [at, setAt] = useState(index);
  const [size, setSize] = useState<readonly [number, number] | null>(null);
  const [share, setShare] = useState<number | null>(against ? 50 : null);
  const ref = images[at];
  const carried = useCarried(ref);
  if (!ref) return null;
  const move = (by: number): void => setAt((at + by + images.length) % images.length);
  const before = against ?? previous(app, ref);
  const facts = describePrompt(carried?.prompt ?? null);
  const name = `${ref.subfolder ? `${ref.subfolder}/` : ""}${ref.filename}`;
  const hasGraph = carried !== null && (carried.workflow !== null || carried.prompt !== null || carried.parameters !== null);
  const leave = (work: () => void) => (): void => {
    app.setDialog(null);
    work();
  };
  return (
    <ModalOverlay isOpen isDismissable onOpenChange={(open) => !open && app.setDialog(null)} className="veil deep">
      <Modal className="lightbox">
        <AriaDialog aria-label={ref.filename}>
          <div className="lightbox-body" onKeyDown={(event) => {
            if (event.target instanceof HTMLInputElement) return;
            if (event.key === "ArrowRight") move(1);
            if (event.key === "ArrowLeft") move(-1);
          }}>
            <div className="lightbox-main">
              <div className="compare">
                <img alt={ref.filename} src={viewUrl(ref)} onLoad={(event) => setSize([event.currentTarget.naturalWidth, event.currentTarget.naturalHeight])} />
                {share !== null && before && <img alt={t("The result before: {name}", { name: before.filename })} src={viewUrl(before)} style={{ clipPath: `inset(0 ${100 - share}% 0 0)` }} />}
                {share !== null && before && <i className="compare-edge" style={{ left: `${share}%` }} aria-hidden="true" />}
              </div>
              <Facts facts={facts} size={size} silent={carried !== null && !hasGraph} />
            </div>
            <div className="lightbox-line">
              {images.length > 1 && <Button className="icon" aria-label={t("Previous")} onPress={() => move(-1)}>{icons.left}</Button>}
              <span>{name}</span>
              {images.length > 1 && <span className="faint">{t("{place} of {count}", { place: at + 1, count: images.length })}</span>}
              {images.length > 1 && <Button className="icon" aria-label={t("Next")} onPress={() => move(1)}>{icons.right}</Button>}
              <span className="grow" />
              {before && share === null && <Button className="button quiet" onPress={() => setShare(50)}>{t("Compare with the result before")}</Button>}
              {share !== null && <label>{t("Before")} <input type="range" aria-label={t("How much of the result before is shown")} min="0" max="100" value={share} onChange={(event) => setShare(Number(event.target.value))} /> {t("now")}</label>}
              {hasGraph && <Button className="button quiet" onPress={leave(() => void openEmbedded(app, carried, null))}>{t("Open its workflow")}</Button>}
              <Button className="button quiet" onPress={leave(() => void useResult(app, ref, surface.pointer))}>{t("Use as input")}</Button>
              <a className="button quiet" href={viewUrl(ref)} download={ref.filename}>{t("Download")}</a>
              <Button className="icon" aria-label={t("Close")} autoFocus onPress={() => app.setDialog(null)}>{icons.close}</Button>
            </div>
          </div>
        </AriaDialog>
      </Modal>
    </ModalOverlay>
  );
}

function Facts({ facts, size, silent }: { readonly facts: readonly Fact[]; readonly size: readonly [number, number] | null; readonly silent: boolean }): ReactNode {
  return (
    <aside className="facts" aria-label={t("What made this picture")}>
      <dl>
        {size && <div><dt>{t("Picture")}</dt><dd>{size[0]} × {size[1]}</dd></div>}
        {facts.map(({ name, value }, i) => <div key={i} className={value.length > 32 ? "long" : ""}><dt>{t(name)}</dt><dd>{value}</dd></div>)}
      </dl>
      {silent && <p>{t("This file does not say what made it.")}</p>}
    </aside>
  );
}
