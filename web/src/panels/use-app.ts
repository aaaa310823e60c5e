import { createContext, useContext, useSyncExternalStore } from "react";
import type { App } from "../app/app";
import type { Context } from "../app/commands";

/** What every panel reads and every button runs. */
export const AppContext = createContext<Context | null>(null);

export function useContextOf(): Context {
  const context = useContext(AppContext);
  if (!context) throw new Error("Panels stand inside <AppContext>.");
  return context;
}

/** The app, read again after every change of it. */
export function useApp(): App {
  const { app } = useContextOf();
  useSyncExternalStore(app.subscribe, app.snapshot);
  return app;
}
