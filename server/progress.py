"""How far a running job is, as clients are told it.

Rule for `progress_state`: while a job has touched at most `FEW` nodes, every change is told at once and every message
holds all of them, as clients expect. Beyond that changes are gathered for `GATHER` seconds or until there are `MANY`,
and a message holds the nodes that run and those that changed since the last one. So what a job of N nodes costs grows
with N, not with its square.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from execution.events import NodeRef, Preview
from server import messages

FEW = 64
MANY = 256
GATHER = 0.05


@dataclass(slots=True)
class JobView:
    """A job from its start until it is filed.

    rows: what `progress_state` says of each node touched; once the job is `large`, only of those running.
    changed: rows of a large job that are still to be told.
    executing: nodes that have begun and not ended, in the order they began. preview: the last picture."""

    prompt_id: str
    client_id: str | None
    graph: Mapping[str, Any] = field(default_factory=dict[str, Any])
    rows: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    changed: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    executing: dict[str, NodeRef] = field(default_factory=dict[str, NodeRef])
    preview: Preview | None = None
    large: bool = False

    def begin(self, node: NodeRef) -> dict[str, Any]:
        self.executing.setdefault(node.id, node)
        return self._row(node, 0.0, 1.0, "running")

    def tick(self, node: NodeRef, value: float, total: float) -> dict[str, Any]:
        return self._row(node, value, total, "running")

    def end(self, node: NodeRef, state: str = "finished") -> dict[str, Any]:
        self.executing.pop(node.id, None)
        if self.preview is not None and self.preview.node.id == node.id:
            self.preview = None
        before = self.rows.get(node.id)
        total = before["max"] if before else 1.0
        value = total if state == "finished" or before is None else before["value"]
        row = self._row(node, value, total, state)
        if self.large:
            self.rows.pop(node.id, None)
        return row

    def fail(self) -> list[dict[str, Any]]:
        """The job ended with nodes still running: they are closed as errors."""
        return [self.end(node, "error") for node in list(self.executing.values())]

    def restart(self) -> None:
        """The job begins again (its worker died): what was told before is void."""
        self.rows.clear()
        self.changed.clear()
        self.executing.clear()
        self.preview = None
        self.large = False

    def snapshot(self) -> str:
        return messages.progress_state(self.prompt_id, self.rows)

    def gathered(self) -> str:
        """What changed in a large job, and what runs; told once."""
        rows, self.changed = {**self.changed, **self.rows}, {}
        return messages.progress_state(self.prompt_id, rows)

    def _row(self, node: NodeRef, value: float, total: float, state: str) -> dict[str, Any]:
        row = messages.node_state(self.prompt_id, node, value, total, state)
        self.rows[node.id] = row
        if not self.large and len(self.rows) > FEW:
            self.large = True
            self.rows = {id: self.rows[id] for id in self.rows if id in self.executing or id == node.id}
        if self.large:
            self.changed[node.id] = row
        return row
