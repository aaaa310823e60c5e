"""What goes onto a device, what leaves it, and what is only passed through: arithmetic over integers.

A network is so many bytes, and any part of them may be on the device. What is not there when the network runs is
streamed: it passes through in every pass over the network and leaves nothing behind. So the rule is short. Room goes

1. to what runs many passes now, because every byte it lacks is moved again in each of them;
2. then by next use, the soonest first (Belady 1966), whether it is there already or would have to come: what passes
   once and is not needed again soon is streamed past those that are;
3. of those whose next use nobody knows, to the most recently used.

Only as many bytes leave as must. With the whole future known no order of evictions moves fewer bytes: bytes are the
pages for which Belady's rule is optimal. `tests/diffusion/memory/test_plan.py` compares it with all other choices.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Key = Hashable


@dataclass(frozen=True, slots=True)
class Resident:
    """A network of which something is on the device, and which does not run now."""

    key: Key
    bytes: int
    """On the device."""
    next_use: int | None = None
    """How many runs of networks from now it is needed; None if nobody knows."""
    last_use: int = 0
    """Larger is later."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A network that runs now."""

    key: Key
    bytes: int
    """All of it."""
    present: int = 0
    """Of these on the device already."""
    passes: int = 1
    """How often all of its weights are read in this run."""
    window: int = 0
    """Bytes that streaming any part of it takes on the device."""
    next_use: int | None = None
    """After this run, as for a `Resident`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Bytes by key; keys with none are left out."""

    hold: Mapping[Key, int]
    """On the device while the job runs, of everything."""
    load: Mapping[Key, int]
    """Brought up before it."""
    evict: Mapping[Key, int]
    """Given up before it."""
    stream: Mapping[Key, int]
    """Passed through in each pass."""

    def moved(self, passes: Mapping[Key, int]) -> int:
        """Bytes that cross the link."""
        return sum(self.load.values()) + sum(size * passes[key] for key, size in self.stream.items())


class NoRoom(Exception):
    """Not even the window that streaming takes is there."""

    def __init__(self, needed: int, room: int):
        self.needed, self.room = needed, room
        super().__init__(f"streaming takes {needed} bytes, there are {room}")


def plan(wanted: Sequence[Wanted], residents: Sequence[Resident], room: int) -> Plan:
    """How to run the wanted networks together in `room` bytes, activations not counted. Raises NoRoom."""
    hold = _shared_out(wanted, residents, room)
    if any(hold[w.key] < w.bytes for w in wanted):
        window = max(w.window for w in wanted)
        if window > room:
            raise NoRoom(window, room)
        hold = _shared_out(wanted, residents, room - window)
    before = {w.key: w.present for w in wanted} | {r.key: r.bytes for r in residents}
    return Plan(
        hold=_some(hold),
        load=_some({key: size - before[key] for key, size in hold.items()}),
        evict=_some({key: before[key] - size for key, size in hold.items()}),
        stream=_some({w.key: w.bytes - hold[w.key] for w in wanted}),
    )


def _shared_out(wanted: Sequence[Wanted], residents: Sequence[Resident], room: int) -> dict[Key, int]:
    claims: list[tuple[tuple[Any, ...], Key, int]] = []
    for w in wanted:
        claims.append(((0,) if w.passes > 1 else _rank(w.next_use, None), w.key, w.bytes))
    for r in residents:
        claims.append((_rank(r.next_use, r.last_use), r.key, r.bytes))
    hold: dict[Key, int] = {}
    for _, key, size in sorted(claims, key=lambda claim: claim[0]):
        hold[key] = min(size, max(room, 0))
        room -= hold[key]
    return hold


def _rank(next_use: int | None, last_use: int | None) -> tuple[int, int]:
    """Smaller is dearer. last_use None: it is being used now."""
    if next_use is not None:
        return 1, next_use
    return (2, 0) if last_use is None else (3, -last_use)


def _some(sizes: Mapping[Key, int]) -> dict[Key, int]:
    return {key: size for key, size in sizes.items() if size > 0}
