"""The keeper for a card with memory of its own: brings weights there, and runs work in what they leave.

`run` is a function and not a context manager, because after an overflow it runs the job again with more room. In this
order it gives up: what the allocator holds idle · weights that do not run now, farthest in the future first · parts of
those that do, which are streamed · the fastest way of doing the work · the work.
"""

import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock, RLock
from time import time
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from diffusion.memory.conveyor import Conveyor
from diffusion.memory.device import Device, is_out_of_memory
from diffusion.memory.estimate import weights
from diffusion.memory.home import Home
from diffusion.memory.leaves import Leaf
from diffusion.memory.measured import Measured
from diffusion.memory.plan import Plan, Resident, Wanted, plan
from diffusion.memory.report import of_device, of_network
from diffusion.memory.work import Need, OutOfMemory, Place, Way, Work, in_gb

T = TypeVar("T")


@dataclass(frozen=True)
class Policy:
    """What users may decide. reserve: bytes to leave free for others. share: of the room there is, the part that
    weights may stay in; at 0 all are streamed. keep: whether weights stay when the work is done."""

    reserve: int = 0
    share: float = 1.0
    keep: bool = True


_SHARES = (1.0, 1.0, 0.75, 0.5, 0.25, 0.0)
"""Of the room there seemed to be, what weights get in one try after the other. Those go first that do not run now. The
second try is for an allocator that held memory idle."""


@dataclass(eq=False)
class _Running:
    homes: Sequence[Home]
    activations: int


def unknown() -> Sequence[Need]:
    """The future, if nobody knows it."""
    return ()


