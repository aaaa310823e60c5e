"""Where a network's weights come from when they go to a device: the host's tensors, with patches applied on the way."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from diffusion.handles import WeightPatch
from diffusion.memory.leaves import Leaf, own_tensors
from diffusion.ops.stored import Float8, KeepsWeight
from diffusion.patches.weights import PatchDoesNotFit, patched_layer

Change = Callable[[Tensor], Tensor]

Signature = tuple[tuple[str, tuple[WeightPatch, ...]], ...]
"""What was done to a layer: two layers of one signature have the same bits. Empty: the layer as it is."""


class Source:
    """A network's layers under some patches."""

    def __init__(self, leaves: Sequence[Leaf], patches: Sequence[WeightPatch]):
        """Raises PatchDoesNotFit for a patch that names a tensor which the network does not have."""
        by_tensor: dict[str, list[WeightPatch]] = {}
        for patch in patches:
            for name in patch.names:
                by_tensor.setdefault(name, []).append(patch)
        self._signatures: dict[Leaf, Signature] = {}
        for leaf in leaves if by_tensor else ():
            mine = {name: tuple(by_tensor.pop(name)) for name in leaf.full_names if name in by_tensor}
            if mine:
                self._signatures[leaf] = tuple(mine.items())
        for name, (first, *_) in by_tensor.items():
            raise PatchDoesNotFit(f"{first}: the network has no tensor {name!r}")

    def signature(self, leaf: Leaf) -> Signature:
        return self._signatures.get(leaf, ())

    def tensors(self, leaf: Leaf) -> tuple[Tensor, ...]:
        """The layer's tensors on the host, in the order of its names."""
        own = own_tensors(self._layer(leaf))
        return tuple(own[name] for name in leaf.names)

    def change(self, leaf: Leaf) -> Change | None:
        """What the layer does to its weight at every use, where that is stored in a form no patch can be put into."""
        layer = leaf.module
        is_packed = isinstance(layer, KeepsWeight) and layer.packing is not None
        if not is_packed or isinstance(layer.packing, Float8):
            return None
        patched = self._layer(leaf)
        assert isinstance(patched, KeepsWeight)
        return patched.weight_change

    def _layer(self, leaf: Leaf) -> nn.Module:
        patches = dict(self.signature(leaf))
        if not patches:
            return leaf.module
        by_own_name = zip(leaf.names, leaf.full_names, strict=True)
        return patched_layer(leaf.module, {own: (name, patches[name]) for own, name in by_own_name if name in patches})
