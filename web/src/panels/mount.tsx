import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import type { Context } from "../app/commands";
import { Bar, Corner } from "./Bar";
import { Dialogs } from "./Dialogs";
import { Queue } from "./Queue";
import { Toasts } from "./Toasts";
import { AppContext } from "./use-app";

export function mountPanels(context: Context): void {
  const into = (id: string, children: React.ReactNode): void => {
    const element = document.getElementById(id);
    if (element) createRoot(element).render(<StrictMode><AppContext value={context}>{children}</AppContext></StrictMode>);
  };
  into("bar", <Bar />);
  into("side", <Queue />);
  into("panels", <><Corner /><Dialogs /><Toasts /></>);
}