class Residency:
    """tell: is given a sentence for people about everything that was done for want of memory. future: what will be
    needed after the running work, the soonest first. measured: peaks of earlier runs."""

    def __init__(
        self,
        device: Device,
        policy: Policy = Policy(),  # frozen
        tell: Callable[[str], None] = lambda sentence: None,
        future: Callable[[], Sequence[Need]] = unknown,
        measured: Measured | None = None,
    ):
        self._device, self._policy, self._tell, self._future = device, policy, tell, future
        self._measured = measured or Measured()
        self._names: WeakKeyDictionary[nn.Module, str] = WeakKeyDictionary()
        self._homes: WeakKeyDictionary[nn.Module, Home] = WeakKeyDictionary()
        self._running: list[_Running] = []
        self._uses = 0
        self._next_uses: WeakKeyDictionary[Home, int] = WeakKeyDictionary()
        self._work = RLock()  # one work at a time, and one within another
        self._book = Lock()  # the two dictionaries, which `report` reads while work runs

    def adopt(self, network: nn.Module, name: str) -> None:
        with self._book:
            self._names[network] = name

    def run(self, work: Work[T]) -> T:
        with self._work:
            homes = [self._home(need.network) for need in work.needs]
            first, last = work.ways[0], work.ways[-1]
            for way in work.ways:
                activations = self._expected(work, way)
                if way is not last and activations + _window(homes) > self._free():
                    continue
                if way is not first:
                    needed, free = self._expected(work, first), max(self._free(), 0)
                    self._tell(f"{work.what} {way.words}: {in_gb(needed)} needed, {in_gb(free)} free")
                before = -1
                for share in _SHARES:
                    room = self._room(homes, activations, share)
                    if room == before and not self._device.trim():
                        continue  # it would overflow again
                    before = room
                    try:
                        return self._attempt(work, way, homes, activations, room)
                    except Exception as error:
                        if not is_out_of_memory(error):
                            raise
                        traceback.clear_frames(error.__traceback__)  # they hold what the job had made so far
                self._measured.note(_key(work, way), max(activations, self._free()))
            needed = self._expected(work, last) + _window(homes)
            raise OutOfMemory(work.what, needed, max(self._free(), 0))

    def _room(self, homes: Sequence[Home], activations: int, share: float) -> int:
        """For weights, of those that run and of others."""
        room = int((self._free() - activations) * self._policy.share * share)
        # Estimates may be too high: rather than refuse, work runs with all of its weights streamed.
        return max(room, _window(homes))

    def _attempt(self, work: Work[T], way: Way[T], homes: Sequence[Home], activations: int, room: int) -> T:
        for home, need in zip(homes, work.needs, strict=True):
            home.patch(need.patches)
        made = self._plan(work, homes, room)
        self._move(work, homes, made)
        conveyor = self._conveyor(work, homes)
        running = _Running(homes, activations)
        self._running.append(running)
        try:
            with self._device.computing() as watch:
                before = self._device.used() + (conveyor.window if conveyor else 0)
                pairs = zip(work.needs, homes, strict=True)
                place = Place(self._device.torch, {need.network: home.open(conveyor) for need, home in pairs})
                result = way.job(place)
                self._measured.note(_key(work, way), max(watch.peak - before, 0))
            self._tell_streamed(made)
            return result
        finally:
            self._running.remove(running)
            for home in homes:
                self._leave(home, conveyor)
            if conveyor is not None:
                conveyor.close()

    def _plan(self, work: Work[Any], homes: Sequence[Home], room: int) -> Plan:
        others = self._others(homes)
        if sum(home.bytes for home in homes) + sum(home.present for home in others) > room:
            self._look_up_next_uses()
        next_use = self._next_uses.get
        wanted = [
            Wanted(home, home.bytes, home.present, need.passes, home.window, next_use(home))
            for home, need in zip(homes, work.needs, strict=True)
        ]
        residents = [Resident(home, home.present, next_use(home), home.last_use) for home in others]
        return plan(wanted, residents, room)

    def _move(self, work: Work[Any], homes: Sequence[Home], made: Plan) -> None:
        for home in self._others(homes):
            size = home.present - made.hold.get(home, 0)
            if size > 0:
                home.shrink(made.hold.get(home, 0))
                self._tell(f"{in_gb(size)} of {home.name} left the device for {work.what}")
        for home in homes:
            home.shrink(made.hold.get(home, 0))
        for home in homes:
            home.grow(made.hold.get(home, 0))

    def _conveyor(self, work: Work[Any], homes: Sequence[Home]) -> Conveyor | None:
        """For what is not on the device; None if all of it is."""
        again = {home: need.passes > 1 for home, need in zip(homes, work.needs, strict=True)}
        home_of = {leaf: home for home in homes for leaf in home.lacking()}
        for home in homes:
            home.make_ready()

        def on_host(leaf: Leaf) -> tuple[Tensor, ...]:
            home = home_of[leaf]
            return home.on_host(leaf, again=again[home])

        return Conveyor(self._device, tuple(home_of), on_host, _window(homes)) if home_of else None

    def _tell_streamed(self, made: Plan) -> None:
        for home, size in made.stream.items():
            assert isinstance(home, Home)
            self._tell(f"{home.name} streamed: {in_gb(home.bytes - size)} of {in_gb(home.bytes)} stay on the device")

    def _leave(self, home: Home, conveyor: Conveyor | None) -> None:
        home.close()
        if conveyor is not None:
            home.learn(conveyor.order)
        self._uses += 1
        home.last_use, home.last_time = self._uses, time()
        if not self._policy.keep:
            home.shrink(0)

    def look_ahead(self) -> None:
        with self._work:
            if not (self._running and self._policy.keep and self._policy.share == 1):
                return
            busy = self._busy()
            room = self._device.free() - self._policy.reserve - sum(running.activations for running in self._running)
            for need in self._future():
                home = self._home(need.network)
                if home in busy:
                    continue
                if room <= 0:
                    return
                busy.add(home)  # its next use is what it is made ready for, not those after it
                home.patch(need.patches)
                before = home.present
                try:
                    home.grow(before + room)
                except torch.OutOfMemoryError:
                    return  # it was only ahead of time
                room -= home.present - before

    def unload(self) -> None:
        with self._work:
            for home in self._others(()):
                home.shrink(0)
            self._device.trim()

    def report(self, recent: Collection[nn.Module] = ()) -> Mapping[str, Any]:
        """From any thread, also while work runs."""
        with self._book:
            names, homes = list(self._names.items()), dict(self._homes)
        busy, next_uses = self._busy(), self._next_uses
        models: list[Mapping[str, Any]] = []
        for network, name in names:
            home = homes.get(network)
            running = home is not None and home in busy
            next_use = None if home is None else next_uses.get(home)
            is_recent = network in recent
            size = weights(network)
            models.append(of_network(name, size, recent=is_recent, home=home, running=running, next_use=next_use))
        return {"device": of_device(self._device), "models": models}

    def _home(self, network: nn.Module) -> Home:
        home = self._homes.get(network)
        if home is None:
            home = Home(network, self._device, self._names.get(network, type(network).__name__))
            with self._book:
                self._homes[network] = home
        return home

    def _busy(self) -> set[Home]:
        return {home for running in list(self._running) for home in running.homes}

    def _others(self, homes: Sequence[Home]) -> list[Home]:
        """Those that may leave: neither these, nor what runs around them."""
        busy = self._busy()
        return [home for home in list(self._homes.values()) if home not in busy and home not in homes]

    def _free(self) -> int:
        """Bytes that weights and activations may take together, if everything leaves that does not run."""
        movable = sum(home.present for home in self._others(()))
        return self._device.free() + movable - self._policy.reserve

    def _look_up_next_uses(self) -> None:
        found: WeakKeyDictionary[Home, int] = WeakKeyDictionary()
        for distance, need in enumerate(self._future()):
            home = self._homes.get(need.network)
            if home is not None:
                found.setdefault(home, distance)
        self._next_uses = found

    def _expected(self, work: Work[Any], way: Way[Any]) -> int:
        measured = self._measured.get(_key(work, way))
        return way.activations if measured is None else measured


def _key(work: Work[Any], way: Way[Any]) -> str:
    return f"{work.key} {way.words}".strip() if work.key else ""


def _window(homes: Sequence[Home]) -> int:
    return max((home.window for home in homes), default=0)
