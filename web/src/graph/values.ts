/** Widget values: from a file's list or named map to names, and back without touching what was not changed. */

import { type NodeDefinition, type WidgetEntry, widgetEntries } from "./definitions";
import type { Values } from "./document";
import { type Json, type JsonObject, isArray, isObject, sameJson } from "./json";

/**
 * How many leading entries of an old file's list do not count: editors before 1.16 also stored a dummy for every
 * number or text input that is forced to be a socket. The list's length gives it away.
 */
function positions(definition: NodeDefinition, stored: readonly Json[]): readonly (WidgetEntry | null)[] {
  const entries = widgetEntries(definition);
  const forced = definition.inputs.filter((input) => !input.widget && ["INT", "FLOAT", "STRING", "BOOLEAN"].includes(input.type));
  if (forced.length === 0 || stored.length !== entries.length + forced.length) return entries;
  const layout: (WidgetEntry | null)[] = [];
  let next = 0;
  for (const input of definition.inputs) {
    if (forced.includes(input)) layout.push(null);
    while (next < entries.length && (entries[next]?.input === input || (entries[next]?.input === null && layout.length > 0))) {
      layout.push(entries[next++] ?? null);
      if (entries[next]?.input !== null) break;
    }
  }
  return [...layout, ...entries.slice(next)];
}

/** The mode that old files write as true or false. */
function modern(entry: WidgetEntry, value: Json): Json {
  if (entry.role !== "control" || typeof value !== "boolean") return value;
  return value ? "randomize" : "fixed";
}

export function readValues(definition: NodeDefinition, file: JsonObject): Values {
  const values: Record<string, Json> = {};
  const entries = widgetEntries(definition);
  const stored = file["widgets_values"];
  const named = file["widgets_values_named"];
  if (!definition.instance) for (const entry of entries) values[entry.key] = entry.spec.initial;
  if (isArray(stored)) {
    positions(definition, stored).forEach((entry, i) => {
      const value = stored[i];
      // A hole in the middle of the list is a leftover of a widget that was not saved, unless null is a value here.
      if (!entry || value === undefined || (value === null && entry.spec.kind !== "combo" && entry.spec.kind !== "other")) return;
      values[entry.key] = modern(entry, value);
    });
  }
  const map = isObject(named) ? named : isObject(stored) ? stored : null;
  if (map) {
    const seen = new Set<string>();
    for (const entry of entries) {
      const value = map[entry.name];
      if (value === undefined || seen.has(entry.name)) continue;
      seen.add(entry.name);
      values[entry.key] = modern(entry, value);
    }
  }
  if (definition.type === "Note" && !isArray(stored) && isObject(file["properties"])) {
    values["text"] = file["properties"]["text"] ?? values["text"] ?? "";
  }
  return values;
}

/** The file's value keys for these values; what still means the same is returned as it was. */
export function writeValues(definition: NodeDefinition, values: Values, file: JsonObject): JsonObject {
  const entries = widgetEntries(definition);
  const stored = file["widgets_values"];
  const isNew = !("id" in file) && stored === undefined;
  if (!isNew && sameJson(readValues(definition, file), values)) {
    return { widgets_values: stored, widgets_values_named: file["widgets_values_named"] };
  }
  if (entries.length === 0) return { widgets_values: stored, widgets_values_named: file["widgets_values_named"] };
  const named: Record<string, Json> = isObject(file["widgets_values_named"]) ? { ...file["widgets_values_named"] } as Record<string, Json> : {};
  const value = (entry: WidgetEntry): Json => values[entry.key] ?? (definition.instance ? entry.spec.initial : null);
  for (const entry of [...entries].reverse()) named[entry.name] = value(entry);
  if (isObject(stored)) return { widgets_values: { ...stored, ...named }, widgets_values_named: file["widgets_values_named"] };
  const layout = positions(definition, isArray(stored) ? stored : []);
  const list = layout.map((entry, i) => (entry ? value(entry) : isArray(stored) ? (stored[i] ?? null) : null));
  const tail = isArray(stored) ? stored.slice(layout.length) : [];
  return { widgets_values: [...list, ...tail], widgets_values_named: named };
}
