/** Undo is keeping the old document: documents are immutable and share what did not change. */

export interface History<T> {
  readonly past: readonly Entry<T>[];
  readonly future: readonly Entry<T>[];
}

interface Entry<T> {
  readonly state: T;
  readonly label: string;
  /** Edits in a row with the same key (scrubbing a number, typing) are one step. */
  readonly merge: string | null;
}

export const emptyHistory = { past: [], future: [] } as const;
const DEPTH = 200;

/** `state` is the document before the edit called `label`. */
export function record<T>(history: History<T>, state: T, label: string, merge: string | null = null): History<T> {
  const last = history.past.at(-1);
  if (merge !== null && last?.merge === merge && history.future.length === 0) return history;
  return { past: [...history.past.slice(1 - DEPTH), { state, label, merge }], future: [] };
}

/** Ends a run of merged edits, so that the next one is a step of its own. */
export function seal<T>(history: History<T>): History<T> {
  const last = history.past.at(-1);
  return last?.merge ? { ...history, past: [...history.past.slice(0, -1), { ...last, merge: null }] } : history;
}

export function undo<T>(history: History<T>, now: T): readonly [History<T>, T] | null {
  const last = history.past.at(-1);
  if (!last) return null;
  return [{ past: history.past.slice(0, -1), future: [...history.future, { ...last, state: now }] }, last.state];
}

export function redo<T>(history: History<T>, now: T): readonly [History<T>, T] | null {
  const next = history.future.at(-1);
  if (!next) return null;
  return [{ past: [...history.past, { ...next, state: now, merge: null }], future: history.future.slice(0, -1) }, next.state];
}
