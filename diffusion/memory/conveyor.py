"""Brings weights past the computation: the next layers are on their way while this one computes."""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from diffusion.memory.device import Device, Mark, Upload
from diffusion.memory.leaves import Leaf

BUFFERS = 3
"""How many times the largest layer is kept free: one computes, and two come. With one to come, layers that are streamed
are too unevenly spread for the link: where moving half of a DiT takes as long as computing, a step took 1.2 times that
(pretend card), with two 1.02 times."""
_PATIENCE = 64
"""Layers that may run before one that was expected to be next, until it is no longer expected."""


class Conveyor:
    """Hands out the tensors of layers that have no place on the device, one layer at a time.

    leaves: in the order in which they are expected to run, over and over. source: a layer's tensors on the host.
    window: bytes on the device for the layer that computes, those that come, and those that the device may still be
    computing with.
    """

    def __init__(self, device: Device, leaves: Sequence[Leaf], source: Callable[[Leaf], Sequence[Tensor]], window: int):
        self.window = window
        self.order = list(leaves)
        """As expected now: a layer that runs out of turn is put where it ran."""
        self._device, self._source = device, source
        self._at = -1
        self._overtaken: Counter[Leaf] = Counter()
        self._here: Leaf | None = None
        self._tensors: tuple[nn.Parameter, ...] = ()
        self._coming: dict[Leaf, Upload] = {}
        self._leaving: deque[tuple[Mark, int]] = deque()

    def fetch(self, leaf: Leaf) -> tuple[nn.Parameter, ...]:
        """The layer's tensors; those of the layer before it may go. Raises torch.OutOfMemoryError."""
        if leaf is not self._here:
            if self._here is not None:
                self._leaving.append((self._device.mark(), self._here.bytes))
            self._tensors, self._here = (), None
            self._turn_to(leaf)
            if leaf not in self._coming:
                while self._coming and self._on_the_way() + leaf.bytes > self.window:
                    self._coming.popitem()
                self._begin(leaf, 0)
            self._here, self._tensors = leaf, self._coming.pop(leaf).wait()
            self._look_ahead(leaf)
        return self._tensors

    def close(self) -> None:
        """Let go of everything on the device."""
        self._tensors, self._here = (), None
        self._coming.clear()
        self._leaving.clear()

    def _turn_to(self, leaf: Leaf) -> None:
        self._overtaken.pop(leaf, None)
        expected = self.order[(self._at + 1) % len(self.order)]
        if expected is leaf:
            self._at = (self._at + 1) % len(self.order)
            return
        self._overtaken[expected] += 1
        if self._overtaken[expected] > _PATIENCE:
            self._forget(expected)
        self._forget(leaf)
        self._at += 1
        self.order.insert(self._at, leaf)

    def _forget(self, leaf: Leaf) -> None:
        if leaf in self.order:
            place = self.order.index(leaf)
            del self.order[place]
            self._at -= place <= self._at

    def _look_ahead(self, here: Leaf) -> None:
        for leaf in self._expected():
            if leaf in self._coming:
                continue
            size = here.bytes + self._on_the_way() + leaf.bytes
            if size > self.window or (self._coming and not self._is_clear(size)):
                break
            try:
                # The very next layer is waited for: it has to come while this one computes, not after it.
                self._begin(leaf, here.bytes)
            except torch.OutOfMemoryError:
                break  # what was not there ahead of time may be there in time

    def _expected(self) -> Iterator[Leaf]:
        count = len(self.order)
        return (self.order[(self._at + step) % count] for step in range(1, count))

    def _begin(self, leaf: Leaf, busy: int) -> None:
        """Send for a layer. busy: bytes of the one that computes."""
        size = busy + self._on_the_way() + leaf.bytes
        while self._leaving and not self._is_clear(size):
            mark, _ = self._leaving.popleft()
            mark.wait()
        self._coming[leaf] = self._device.upload(self._source(leaf))

    def _is_clear(self, size: int) -> bool:
        """Whether so many bytes are free of layers that the device may still be computing with."""
        while self._leaving and self._leaving[0][0].passed:
            self._leaving.popleft()
        return size + sum(left for _, left in self._leaving) <= self.window

    def _on_the_way(self) -> int:
        return sum(leaf.bytes for leaf in self._coming)
