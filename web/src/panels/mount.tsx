import { StrictMode, Suspense, lazy } from "react";
import { createRoot } from "react-dom/client";
import type { Context } from "../app/commands";
import { Bar, Corner } from "./Bar";
import { Dialogs } from "./Dialogs";
import { Form } from "./Form";
import { Queue } from "./Queue";
import { Toasts } from "./Toasts";
import { AppContext, useApp } from "./use-app";

const Tour = lazy(async () => ({ default: (await import("./later")).Tour }));

function Panels(): React.ReactNode {
  const app = useApp();
  return <>{app.form ? <Form /> : <Corner />}<Dialogs /><Toasts />{app.ready && app.restored && !app.settings.toured && !app.form && <Suspense fallback={null}><Tour /></Suspense>}</>;
}

export function mountPanels(context: Context): void {
  const into = (id: string, children: React.ReactNode): void => {
    const element = document.getElementById(id);
    if (element) createRoot(element).render(<StrictMode><AppContext value={context}>{children}</AppContext></StrictMode>);
  };
  into("bar", <Bar />);
  into("side", <Queue />);
  into("panels", <Panels />);
}
