/** The open workflow beside another state of itself: what was added, changed, taken away. */

import { type Difference, differences } from "../graph/diff";
import type { Document, GraphNode, GraphRef, NodeId } from "../graph/document";
import type { Editor } from "../editor/editor";

export class Comparison {
  private known: { readonly document: Document; readonly list: readonly Difference[] } | null = null;

  constructor(
    readonly editor: Editor,
    /** What the other one is called. */
    readonly name: string,
    readonly before: Document,
  ) {}

  /** Follows the document as it changes; computed once for each state of it. */
  get list(): readonly Difference[] {
    const { document } = this.editor;
    if (this.known?.document !== document && !this.editor.isLive) this.known = { document, list: differences(this.before, document) };
    return this.known?.list ?? [];
  }

  /** Which nodes of a graph are new or changed. */
  marks(ref: GraphRef): ReadonlyMap<NodeId, Difference["kind"]> {
    return new Map(this.list.filter((one) => one.ref === ref && one.kind !== "removed").map((one) => [one.node, one.kind]));
  }

  /** The nodes that are gone, where they were. */
  ghosts(ref: GraphRef): readonly GraphNode[] {
    return this.list.filter((one) => one.ref === ref && one.kind === "removed").map(({ shown }) => shown);
  }
}
