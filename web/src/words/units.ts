/** Times and sizes in words. */

import { t } from "./words";

export function formatTime(ms: number): string {
  if (ms < 1000) return t("{count} ms", { count: Math.round(ms) });
  if (ms < 60_000) return t("{count} s", { count: (ms / 1000).toFixed(ms < 10_000 && ms % 1000 !== 0 ? 1 : 0) });
  return t("{minutes} min {seconds} s", { minutes: Math.floor(ms / 60_000), seconds: Math.round((ms % 60_000) / 1000) });
}

/** "4.2 GiB" or "4.5 GB", as the user wants to read it. */
export function formatBytes(bytes: number, units: "binary" | "decimal"): string {
  const base = units === "binary" ? 1024 : 1000;
  const names = units === "binary" ? ["B", "KiB", "MiB", "GiB", "TiB"] : ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let step = 0;
  while (value >= base && step < names.length - 1) {
    value /= base;
    step++;
  }
  return `${value.toFixed(step === 0 || value >= 100 ? 0 : 1)} ${names[step] ?? ""}`;
}
