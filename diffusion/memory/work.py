"""What is asked of a keeper of networks: work that needs some of them, and the ways in which it can be done."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import nn

from diffusion.handles import WeightPatch

T = TypeVar("T")
GB = 2**30


@dataclass(frozen=True)
class Need:
    """A network that work needs."""

    network: nn.Module
    """The original, on the host."""
    patches: tuple[WeightPatch, ...] = ()
    passes: int = 1
    """How often all of its weights will be read."""


@dataclass(frozen=True)
class Place:
    """Where a job computes."""

    device: torch.device
    networks: Mapping[nn.Module, nn.Module]

    def of(self, network: nn.Module) -> nn.Module:
        """The network as it computes here, its patches applied; itself where it was not among the needs."""
        return self.networks.get(network, network)


@dataclass(frozen=True)
class Way(Generic[T]):
    """One way to do the work. The job may be run more than once, so it begins from the beginning each time."""

    job: Callable[[Place], T]
    activations: int = 0
    """Bytes beside the weights, as estimated."""
    words: str = ""
    """What is special about it: "in 4 tiles". Empty for the usual way."""


@dataclass(frozen=True)
class Work(Generic[T]):
    """what: in words, "VAE decode". ways: the fastest first; later ones need less memory and give the same up to
    what `words` says. key: of works that take equal memory, so that what one took is known for the next."""

    what: str
    needs: Sequence[Need]
    ways: Sequence[Way[T]]
    key: str = ""


class Keeper(Protocol):
    """Keeps networks: decides where their weights are while work runs, and afterwards."""

    def run(self, work: Work[T]) -> T:
        """Do the work, in the first of its ways for which there is memory. Raises OutOfMemory when there is none."""
        ...

    def look_ahead(self) -> None:
        """From a running job: it will soon be done, so make ready what comes next."""
        ...

    def unload(self) -> None:
        """Give back all memory that is held for networks beside their originals."""
        ...

    def report(self, recent: Collection[nn.Module] = ()) -> Mapping[str, Any]:
        """What is where: plain data. recent: networks that the store keeps whether or not anybody else does."""
        ...

    def adopt(self, network: nn.Module, name: str) -> None:
        """A network that this one keeps from now on. name: for people."""
        ...


class OutOfMemory(torch.OutOfMemoryError):
    """There is no way to do the work in the memory there is."""

    def __init__(self, what: str, needed: int, free: int):
        self.what, self.needed, self.free = what, needed, free
        super().__init__(
            f"{what} needs about {in_gb(needed)} of memory in the most frugal way there is, and {in_gb(free)} can be "
            "made free. Make the picture or the batch smaller, or close other programs that use this memory."
        )


def in_gb(size: int) -> str:
    """Bytes in words."""
    if size < 0.1 * GB:
        return f"{size / 2**20:.1f} MB"
    return f"{size / GB:.1f} GB"
