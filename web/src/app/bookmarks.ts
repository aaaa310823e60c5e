/** Nine places of a workflow to come back to. They travel in the file, as `extra.heddle.bookmarks`. */

import type { Editor } from "../editor/editor";
import { toGraph } from "../editor/viewport";
import type { Document, NodeId, Point } from "../graph/document";
import { type Json, type JsonObject, isArray, isObject, number } from "../graph/json";
import type { Surface } from "./commands";

export interface Bookmark {
  /** The subgraph instances entered. */
  readonly path: readonly NodeId[];
  /** What was in the middle of the screen. */
  readonly middle: Point;
  readonly scale: number;
}

const part = (value: Json | undefined, key: string): JsonObject => (isObject(value) && isObject(value[key]) ? value[key] : {});

export function readBookmark(document: Document, place: number): Bookmark | null {
  const found = part(part(part(document.file, "extra"), "heddle"), "bookmarks")[String(place)];
  if (!isObject(found) || !isArray(found["middle"])) return null;
  const [x, y] = found["middle"].map(number);
  const scale = number(found["scale"]);
  if (typeof x !== "number" || typeof y !== "number" || scale === null || scale <= 0) return null;
  return { path: isArray(found["path"]) ? found["path"].map(String) : [], middle: [x, y], scale };
}

export function withBookmark(document: Document, place: number, bookmark: Bookmark): Document {
  const extra = part(document.file, "extra");
  const heddle = part(extra, "heddle");
  const bookmarks = { ...part(heddle, "bookmarks"), [String(place)]: { path: bookmark.path, middle: bookmark.middle, scale: bookmark.scale } };
  return { ...document, file: { ...document.file, extra: { ...extra, heddle: { ...heddle, bookmarks } } } };
}

export function setBookmark(editor: Editor, surface: Surface, place: number): void {
  const { viewport, path } = editor;
  const [x, y] = toGraph(viewport, [surface.width / 2, surface.height / 2]);
  editor.editDocument("Set bookmark", (document) => withBookmark(document, place, { path, middle: [Math.round(x), Math.round(y)], scale: Number(viewport.scale.toFixed(3)) }));
}

/** False when there is no such bookmark. */
export function goToBookmark(editor: Editor, surface: Surface, place: number): boolean {
  const found = readBookmark(editor.document, place);
  if (!found) return false;
  if (found.path.join(":") !== editor.path.join(":")) editor.goTo(found.path);
  editor.unseen = false;
  surface.look({ scale: found.scale, offset: [surface.width / 2 / found.scale - found.middle[0], surface.height / 2 / found.scale - found.middle[1]] });
  return true;
}
