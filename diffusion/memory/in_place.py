"""The keeper for a CPU, and for networks that nobody keeps: they compute where they are, and only the way is chosen."""

import traceback
from collections.abc import Callable, Collection, Mapping
from threading import Lock
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import nn

from diffusion.memory.device import is_out_of_memory
from diffusion.memory.estimate import weights
from diffusion.memory.report import of_network
from diffusion.memory.work import OutOfMemory, Place, Work, in_gb
from diffusion.patches.weights import forget_patched, patched

T = TypeVar("T")


class InPlace:
    """free: bytes that can still be allocated where networks are; None if nobody knows: then every way is tried.
    tell: is given a sentence for people whenever a work is not done in its first way."""

    def __init__(self, free: Callable[[], int] | None = None, tell: Callable[[str], None] = lambda sentence: None):
        self._free, self._tell = free, tell
        self._names: WeakKeyDictionary[nn.Module, str] = WeakKeyDictionary()
        self._book = Lock()  # `report` comes from another thread

    def adopt(self, network: nn.Module, name: str) -> None:
        with self._book:
            self._names[network] = name

    def run(self, work: Work[T]) -> T:
        networks = {need.network: patched(need.network, need.patches) for need in work.needs}
        parameter = next((p for need in work.needs for p in need.network.parameters()), None)
        place = Place(torch.device("cpu") if parameter is None else parameter.device, networks)
        free = None if self._free is None else self._free()
        for way in work.ways:
            is_last = way is work.ways[-1]
            if free is not None and way.activations > free and not is_last:
                continue
            if way is not work.ways[0]:
                there = "" if free is None else f", {in_gb(free)} free"
                self._tell(f"{work.what} {way.words}: {in_gb(work.ways[0].activations)} needed{there}")
            try:
                return way.job(place)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                traceback.clear_frames(error.__traceback__)
        raise OutOfMemory(work.what, work.ways[-1].activations, free or 0)

    def look_ahead(self) -> None:
        """There is nowhere to bring anything."""

    def unload(self) -> None:
        for network in list(self._names):
            forget_patched(network)

    def report(self, recent: Collection[nn.Module] = ()) -> Mapping[str, Any]:
        """Every network it was given to keep. They are where they are: there is no device to have a part of them."""
        with self._book:
            names = list(self._names.items())
        models = [of_network(name, weights(network), recent=network in recent) for network, name in names]
        return {"device": None, "models": models}
