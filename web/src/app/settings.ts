/** Settings, stored on the server as one value and remembered in the browser so that the first paint is right. */

import { http } from "../client/http";
import { type Json, isObject } from "../graph/json";
import type { LinkStyle } from "../editor/geometry";

export interface Settings {
  readonly theme: "dark" | "light" | "system";
  readonly linkStyle: LinkStyle;
  /** Off: only links of chosen nodes are drawn. */
  readonly links: boolean;
  readonly snap: boolean;
  /** Catch on the edges of other nodes while moving. */
  readonly guides: boolean;
  readonly grid: boolean;
  readonly minimap: boolean;
  /** What a plain wheel does; "auto" tells a trackpad from a wheel. */
  readonly wheel: "auto" | "zoom" | "pan";
  readonly seedControl: "after" | "before";
  readonly language: "system" | "en" | "de";
  /** How previews are made while sampling; "default" leaves it to the server. */
  readonly previews: "default" | "latent2rgb" | "taesd" | "none";
  /** Sizes of files and memory: GiB or GB. */
  readonly units: "binary" | "decimal";
  /** The tour was seen or sent away. */
  readonly toured: boolean;
  /** Command id → key, where the user changed it. */
  readonly keys: Readonly<Record<string, string>>;
  /** How often each node type was added. */
  readonly uses: Readonly<Record<string, number>>;
}

export const defaults: Settings = { theme: "dark", linkStyle: "curve", links: true, snap: true, guides: true, grid: true, minimap: true, wheel: "auto", seedControl: "after", language: "system", previews: "default", units: "binary", toured: false, keys: {}, uses: {} };

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
