"""Results that may be used again, by signature.

The cache watches; the schedule does not know it. Every prompt is a *generation*: what it uses or makes belongs to it,
whether found or new. What to give up is decided by the mode, always the generations unused for longest first, so that
two prompts that alternate both stay. Within a generation the results made last go first: they are the ones that a
changed seed would replace anyway, while the loaders at the beginning serve every variation.

What nodes inside an expansion made lives in the same store, and belongs to every generation that uses the expanded
node.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from execution.events import NodeRef
from execution.signature import Signature, is_once_only
from execution.size import Weight, weigh


@dataclass(frozen=True, slots=True)
class KeepBytes:
    """Keep results up to this many bytes together, as `weigh` estimates them. What results share counts once."""

    budget: int = 4 * 2**30


@dataclass(frozen=True, slots=True)
class KeepLastPrompt:
    """Keep what the most recent prompt used, nothing else."""


@dataclass(frozen=True, slots=True)
class KeepCount:
    """Keep about this many results; the most recent prompt is kept whole."""

    count: int


@dataclass(frozen=True, slots=True)
class KeepNothing:
    """Within a job a result lives until its last consumer has run, and never longer."""


CacheMode = KeepBytes | KeepLastPrompt | KeepCount | KeepNothing

_MOST_REMEMBERED_DROPS = 200_000
_ENTRY_BYTES = 400  # an entry with its keys and lists; tracemalloc says 314 for a node of one short text


@dataclass(frozen=True, slots=True)
class InnerShown:
    """What a node inside an expansion wants shown. outer: the id the expanded node had then, with which the ids of
    inner nodes usually begin. at_top: it is shown on the expanded node."""

    ref: NodeRef
    outer: str
    at_top: bool
    ui: Mapping[str, Any]

    def under(self, node: NodeRef) -> NodeRef:
        """How it is called when the expanded node is called so."""

        def moved(id: str) -> str:
            return node.id + id[len(self.outer) :] if id.startswith(self.outer) else id

        display = node.display if self.at_top else self.ref.display
        return NodeRef(moved(self.ref.id), display, moved(self.ref.parent or node.id), node.real)


@dataclass(slots=True, eq=False)
class Entry:
    """What a node made. slots: output → elements. inner: what the nodes it expanded into show. children: their
    signatures. passing: not worth keeping beyond the job (it says why something did not run)."""

    slots: list[list[Any]]
    ui: Mapping[str, Any] | None = None
    inner: Sequence[InnerShown] = ()
    children: Sequence[Signature] = ()
    passing: bool = False
    weight: Weight = field(default_factory=Weight)
    generation: int = 0


class Shelf(Protocol):
    """Results that outlive the process. Nothing on it is promised: what cannot be kept or read is not there."""

    def __contains__(self, signature: object) -> bool: ...

    def get(self, signature: Signature) -> list[list[Any]] | None:
        """Output → elements."""
        ...

    def put(self, signature: Signature, types: Sequence[object], slots: Sequence[Sequence[Any]]) -> None:
        """types: of the outputs, as declared. Returns at once."""
        ...


_Generation = dict[Signature, None]


@dataclass(slots=True)
class Cache:
    """Used from the one thread that runs jobs. shelf: where results are found that are not here."""

    mode: CacheMode = field(default_factory=KeepBytes)
    weigh: Callable[[Any], Weight] = weigh
    shelf: Shelf | None = None
    bytes: int = 0
    _entries: dict[Signature, Entry] = field(default_factory=dict[Signature, Entry])
    _generations: dict[int, _Generation] = field(default_factory=dict[int, _Generation])
    _now: int = 0
    _sharers: Counter[int] = field(default_factory=Counter[int])
    _dropped: dict[Signature, None] = field(default_factory=dict[Signature, None])

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, signature: object) -> bool:
        return signature in self._entries

    def begin(self, signatures: Iterable[Signature]) -> None:
        """A new prompt, whose nodes are called so. What it can use again becomes part of its generation."""
        if not self._generations.get(self._now):
            self._generations.pop(self._now, None)
        self._now += 1
        self._generations[self._now] = {}
        for signature in signatures:
            entry = self._entries.get(signature)
            if entry is not None:
                self._touch(signature, entry)
        if isinstance(self.mode, KeepLastPrompt):
            for old in [number for number in self._generations if number != self._now]:
                while self._generations.get(old):
                    self._drop_last_of(old)
                self._generations.pop(old, None)

    def get(self, signature: Signature) -> Entry | None:
        entry = self.held(signature)
        if entry is None and self.shelf is not None and not is_once_only(signature):
            slots = self.shelf.get(signature)
            if slots is not None:
                entry = Entry(slots)
                self.put(signature, entry)
        return entry

    def held(self, signature: Signature) -> Entry | None:
        """As `get`, without looking on the shelf."""
        entry = self._entries.get(signature)
        if entry is not None and entry.generation != self._now:
            self._touch(signature, entry)
        return entry

    def shelved(self, signature: Signature) -> bool:
        """Whether a result lies on the shelf, as far as can be told without reading it."""
        return self.shelf is not None and signature in self.shelf

    def put_on_shelf(self, signature: Signature, types: Sequence[object], entry: Entry) -> None:
        """Keep a result beyond this process. What shows something is left out: its files may be gone by then."""
        is_plain = not entry.ui and not entry.inner and not entry.passing
        if self.shelf is not None and is_plain and not is_once_only(signature):
            self.shelf.put(signature, types, entry.slots)

    def peek(self, signature: Signature) -> Entry | None:
        """As `get`, without making it part of this generation."""
        return self._entries.get(signature)

    def put(self, signature: Signature, entry: Entry) -> None:
        """Keep a result, at the price of others; in a mode that keeps nothing, or one that can never be found again,
        this does nothing."""
        if isinstance(self.mode, KeepNothing) or entry.passing or is_once_only(signature):
            return
        if signature in self._entries:
            self._forget(signature)
        if isinstance(self.mode, KeepBytes):
            entry.weight = self._weight_of(entry)
            if entry.weight.total > self.mode.budget:
                self._remember_drop(signature)
                return
        entry.generation = self._now
        self._entries[signature] = entry
        self._generations.setdefault(self._now, {})[signature] = None
        self._dropped.pop(signature, None)
        self._add_weight(entry.weight)
        self._keep_within()

    def rename(self, old: Signature, new: Signature) -> None:
        """The same result is called otherwise from now on (more has become known about what it depends on)."""
        entry = self._entries.get(old)
        if entry is None or old == new or is_once_only(new):
            return
        self._forget(old)
        self._forget(new)
        self._entries[new] = entry
        self._generations.setdefault(entry.generation, {})[new] = None
        self._add_weight(entry.weight)

    def was_dropped(self, signature: Signature) -> bool:
        """Whether a result of this name was here and had to go."""
        return signature in self._dropped

    def trim(self, budget: int) -> None:
        """Give up results until at most `budget` bytes are kept (memory is short)."""
        self._drop_until(lambda: self.bytes <= budget, spare_newest=False)

    def clear(self) -> None:
        for signature in self._entries:
            self._remember_drop(signature)
        self._entries.clear()
        self._generations.clear()
        self._sharers.clear()
        self.bytes = 0

    def _touch(self, signature: Signature, entry: Entry) -> None:
        newest = self._generations.setdefault(self._now, {})
        stack: list[tuple[Signature, Entry]] = [(signature, entry)]
        while stack:
            name, touched = stack.pop()
            if touched.generation == self._now:
                continue
            previous = self._generations.get(touched.generation)
            if previous is not None:
                previous.pop(name, None)
                if not previous:
                    self._generations.pop(touched.generation)
            touched.generation = self._now
            newest[name] = None
            for child in touched.children:
                inner = self._entries.get(child)
                if inner is not None:
                    stack.append((child, inner))

    def _keep_within(self) -> None:
        match self.mode:
            case KeepBytes(budget):
                self._drop_until(lambda: self.bytes <= budget, spare_newest=False)
            case KeepCount(count):
                self._drop_until(lambda: len(self._entries) <= count, spare_newest=True)
            case _:
                pass

    def _drop_until(self, enough: Callable[[], bool], spare_newest: bool) -> None:
        while not enough() and self._generations:
            oldest = next(iter(self._generations))
            if spare_newest and oldest == self._now:
                return
            if self._generations[oldest]:
                self._drop_last_of(oldest)
            else:
                self._generations.pop(oldest)

    def _drop_last_of(self, generation: int) -> None:
        signature = next(reversed(self._generations[generation]))
        self._forget(signature)
        self._remember_drop(signature)

    def _forget(self, signature: Signature) -> None:
        entry = self._entries.pop(signature, None)
        if entry is None:
            return
        self._take_weight(entry.weight)
        generation = self._generations.get(entry.generation)
        if generation is not None:
            generation.pop(signature, None)

    def _weight_of(self, entry: Entry) -> Weight:
        weights = [self.weigh(slot[0] if len(slot) == 1 else slot) for slot in entry.slots]
        shared = {thing: size for weight in weights for thing, size in weight.shared.items()}
        return Weight(_ENTRY_BYTES + sum(weight.own for weight in weights), shared)

    def _add_weight(self, weight: Weight) -> None:
        # A thing is told by its identity, which is its own as long as an entry here holds it.
        self.bytes += weight.own
        for thing, size in weight.shared.items():
            if not self._sharers[thing]:
                self.bytes += size
            self._sharers[thing] += 1

    def _take_weight(self, weight: Weight) -> None:
        self.bytes -= weight.own
        for thing, size in weight.shared.items():
            self._sharers[thing] -= 1
            if not self._sharers[thing]:
                del self._sharers[thing]
                self.bytes -= size

    def _remember_drop(self, signature: Signature) -> None:
        self._dropped[signature] = None
        if len(self._dropped) > _MOST_REMEMBERED_DROPS:
            self._dropped.pop(next(iter(self._dropped)))
