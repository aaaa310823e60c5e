/**
 * Widgets that a subgraph instance shows of its inside without a link: `properties.proxyWidgets`, a list of
 * [inner node, widget]. Their values live in the inner node, so all instances of one subgraph share them.
 */

import { type Catalogue, type WidgetEntry, widgetEntries } from "./definitions";
import { type Document, type GraphNode, type NodeId, SUBGRAPH_IN, graphAt, linkInto, withGraph } from "./document";
import { changeNodes } from "./edit";
import { definitionOf } from "./instances";
import { type Json, isArray, isObject, parseJson } from "./json";

export interface Proxy {
  readonly node: NodeId;
  readonly widget: string;
}

const PREFIX = "proxy:";
export const isProxy = (key: string): boolean => key.startsWith(PREFIX);
const keyOf = ({ node, widget }: Proxy): string => `${PREFIX}${node}:${widget}`;

function fromKey(key: string): Proxy {
  const rest = key.slice(PREFIX.length);
  const colon = rest.indexOf(":");
  return { node: rest.slice(0, colon), widget: rest.slice(colon + 1) };
}

/** What the instance lists. Its own inputs ("-1") and previews ("$$…") are no proxies. */
export function readProxies(instance: GraphNode): readonly Proxy[] {
  let stored: Json | undefined = instance.properties["proxyWidgets"];
  try {
    if (typeof stored === "string") stored = parseJson(stored);
  } catch {
    return [];
  }
  if (!isArray(stored)) return [];
  return stored.flatMap((pair) => {
    if (!isArray(pair)) return [];
    const [node, widget] = pair.map((part) => String(part));
    return node !== undefined && widget !== undefined && node !== "-1" && !widget.startsWith("$$") ? [{ node, widget }] : [];
  });
}

/** The inner node whose pictures an instance shows: listed as `$$…` among its widgets, or in `previewExposures`. */
export function shownPreview(instance: GraphNode): NodeId | null {
  const { proxyWidgets, previewExposures } = instance.properties;
  for (const pair of isArray(proxyWidgets) ? proxyWidgets : []) if (isArray(pair) && String(pair[1]).startsWith("$$")) return String(pair[0]);
  for (const one of isArray(previewExposures) ? previewExposures : []) if (isObject(one) && one["sourceNodeId"] !== undefined) return String(one["sourceNodeId"]);
  return null;
}

export function withProxies(instance: GraphNode, proxies: readonly Proxy[]): GraphNode {
  // What is listed but is no proxy keeps its place at the front.
  const stored = instance.properties["proxyWidgets"];
  const others = (isArray(stored) ? stored : []).filter((pair) => isArray(pair) && (String(pair[0]) === "-1" || String(pair[1]).startsWith("$$")));
  return { ...instance, properties: { ...instance.properties, proxyWidgets: [...others, ...proxies.map(({ node, widget }) => [node, widget])] } };
}

interface Found {
  readonly inner: GraphNode;
  readonly entry: WidgetEntry;
}

function find(document: Document, catalogue: Catalogue, instance: GraphNode, { node, widget }: Proxy): Found | null {
  const inner = document.subgraphs.get(instance.type)?.graph.nodes.get(node);
  const definition = inner && definitionOf(document, catalogue, inner.type);
  if (!inner || !definition || inner.type === instance.type) return null;
  const own = widgetEntries(definition).find((one) => one.key === widget || one.name === widget);
  const entry = own ?? proxyEntries(document, catalogue, inner).find((one) => one.name === widget);
  return entry ? { inner, entry } : null;
}

/** The widgets an instance shows of its inside, as entries with keys of their own. */
export function proxyEntries(document: Document, catalogue: Catalogue, instance: GraphNode): readonly WidgetEntry[] {
  if (!document.subgraphs.has(instance.type) || instance.properties["proxyWidgets"] === undefined) return [];
  return readProxies(instance).flatMap((proxy) => {
    const found = find(document, catalogue, instance, proxy);
    return found && !isLed(document, instance, proxy) ? [{ ...found.entry, key: keyOf(proxy), name: found.entry.name }] : [];
  });
}

/** Whether the subgraph's own input leads to this widget: then the instance shows it already. */
function isLed(document: Document, instance: GraphNode, { node, widget }: Proxy): boolean {
  const graph = document.subgraphs.get(instance.type)?.graph;
  const slot = graph?.nodes.get(node)?.inputs.findIndex((input) => input.name === widget) ?? -1;
  return graph !== undefined && slot >= 0 && linkInto(graph, node, slot)?.from === SUBGRAPH_IN;
}

export function proxyValue(document: Document, catalogue: Catalogue, instance: GraphNode, key: string): Json | undefined {
  const found = find(document, catalogue, instance, fromKey(key));
  if (!found) return undefined;
  return isProxy(found.entry.key) ? proxyValue(document, catalogue, found.inner, found.entry.key) : found.inner.values?.[found.entry.key];
}

/** Sets the value where it lives: in the node inside, for all instances. */
export function setProxyValue(document: Document, catalogue: Catalogue, instance: GraphNode, key: string, value: Json): Document {
  const found = find(document, catalogue, instance, fromKey(key));
  if (!found) return document;
  if (isProxy(found.entry.key)) return setProxyValue(document, catalogue, found.inner, found.entry.key, value);
  const graph = graphAt(document, instance.type);
  return withGraph(document, instance.type, changeNodes(graph, [found.inner.id], (node) => ({ ...node, values: { ...node.values, [found.entry.key]: value } })));
}

/** Every widget inside that could be shown, with its node. */
export function possibleProxies(document: Document, catalogue: Catalogue, instance: GraphNode): readonly (Proxy & { readonly title: string; readonly label: string })[] {
  const inside = document.subgraphs.get(instance.type)?.graph.nodes.values() ?? [];
  return [...inside].flatMap((inner) => {
    const definition = definitionOf(document, catalogue, inner.type);
    if (!definition || inner.type === instance.type) return [];
    return widgetEntries(definition).flatMap((entry) => {
      const proxy = { node: inner.id, widget: entry.key };
      const shown = entry.role === "value" || entry.role === "control";
      return shown && !isLed(document, instance, proxy) ? [{ ...proxy, title: inner.title ?? definition.title, label: entry.input?.label ?? entry.name }] : [];
    });
  });
}
