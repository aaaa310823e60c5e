/** Blocks: some nodes kept under a name, to be put into any workflow. The user's own, and the blueprints of packs. */

import { HttpError, http } from "../client/http";
import { copyNodes, paste } from "../editor/clipboard";
import { type NodeId, type Point, withGraph } from "../graph/document";
import { formatJson, isObject, parseJson, text } from "../graph/json";
import { t } from "../words/words";
import type { App } from "./app";

export interface Block {
  /** "own/NAME" for the user's, "shared/ID" for those of packs. */
  readonly id: string;
  readonly name: string;
  readonly pack: string | null;
}

export async function listBlocks(): Promise<readonly Block[]> {
  const [own, shared] = await Promise.all([http.userdata("blocks"), http.blueprints()]);
  return [
    ...own.filter((path) => path.endsWith(".json")).map((path): Block => ({ id: `own/${path}`, name: path.replace(/\.json$/, ""), pack: null })),
    ...shared.map(({ id, name, pack }): Block => ({ id: `shared/${id}`, name, pack })),
  ];
}

/** Keeps the selection under a name; the same name again replaces it. */
export async function saveBlock(app: App, name: string): Promise<void> {
  const editor = app.active;
  const clip = copyNodes(editor.document, editor.graph, editor.selection.nodes, editor.selection.groups, app.catalogue);
  try {
    await http.writeUserdata(`blocks/${name}.json`, formatJson(clip), true);
    app.blocks = await listBlocks();
    app.notify({ tone: "info", text: t("Kept {name}. The palette (Tab) offers it.", { name }) });
  } catch (error) {
    app.fail(error);
  }
}

/** Puts a block on the canvas, its top left corner here. */
export async function placeBlock(app: App, id: string, at: Point): Promise<void> {
  const editor = app.active;
  try {
    const slash = id.indexOf("/");
    const found = id.startsWith("own/") ? await http.readUserdata(`blocks/${id.slice(slash + 1)}`) : parseJson(text((await http.blueprint(id.slice(slash + 1)))["data"]) ?? "null");
    if (!isObject(found)) throw new HttpError(0, found, t("This block cannot be read."));
    let ids: ReadonlySet<NodeId> = new Set();
    editor.editDocument("Add block", (document) => {
      const pasted = paste(document, editor.graph, found, at, false, app.catalogue);
      ids = pasted.ids;
      return withGraph({ ...document, subgraphs: pasted.subgraphs }, editor.ref, pasted.graph);
    });
    editor.select({ nodes: ids });
  } catch (error) {
    app.fail(error);
  }
}
