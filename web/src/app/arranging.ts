/** Where nodes lie: aligned, spread evenly, laid out, framed. Acts on the selection. */

import type { Editor } from "../editor/editor";
import { bounds, inflate, union } from "../editor/geometry";
import type { NodeId, Point } from "../graph/document";
import { addGroup, changeNodes } from "../graph/edit";
import { arrange } from "../graph/layout";

export type Edge = "left" | "right" | "top" | "bottom" | "center" | "middle";

export function align(editor: Editor, edge: Edge): void {
  const boxes = editor.selectedNodes.map((node) => [node.id, bounds(node, editor.layout(node))] as const);
  const all = union(boxes.map(([, rect]) => rect));
  if (!all) return;
  const moves = new Map<NodeId, Point>();
  for (const [id, [x, y, w, h]] of boxes) {
    const dx = edge === "left" ? all[0] - x : edge === "right" ? all[0] + all[2] - x - w : edge === "center" ? all[0] + all[2] / 2 - x - w / 2 : 0;
    const dy = edge === "top" ? all[1] - y : edge === "bottom" ? all[1] + all[3] - y - h : edge === "middle" ? all[1] + all[3] / 2 - y - h / 2 : 0;
    moves.set(id, [dx, dy]);
  }
  editor.edit("Align", (graph) => changeNodes(graph, moves.keys(), (node) => ({ ...node, pos: [node.pos[0] + (moves.get(node.id)?.[0] ?? 0), node.pos[1] + (moves.get(node.id)?.[1] ?? 0)] })));
}

export function distribute(editor: Editor, axis: 0 | 1): void {
  const boxes = editor.selectedNodes.map((node) => ({ id: node.id, rect: bounds(node, editor.layout(node)) })).sort((a, b) => a.rect[axis] - b.rect[axis]);
  const [first, last] = [boxes[0], boxes.at(-1)];
  if (!first || !last || boxes.length < 3) return;
  const size = axis === 0 ? 2 : 3;
  const span = last.rect[axis] + last.rect[size] - first.rect[axis];
  const gap = (span - boxes.reduce((sum, { rect }) => sum + rect[size], 0)) / (boxes.length - 1);
  const moves = new Map<NodeId, number>();
  let at = first.rect[axis];
  for (const { id, rect } of boxes) {
    moves.set(id, at - rect[axis]);
    at += rect[size] + gap;
  }
  editor.edit("Distribute", (graph) => changeNodes(graph, moves.keys(), (node) => {
    const by = Math.round(moves.get(node.id) ?? 0);
    return { ...node, pos: axis === 0 ? [node.pos[0] + by, node.pos[1]] : [node.pos[0], node.pos[1] + by] };
  }));
}

export function tidy(editor: Editor): void {
  const only = editor.selection.nodes.size > 1 ? editor.selection.nodes : undefined;
  const places = arrange(editor.graph, only);
  editor.edit("Arrange", (graph) => changeNodes(graph, places.keys(), (node) => ({ ...node, pos: places.get(node.id) ?? node.pos })));
}

export function frame(editor: Editor): void {
  const area = editor.extent(editor.selection.nodes);
  if (!area) return;
  const [x, y, w, h] = inflate(area, 24);
  editor.edit("Frame", (graph) => addGroup(graph, { title: "Group", bounds: [x, y - 24, w, h + 24], color: "#3f789e", folded: false, file: {} }));
}

