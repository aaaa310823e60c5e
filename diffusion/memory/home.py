"""One network and what of it is on the device."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from diffusion.handles import WeightPatch
from diffusion.memory.conveyor import BUFFERS, Conveyor
from diffusion.memory.device import Device, Upload
from diffusion.memory.leaves import Leaf, leaves_of, own_tensors, spread
from diffusion.memory.source import Signature, Source
from diffusion.memory.twin import Twin


@dataclass(slots=True)
class _Placed:
    signature: Signature
    upload: Upload
    is_given: bool = False


class Home:
    """Holds no reference to the network itself, and dies with it."""

    def __init__(self, network: nn.Module, device: Device, name: str):
        self.name = name
        self.leaves = leaves_of(network)
        self.bytes = sum(leaf.bytes for leaf in self.leaves)
        self.window = BUFFERS * max((leaf.bytes for leaf in self.leaves), default=0)
        self.last_use = 0
        self.last_time: float | None = None
        self._device = device
        self._sequence = list(self.leaves)  # in which they run, as far as that is known
        self._order = spread(self.leaves)
        self._twin = Twin(network, self.leaves)
        self.present = 0
        """Bytes on the device, or on their way there."""
        self._placed: dict[Leaf, _Placed] = {}
        self._staged: dict[Leaf, tuple[Signature, tuple[Tensor, ...]]] = {}
        self._source = Source(self.leaves, ())

    @property
    def staged(self) -> int:
        """Bytes on the host in a second copy, from which they are streamed."""
        originals = {id(tensor) for leaf in self._staged for tensor in own_tensors(leaf.module).values()}
        copies = [tensor for _, tensors in list(self._staged.values()) for tensor in tensors]
        return sum(tensor.nbytes for tensor in copies if id(tensor) not in originals)

    def patch(self, patches: Sequence[WeightPatch]) -> None:
        """Have these patches from now on. Layers whose own patches are others leave the device; no others do."""
        self._source = Source(self.leaves, patches)
        for leaf, placed in list(self._placed.items()):
            if placed.signature != self._source.signature(leaf):
                self._remove(leaf)

    def shrink(self, size: int) -> None:
        """Give up layers until at most so many bytes are present."""
        for leaf in reversed(self._order):
            if self.present <= size:
                break
            if leaf in self._placed:
                self._remove(leaf)

    def grow(self, size: int) -> None:
        """Begin to bring up layers, as long as at most so many bytes are present. Raises torch.OutOfMemoryError."""
        for leaf in self._order:
            if leaf in self._placed:
                continue
            if self.present + leaf.bytes > size:
                break
            upload = self._device.upload(self._source.tensors(leaf))
            self._placed[leaf] = _Placed(self._source.signature(leaf), upload)
            self.present += leaf.bytes

    def lacking(self) -> tuple[Leaf, ...]:
        """The layers that are not on the device, in the order in which they are expected to run."""
        return tuple(leaf for leaf in self._sequence if leaf not in self._placed)

    def learn(self, order: Collection[Leaf]) -> None:
        """The order in which some layers have run; others keep their places among them."""
        mine = set(self.leaves)
        ran = [leaf for leaf in order if leaf in mine]
        known, in_turn = set(ran), iter(ran)
        self._sequence = [next(in_turn) if leaf in known else leaf for leaf in self._sequence]

    def open(self, conveyor: Conveyor | None) -> nn.Module:
        """The network as it computes on the device; what is not there comes by the conveyor."""
        for leaf, placed in self._placed.items():
            if not placed.is_given:
                self._twin.give(leaf, placed.upload.wait(), self._source.change(leaf))
                placed.is_given = True
        for leaf in self.lacking():
            assert conveyor is not None
            self._twin.stream(leaf, lambda leaf=leaf: conveyor.fetch(leaf), self._source.change(leaf))
        return self._twin.network

    def close(self) -> None:
        """The network does not compute any more."""
        for leaf in self.lacking():
            self._twin.take(leaf)
        for leaf in [leaf for leaf in self._staged if leaf in self._placed]:
            del self._staged[leaf]

    def make_ready(self) -> None:
        """Apply the patches of the layers that are not on the device: they may pass more than once, and a host's
        computations are no part of a job on a device."""
        for leaf in self.lacking():
            if self._source.signature(leaf):
                self.on_host(leaf, again=True)

    def on_host(self, leaf: Leaf, *, again: bool) -> tuple[Tensor, ...]:
        """The layer's tensors, patched. again: they will be asked for often, so keep them where they upload fastest."""
        signature = self._source.signature(leaf)
        known = self._staged.get(leaf)
        if known is None or known[0] != signature:
            tensors = self._source.tensors(leaf)
            if not again:
                return tensors
            known = self._staged[leaf] = signature, tuple(self._device.staged(tensor) for tensor in tensors)
        return known[1]

    def _remove(self, leaf: Leaf) -> None:
        del self._placed[leaf]
        self.present -= leaf.bytes
        self._twin.take(leaf)
