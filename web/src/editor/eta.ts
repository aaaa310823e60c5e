/** How long a run will still take: from the pace of what runs, and from how long the rest took the last time. */

import type { RunState } from "./run";

/** Milliseconds, or null while nothing is known. Nodes that never ran count as nothing. */
export function remaining(run: RunState, now: number): number | null {
  let total = 0;
  let known = false;
  for (const id of run.plan) {
    const node = run.nodes.get(id);
    const usual = run.took.get(id);
    if (node?.state === "done" || node?.state === "cached" || node?.state === "error") continue;
    if (node?.state === "running") {
      const elapsed = now - node.startedAt;
      const steps = node.max > 1 && node.value > 0 ? (elapsed / node.value) * (node.max - node.value) : null;
      if (steps === null && usual === undefined) continue;
      total += steps ?? Math.max(0, (usual ?? 0) - elapsed);
      known = true;
    } else if (usual !== undefined && (run.fresh?.has(id) ?? true)) {
      total += usual;
      known = true;
    }
  }
  return known ? total : null;
}

/** The share of the nodes of a run that is over, 0…1; what runs counts by its steps. */
export function share(run: RunState): number {
  if (run.plan.length === 0) return 0;
  let over = 0;
  for (const id of run.plan) {
    const node = run.nodes.get(id);
    if (node?.state === "running") over += node.max > 0 ? Math.min(1, node.value / node.max) : 0;
    else if (node) over += 1;
  }
  return over / run.plan.length;
}
