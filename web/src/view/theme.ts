/** Colours, in one place for the canvas and (as CSS variables) for the panels. */

import { members } from "../graph/types";

export interface Theme {
  readonly name: "dark" | "light";
  readonly canvas: string;
  readonly grid: string;
  readonly node: string;
  readonly head: string;
  readonly border: string;
  readonly field: string;
  readonly fieldHover: string;
  readonly fill: string;
  readonly text: string;
  readonly muted: string;
  readonly faint: string;
  readonly accent: string;
  readonly onAccent: string;
  readonly danger: string;
  readonly good: string;
  readonly warn: string;
  readonly bypass: string;
  readonly panel: string;
  readonly raised: string;
  readonly shadow: string;
}

export const dark: Theme = {
  name: "dark",
  canvas: "#14161a",
  grid: "#2a2e36",
  node: "#1f2228",
  head: "#282c34",
  border: "#363b45",
  field: "#16181d",
  fieldHover: "#1b1e24",
  fill: "#2a3350",
  text: "#e8eaee",
  muted: "#a0a7b4",
  faint: "#6d7482",
  accent: "#7b96ff",
  onAccent: "#0d1226",
  danger: "#ff7a7a",
  good: "#62c898",
  warn: "#e8b65a",
  bypass: "#b08cf0",
  panel: "#1a1c21",
  raised: "#24272e",
  shadow: "rgba(0,0,0,.45)",
};

export const light: Theme = {
  name: "light",
  canvas: "#eef0f3",
  grid: "#d6dae1",
  node: "#ffffff",
  head: "#f3f5f8",
  border: "#c9ced8",
  field: "#f1f3f6",
  fieldHover: "#e8ebf0",
  fill: "#d7dffc",
  text: "#1c2028",
  muted: "#565e6c",
  faint: "#757c8a",
  accent: "#3f5fe0",
  onAccent: "#ffffff",
  danger: "#c62f37",
  good: "#1f7d50",
  warn: "#a06a00",
  bypass: "#7a4fd0",
  panel: "#fafbfc",
  raised: "#ffffff",
  shadow: "rgba(20,25,40,.18)",
};

export const themes = { dark, light } as const;

export function applyTheme(theme: Theme, root: HTMLElement): void {
  for (const [key, value] of Object.entries(theme)) root.style.setProperty(`--${key.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`, value);
  root.style.colorScheme = theme.name;
}

/** A type is told by colour and by shape, so that nobody needs to see the colour. */
export type Shape = "circle" | "square" | "diamond" | "triangle" | "hexagon" | "bar";
export interface TypeStyle {
  readonly color: string;
  readonly shape: Shape;
}

const NAMED: Readonly<Record<string, readonly [dark: string, light: string, shape: Shape]>> = {
  MODEL: ["#b7a6ff", "#6b50d8", "diamond"],
  CLIP: ["#ffd479", "#9a6b00", "triangle"],
  VAE: ["#ff8f8f", "#c23b3b", "hexagon"],
  CONDITIONING: ["#ffb46b", "#b35a00", "bar"],
  LATENT: ["#ff8fd0", "#b8388a", "square"],
  IMAGE: ["#7cc4ff", "#1a6fc0", "circle"],
  MASK: ["#8fe0a0", "#1f8040", "hexagon"],
  INT: ["#7ddccf", "#0d7d70", "square"],
  FLOAT: ["#a8e6df", "#2c7f77", "circle"],
  STRING: ["#d5dbe6", "#4d5768", "bar"],
  BOOLEAN: ["#e3c6a4", "#8a5a1d", "diamond"],
  COMBO: ["#c3c9d6", "#5a6374", "square"],
  SIGMAS: ["#cfe77a", "#607d00", "triangle"],
  NOISE: ["#b0b8c8", "#596273", "hexagon"],
  SAMPLER: ["#ecb4ee", "#92429a", "triangle"],
  GUIDER: ["#9fd6b5", "#2c7a50", "diamond"],
  CONTROL_NET: ["#84d7a7", "#1d7c4a", "triangle"],
};
const SHAPES: readonly Shape[] = ["circle", "square", "diamond", "triangle", "hexagon", "bar"];
const styles = new Map<string, TypeStyle>();

export function typeStyle(theme: Theme, type: string): TypeStyle {
  const key = `${theme.name} ${type}`;
  const known = styles.get(key);
  if (known) return known;
  const list = members(type);
  const name = list === "any" ? "" : (list[0] ?? "");
  const named = NAMED[name];
  let style: TypeStyle;
  if (named) style = { color: named[theme.name === "dark" ? 0 : 1], shape: named[2] };
  else if (list === "any") style = { color: theme.muted, shape: "circle" };
  else {
    let hash = 7;
    for (const char of name) hash = (hash * 31 + char.charCodeAt(0)) >>> 0;
    style = { color: theme.name === "dark" ? `hsl(${hash % 360} 62% 74%)` : `hsl(${hash % 360} 60% 36%)`, shape: SHAPES[hash % SHAPES.length] ?? "circle" };
  }
  styles.set(key, style);
  return style;
}
