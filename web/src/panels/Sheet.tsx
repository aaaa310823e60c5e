/** A page of its own over the canvas, and the smallest of them: one question. */

import { type ReactNode, useState } from "react";
import { Button, Dialog as AriaDialog, Modal, ModalOverlay } from "react-aria-components";
import { t } from "../words/words";
import { place } from "./Picker";
import { icons } from "./icons";
import { useApp } from "./use-app";

export function Sheet({ title, children, wide }: { readonly title: string; readonly children: ReactNode; readonly wide?: boolean | number }): ReactNode {
  const app = useApp();
  return (
    <ModalOverlay isOpen isDismissable onOpenChange={(open) => !open && app.setDialog(null)} className="veil">
      <Modal className="float sheet" style={place(undefined, typeof wide === "number" ? wide : wide ? 720 : 440, 400)}>
        <AriaDialog aria-label={title} className="sheet-body">
          <div className="sheet-head">
            <h2>{title}</h2>
            <Button className="icon" aria-label={t("Close")} onPress={() => app.setDialog(null)}>{icons.close}</Button>
          </div>
          {children}
        </AriaDialog>
      </Modal>
    </ModalOverlay>
  );
}

export function Ask({ title, label, initial, done }: { readonly title: string; readonly label: string; readonly initial: string; readonly done: (value: string) => void }): ReactNode {
  const app = useApp();
  const [value, setValue] = useState(initial);
  const finish = (): void => {
    const name = value.trim();
    if (name === "") return;
    app.setDialog(null);
    done(name);
  };
  return (
    <Sheet title={title}>
      <form onSubmit={(event) => { event.preventDefault(); finish(); }} className="ask">
        <label>{label}<input autoFocus value={value} onFocus={(event) => event.target.select()} onChange={(event) => setValue(event.target.value)} /></label>
        <button type="submit" className="button run">{title}</button>
      </form>
    </Sheet>
  );
}

