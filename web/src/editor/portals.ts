/** Portals: links that are not drawn but named, with a tag at each end. Files keep them as `extra.linkPresentation`. */

import { type Graph, type Link, type LinkId, type Point, type Rect, wiring } from "../graph/document";

/** Where the tag of a portal lies, given where its link's end would be. The text's width is estimated, drawing cuts to it. */
export function tagRect(name: string, side: "output" | "input", [x, y]: Point): Rect {
  const width = Math.min(180, 18 + name.length * 6.8);
  return side === "output" ? [x + 10, y - 9, width, 18] : [x - 10 - width, y - 9, width, 18];
}

/** The portal links that leave the same output under the same name: one thing to the eye, renamed and shown together. */
export function together(graph: Graph, link: Link): readonly Link[] {
  return (wiring(graph).outOf.get(link.from) ?? []).filter((other) => other.fromSlot === link.fromSlot && other.portal === link.portal);
}

/** Gives links a portal's name, or with null draws them again. */
export function setPortal(graph: Graph, ids: Iterable<LinkId>, name: string | null): Graph {
  const links = new Map(graph.links);
  for (const id of ids) {
    const link = links.get(id);
    if (!link) continue;
    const { portal: _portal, ...plain } = link;
    links.set(id, name === null ? plain : { ...plain, portal: name });
  }
  return { ...graph, links };
}

/** A name for a new portal: the output's, made unique among the portals there are. */
export function portalName(graph: Graph, link: Link): string {
  const source = graph.nodes.get(link.from)?.outputs[link.fromSlot];
  const base = source?.label ?? (source?.name || link.type);
  const taken = new Set([...graph.links.values()].flatMap((other) => (other.portal !== undefined && (other.from !== link.from || other.fromSlot !== link.fromSlot) ? [other.portal] : [])));
  let name = base;
  for (let i = 2; taken.has(name); i++) name = `${base} ${i}`;
  return name;
}

