/** Settings, stored on the server as one value and remembered in the browser so that the first paint is right. */

import { http } from "../client/http";
import { type Json, isObject } from "../graph/json";
import type { LinkStyle } from "../view/draw-link";

export interface Settings {
  readonly theme: "dark" | "light" | "system";
  readonly linkStyle: LinkStyle;
  readonly snap: boolean;
  readonly grid: boolean;
  readonly minimap: boolean;
  /** What a plain wheel does; "auto" tells a trackpad from a wheel. */
  readonly wheel: "auto" | "zoom" | "pan";
  readonly seedControl: "after" | "before";
  /** Command id → key, where the user changed it. */
  readonly keys: Readonly<Record<string, string>>;
  /** How often each node type was added. */
  readonly uses: Readonly<Record<string, number>>;
}

export const defaults: Settings = { theme: "dark", linkStyle: "curve", snap: true, grid: true, minimap: true, wheel: "auto", seedControl: "after", keys: {}, uses: {} };

const ID = "Heddle.Editor";

function merge(value: Json): Settings {
  if (!isObject(value)) return defaults;
  const known: Record<string, unknown> = {};
  for (const [key, initial] of Object.entries(defaults)) if (typeof value[key] === typeof initial) known[key] = value[key];
  return { ...defaults, ...known };
}

export function remembered(): Settings {
  try {
    return merge(JSON.parse(localStorage.getItem(ID) ?? "null") as Json);
  } catch {
    return defaults;
  }
}

export async function loadSettings(): Promise<Settings> {
  try {
    const all = await http.settings();
    return isObject(all) && all[ID] !== undefined ? merge(all[ID]) : remembered();
  } catch {
    return remembered();
  }
}

export function saveSettings(settings: Settings): void {
  try {
    localStorage.setItem(ID, JSON.stringify(settings));
  } catch {
    // A full or forbidden store only costs the next first paint.
  }
  http.saveSetting(ID, settings as unknown as Json).catch(() => undefined);
}
