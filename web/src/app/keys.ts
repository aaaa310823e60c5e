/** Keys of commands: how they are spelled, and which the user changed. */

import type { App } from "./app";
import { type Command, allCommands } from "./commands";

/** The key of an event as commands spell it. */
export function keyOf(event: { readonly key: string; readonly ctrlKey: boolean; readonly metaKey: boolean; readonly altKey: boolean; readonly shiftKey: boolean; readonly code: string }): string {
  const letter = /^Key([A-Z])$/.exec(event.code)?.[1];
  // The row of digits types other things with Shift, and on some layouts without.
  const digit = /^Digit(\d)$/.exec(event.code)?.[1];
  // Alt and some layouts change what a letter key types, but not which key it is.
  const name = digit && !event.ctrlKey && !event.metaKey ? digit : letter && (event.altKey || event.ctrlKey || event.metaKey || /^[a-z]$/i.test(event.key)) ? letter : event.key === " " ? "Space" : event.key.length === 1 ? event.key.toUpperCase() : event.key;
  const shift = event.shiftKey && (event.key.length > 1 || letter !== undefined || name === digit);
  return `${event.ctrlKey || event.metaKey ? "Ctrl+" : ""}${event.altKey ? "Alt+" : ""}${shift ? "Shift+" : ""}${name}`;
}

export function keysOf(app: App, one: Command): readonly string[] {
  const own = app.settings.keys[one.id];
  return own === undefined ? one.keys : own === "" ? [] : [own];
}

export function commandFor(app: App, key: string): Command | null {
  return allCommands(app).find((one) => keysOf(app, one).includes(key)) ?? null;
}

/** Gives a command this key (none with "", its own with null). The command that had it before loses it and is returned. */
export function bind(app: App, one: Command, key: string | null): Command | null {
  const loser = key === null || key === "" ? null : allCommands(app).find((other) => other !== one && keysOf(app, other).includes(key));
  const { [one.id]: _before, ...rest } = app.settings.keys;
  const left = loser ? keysOf(app, loser).filter((other) => other !== key) : [];
  app.set({ keys: { ...rest, ...(loser ? { [loser.id]: left[0] ?? "" } : {}), ...(key === null ? {} : { [one.id]: key }) } });
  return loser ?? null;
}
