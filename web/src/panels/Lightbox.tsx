/** A result, large: beside the one before, with what made it. */

import { type ReactNode, useState } from "react";
import { Button, Dialog as AriaDialog, Modal, ModalOverlay } from "react-aria-components";
import type { App, Dialog } from "../app/app";
import { viewUrl } from "../client/http";
import type { MediaRef } from "../editor/run";
import { icons } from "./icons";
import { useApp } from "./use-app";

/** The picture that the job before this picture's job made. */
function previous(app: App, ref: MediaRef): MediaRef | null {
  const jobs = app.jobs.filter((job) => job.images.length > 0);
  const at = jobs.findIndex((job) => job.images.some((image) => image.filename === ref.filename && image.subfolder === ref.subfolder));
  return at < 0 ? null : (jobs[at + 1]?.images[0] ?? null);
}

export function Lightbox({ images, index }: Extract<Dialog, { kind: "lightbox" }>): ReactNode {
  const app = useApp();
  const [at, setAt] = useState(index);
  const [share, setShare] = useState<number | null>(null);
  const ref = images[at];
  if (!ref) return null;
  const move = (by: number): void => setAt((at + by + images.length) % images.length);
  const before = previous(app, ref);
  return (
    <ModalOverlay isOpen isDismissable onOpenChange={(open) => !open && app.setDialog(null)} className="veil deep">
      <Modal className="lightbox">
        <AriaDialog aria-label={ref.filename}>
          <div className="lightbox-body" onKeyDown={(event) => { if (event.key === "ArrowRight") move(1); if (event.key === "ArrowLeft") move(-1); }}>
            <div className="compare">
              <img alt={ref.filename} src={viewUrl(ref)} />
              {share !== null && before && <img alt={`The result before: ${before.filename}`} src={viewUrl(before)} style={{ clipPath: `inset(0 ${100 - share}% 0 0)` }} />}
            </div>
            <div className="lightbox-line">
              {before && share === null && <Button className="button quiet" onPress={() => setShare(50)}>Compare with the result before</Button>}
              {share !== null && <label>Before <input type="range" aria-label="How much of the result before is shown" min="0" max="100" value={share} onChange={(event) => setShare(Number(event.target.value))} /> now</label>}
              {images.length > 1 && <Button className="icon" aria-label="Previous" onPress={() => move(-1)}>{icons.left}</Button>}
              <span>{ref.subfolder ? `${ref.subfolder}/` : ""}{ref.filename}</span>
              {images.length > 1 && <span className="faint">{at + 1} of {images.length}</span>}
              {images.length > 1 && <Button className="icon" aria-label="Next" onPress={() => move(1)}>{icons.right}</Button>}
              <a className="button quiet" href={viewUrl(ref)} download={ref.filename}>Download</a>
              <Button className="icon" aria-label="Close" autoFocus onPress={() => app.setDialog(null)}>{icons.close}</Button>
            </div>
          </div>
        </AriaDialog>
      </Modal>
    </ModalOverlay>
  );
}

