import type { ReactNode } from "react";
import { icons } from "./icons";
import { useApp } from "./use-app";
import { t } from "../words/words";

/** What went wrong or was refused, in words, with the one thing that helps. */
export function Toasts(): ReactNode {
  const app = useApp();
  return (
    <div className="toasts" role="region" aria-label={t("Messages")} aria-live="polite">
      {app.toasts.map((toast) => (
        <div key={toast.id} className={`toast ${toast.tone}`}>
          <span>{toast.text}</span>
          {toast.action && (
            <button type="button" className="button quiet" onClick={() => { app.dismiss(toast.id); toast.action?.run(); }}>{toast.action.label}</button>
          )}
          <button type="button" className="icon small" aria-label={t("Dismiss")} onClick={() => app.dismiss(toast.id)}>{icons.close}</button>
        </div>
      ))}
    </div>
  );
}
