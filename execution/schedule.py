"""What runs next.

Only what the outputs need is scheduled: going up from them over the links that are not lazy, stopping at nodes whose
result is at hand. A node is ready when everything it waits for is done. Of several ready nodes the one comes first that

1. is an output or asynchronous (it is seen, or begins to wait, soonest), else feeds an output directly, else is two
   links away from one, else any other;
2. comes first in a depth-first walk from the outputs in prompt order, parents in the order of their inputs.

So one branch is finished before the next is begun, previews appear as early as they can, and the same prompt always
runs in the same order. Nodes that appear later (asked for by a lazy node, made by an expansion) take the place of the
node on whose behalf they came. Adding, popping and finishing cost O(log n) each; nothing recurses.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from heapq import heappop, heappush

from execution.graph import Parents, walk

_NEAR = 2  # links from an output within which a node is hurried


@dataclass(slots=True)
class _Pending:
    waits_for: int
    place: tuple[int, int]
    dependents: list[str] = field(default_factory=list[str])


class Schedule:
    def __init__(self, parents: Parents, is_at_hand: Callable[[str], bool], is_urgent: Callable[[str], bool]):
        """parents: what a node cannot start without. is_at_hand: its result is there already; asked of every
        node met. is_urgent: it is an output or asynchronous."""
        self._parents = parents
        self._is_at_hand = is_at_hand
        self._is_urgent = is_urgent
        self._pending: dict[str, _Pending] = {}
        self._near: dict[str, int] = {}
        self._ready: list[tuple[int, int, int, str]] = []
        self._places = 0

    def __len__(self) -> int:
        """How many nodes are not done."""
        return len(self._pending)

    def add(self, ids: Iterable[str], on_behalf_of: str | None = None) -> list[str]:
        """Schedule nodes with all they need. Returns those that are new and not at hand, parents first."""
        roots = list(ids)
        place = self._pending[on_behalf_of].place[0] if on_behalf_of is not None else None
        self._mark_near(roots)
        at_hand: set[str] = set()

        def unmet(id: str) -> Iterable[str]:
            if id in self._pending:
                return ()
            if self._is_at_hand(id):
                at_hand.add(id)
                return ()
            return self._parents(id)

        new = [id for id in walk(roots, unmet).order if id not in at_hand and id not in self._pending]
        waits: dict[str, dict[str, None]] = {}
        for id in new:
            waits[id] = dict.fromkeys(parent for parent in self._parents(id) if parent not in at_hand)
            self._places += 1
            mine = (self._places if place is None else place, self._places)
            self._pending[id] = _Pending(len(waits[id]), mine)
        for id in new:
            for parent in waits[id]:
                self._pending[parent].dependents.append(id)
            if not waits[id]:
                self._push(id)
        return new

    def wait(self, id: str, on: Iterable[str]) -> list[str]:
        """Put a node that was just popped back, until `on` are done as well. Returns what is new, as `add` does."""
        wanted = list(dict.fromkeys(on))
        new = self.add(wanted, on_behalf_of=id)
        mine = self._pending[id]
        for other in wanted:
            if other in self._pending:
                mine.waits_for += 1
                self._pending[other].dependents.append(id)
        if mine.waits_for == 0:
            self._push(id)
        return new

    def ahead(self) -> list[str]:
        """What is scheduled and not done, about in the order in which it will run."""
        return sorted(self._pending, key=lambda id: self._pending[id].place)

    def pop(self) -> str | None:
        """The next ready node; None if there is none (all are done, or the rest waits)."""
        return heappop(self._ready)[-1] if self._ready else None

    def finish(self, id: str) -> None:
        """A popped node is done."""
        for dependent in self._pending.pop(id).dependents:
            other = self._pending[dependent]
            other.waits_for -= 1
            if other.waits_for == 0:
                self._push(dependent)

    def circle(self) -> list[str]:
        """When nothing is ready and nothing runs: nodes that wait for each other, each feeding the next."""
        waiting_for: dict[str, list[str]] = {id: [] for id in self._pending}
        for id, pending in self._pending.items():
            for dependent in pending.dependents:
                waiting_for[dependent].append(id)
        cycles = walk(waiting_for, waiting_for.__getitem__).cycles
        return cycles[0] if cycles else []

    def _push(self, id: str) -> None:
        heappush(self._ready, (self._class_of(id), *self._pending[id].place, id))

    def _class_of(self, id: str) -> int:
        if self._is_urgent(id):
            return 0
        return self._near.get(id, _NEAR + 1)

    def _mark_near(self, roots: Iterable[str]) -> None:
        """Remember which nodes are one or two links above an output."""
        level = [id for id in roots if self._is_urgent(id)]
        for distance in range(1, _NEAR + 1):
            level = list(dict.fromkeys(parent for id in level for parent in self._parents(id)))
            for id in level:
                if self._near.get(id, _NEAR + 1) > distance:
                    self._near[id] = distance
