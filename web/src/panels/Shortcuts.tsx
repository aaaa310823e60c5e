/** Every key there is, and the place to change them. */

import { type KeyboardEvent, type ReactNode, useState } from "react";
import { type Command, allCommands } from "../app/commands";
import { bind, keyOf, keysOf } from "../app/keys";
import { score } from "../editor/search";
import { t } from "../words/words";
import { Sheet } from "./Sheet";
import { icons } from "./icons";
import { useApp } from "./use-app";

const GROUPS = ["Run", "Edit", "Node", "View", "File"] as const;
const MODIFIERS = new Set(["Control", "Shift", "Alt", "Meta", "AltGraph", "Dead"]);

export function Shortcuts(): ReactNode {
  const app = useApp();
  const [words, setWords] = useState("");
  const [waiting, setWaiting] = useState<string | null>(null);
  const shown = allCommands(app).filter((one) => (words === "" ? keysOf(app, one).length > 0 && !one.id.startsWith("bookmark-") : score(words, t(one.name)) > 0 || keysOf(app, one).includes(words)));
  const byHand: readonly (readonly [string, string])[] = [
    [t("Pan"), t("drag, middle button, Space")], [t("Zoom"), t("wheel, pinch")], [t("Select a region"), t("Ctrl or Shift + drag")], [t("Select with a lasso"), t("Alt + drag on empty space")],
    [t("Cut links"), t("right drag")], [t("Copy while moving"), t("Alt + drag")], [t("Move without snapping"), t("Ctrl while dragging")], [t("Point on a link"), t("double-click")], [t("Next node that way"), t("Alt + arrows")],
    [t("Edit the chosen node"), "Enter"], [t("Finer scrubbing"), t("Shift + drag")], [t("Weight of words"), "Ctrl + ↑ ↓"], [t("Go to a bookmark"), "1 … 9"], [t("Set a bookmark"), "Shift + 1 … 9"],
  ];
  const taken = (one: Command, event: KeyboardEvent): void => {
    if (waiting !== one.id || MODIFIERS.has(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    setWaiting(null);
    if (event.key === "Escape") return;
    const loser = bind(app, one, event.key === "Backspace" || event.key === "Delete" ? "" : keyOf(event.nativeEvent));
    if (loser) app.notify({ tone: "info", text: t("“{command}” no longer has this key.", { command: t(loser.name) }) });
  };
  return (
    <Sheet title={t("Keyboard shortcuts")} wide>
      <div className="shortcut-tools">
        <input className="line-input" aria-label={t("Filter")} placeholder={t("Filter by name or key")} value={words} onChange={(event) => setWords(event.target.value)} />
        {Object.keys(app.settings.keys).length > 0 && <button type="button" className="button quiet" onClick={() => app.set({ keys: {} })}>{t("All as they were")}</button>}
      </div>
      <p className="faint">{t("Press a key's button, then the new key. Delete takes the key away, Escape leaves it.")}</p>
      <div className="shortcuts">
        {GROUPS.map((group) => {
          const list = shown.filter((one) => one.group === group);
          return list.length > 0 && (
            <section key={group}>
              <h3>{t(group)}</h3>
              <ul>
                {list.map((one) => (
                  <li key={one.id}>
                    <span>{t(one.name)}</span>
                    <span className="keys">
                      {app.settings.keys[one.id] !== undefined && <button type="button" className="icon small" title={t("As it was")} aria-label={t("{command}: as it was", { command: t(one.name) })} onClick={() => bind(app, one, null)}>{icons.back}</button>}
                      <button type="button" className={`key${waiting === one.id ? " waiting" : ""}`} aria-label={t("{command}: {keys}. Change", { command: t(one.name), keys: keysOf(app, one).join(" ") || "—" })} onClick={() => setWaiting(waiting === one.id ? null : one.id)} onKeyDown={(event) => taken(one, event)} onBlur={() => setWaiting((now) => (now === one.id ? null : now))}>
                        {waiting === one.id ? t("press a key") : keysOf(app, one).length === 0 ? "—" : keysOf(app, one).flatMap((key, i) => [i > 0 ? " " : "", <kbd key={key}>{key}</kbd>])}
                      </button>
                    </span>
                  </li>
                ))}
              </ul>
            </section>
          );
        })}
        {words === "" && (
          <section>
            <h3>{t("By hand")}</h3>
            <ul>{byHand.map(([what, how]) => <li key={what}><span>{what}</span><span>{how}</span></li>)}</ul>
          </section>
        )}
      </div>
    </Sheet>
  );
}
