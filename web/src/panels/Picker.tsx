/** A search field over a list, the one way to choose from many: nodes, commands, options, files. */

import { type CSSProperties, type ReactNode, useId, useLayoutEffect, useRef, useState } from "react";
import { Dialog, Modal, ModalOverlay } from "react-aria-components";
import type { Rect } from "../graph/document";
import { t } from "../words/words";

export interface Choice {
  readonly id: string;
  readonly label: string;
  readonly detail?: ReactNode;
  readonly disabled?: boolean;
  /** A small picture in front. */
  readonly picture?: string;
}

interface Props {
  readonly title: string;
  readonly placeholder: string;
  readonly find: (words: string) => readonly Choice[];
  readonly choose: (id: string, words: string) => void;
  readonly close: () => void;
  /** Chosen to begin with. */
  readonly current?: string;
  /** Opens below this rectangle of the page; in the middle without. */
  readonly anchor?: Rect;
  readonly preview?: (id: string) => ReactNode;
  /** Between the field and the list. */
  readonly header?: ReactNode;
  readonly footer?: ReactNode;
  readonly empty?: string;
}

export function place(anchor: Rect | undefined, width: number, height: number): CSSProperties {
  if (!anchor) return { left: `calc(50% - ${width / 2}px)`, top: "max(48px, 12vh)", width };
  const [x, y, w, h] = anchor;
  const left = Math.max(8, Math.min(x, innerWidth - Math.max(width, w) - 8));
  const below = innerHeight - y - h;
  return { left, width: Math.max(width, Math.min(w, 480)), ...(below > height || below > y ? { top: Math.min(y + h + 4, innerHeight - 120) } : { bottom: innerHeight - y + 4 }) };
}

export function Picker({ title, placeholder, find, choose, close, current, anchor, preview, header, footer, empty }: Props): ReactNode {
  const [words, setWords] = useState("");
  const choices = find(words);
  const [active, setActive] = useState<string | null>(current ?? null);
  const at = Math.max(0, choices.findIndex((choice) => choice.id === active));
  const chosen = choices[at];
  const list = useRef<HTMLUListElement>(null);
  const id = useId();
  useLayoutEffect(() => {
    list.current?.children[at]?.scrollIntoView({ block: "nearest" });
  }, [at, words]);
  const pick = (choice: Choice | undefined): void => {
    if (!choice || choice.disabled) return;
    close();
    choose(choice.id, words);
  };
  const move = (by: number): void => setActive(choices[Math.max(0, Math.min(choices.length - 1, at + by))]?.id ?? null);
  return (
    <ModalOverlay isOpen isDismissable onOpenChange={(open) => !open && close()} className={anchor ? "veil clear" : "veil"}>
      <Modal className="float picker" style={place(anchor, preview ? 640 : anchor ? 224 : 480, 320)}>
        <Dialog aria-label={title} className="picker-body">
          <input
            autoFocus
            className="picker-input"
            role="combobox"
            aria-expanded="true"
            aria-controls={id}
            aria-activedescendant={chosen ? `${id}-${at}` : undefined}
            aria-label={title}
            placeholder={placeholder}
            value={words}
            spellCheck={false}
            onChange={(event) => {
              setWords(event.target.value);
              setActive(null);
            }}
            onKeyDown={(event) => {
              const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
              if (step !== undefined) {
                event.preventDefault();
                move(step);
              } else if (event.key === "Enter" || event.key === "Tab") {
                event.preventDefault();
                pick(chosen);
              }
            }}
          />
          {header}
          <div className="picker-main">
            <ul ref={list} id={id} role="listbox" aria-label={title} className="picker-list">
              {choices.map((choice, i) => (
                <li
                  key={choice.id}
                  id={`${id}-${i}`}
                  role="option"
                  aria-selected={i === at}
                  aria-disabled={choice.disabled}
                  className={`option${i === at ? " at" : ""}${choice.disabled ? " off" : ""}`}
                  onPointerMove={() => active !== choice.id && setActive(choice.id)}
                  onClick={() => pick(choice)}
                >
                  {choice.picture !== undefined && <img className="option-picture" loading="lazy" alt="" src={choice.picture} />}
                  <span className="option-label">{choice.label}</span>
                  {choice.detail !== undefined && <span className="option-detail">{choice.detail}</span>}
                </li>
              ))}
              {choices.length === 0 && <li role="option" aria-selected="false" aria-disabled="true" className="nothing">{empty ?? t("Nothing found.")}</li>}
            </ul>
            {preview && chosen && <div className="picker-preview">{preview(chosen.id)}</div>}
          </div>
          {footer && <div className="picker-footer">{footer}</div>}
        </Dialog>
      </Modal>
    </ModalOverlay>
  );
}
