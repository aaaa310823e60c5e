/** Four things to know, shown once beside what they are about. Nothing has to be done to go on working. */

import { type CSSProperties, type ReactNode, useState } from "react";
import { t } from "../words/words";
import { useApp } from "./use-app";

interface Step {
  readonly title: string;
  readonly text: string;
  /** What the card points at. */
  readonly at: string;
}

const steps = (): readonly Step[] => [
  { title: t("This is a workflow"), text: t("Each node does one thing; links carry its result to the right. Drag empty space to move about, turn the wheel to come closer."), at: "#canvas" },
  { title: t("Run it"), text: t("Queue runs the workflow and shows the pictures on the nodes. Change something and queue again: only what depends on it runs anew."), at: ".button.run" },
  { title: t("Build on"), text: t("Tab adds a node. Drag from a socket into empty space to see what fits there. Ctrl+K finds everything else, and Ctrl+Z takes anything back."), at: ".brand" },
  { title: t("Begin with something"), text: t("Here are templates and your saved workflows. A picture that was made with a workflow opens it when you drop it on the canvas."), at: ".bar .open" },
];

/** Below the thing, or in the lower middle for something as large as the page. */
function placeBy(selector: string): CSSProperties {
  const box = document.querySelector(selector)?.getBoundingClientRect();
  const width = Math.min(320, innerWidth - 16);
  if (!box || box.height > innerHeight / 2) return { left: `calc(50% - ${width / 2}px)`, bottom: 96, width };
  return { left: Math.max(8, Math.min(box.left + box.width / 2 - width / 2, innerWidth - width - 8)), top: box.bottom + 10, width };
}

export function Tour(): ReactNode {
  const app = useApp();
  const [at, setAt] = useState(0);
  const list = steps();
  const step = list[at];
  if (!step) return null;
  const leave = (): void => app.set({ toured: true });
  const last = at === list.length - 1;
  return (
    <section className="tour" role="dialog" aria-label={t("Tour")} style={placeBy(step.at)} onKeyDown={(event) => event.key === "Escape" && leave()}>
      <h2>{step.title}</h2>
      <p>{step.text}</p>
      <div className="tour-line">
        <span className="faint">{t("{place} of {count}", { place: at + 1, count: list.length })}</span>
        <span className="grow" />
        {!last && <button type="button" className="button quiet" onClick={leave}>{t("Leave the tour")}</button>}
        <button type="button" className="button run" onClick={() => (last ? leave() : setAt(at + 1))}>{last ? t("Begin") : t("Next")}</button>
      </div>
    </section>
  );
}
