"""A network as the layers that hold its weights: what can be on a device or not, each by itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast
from weakref import ReferenceType, ref

from torch import Tensor, nn

_SMALL = 64
"""Layers this many times smaller than the largest come first: together they are next to nothing, and each upload
costs the same few microseconds."""


@dataclass(frozen=True, eq=False, slots=True)
class Leaf:
    """A module with tensors of its own, whether or not it has children."""

    path: str
    names: tuple[str, ...]
    """Of its parameters and buffers, those that are None left out."""
    bytes: int
    _module: ReferenceType[nn.Module]
    """Weak, because the network itself may be one: then its weights would outlive all who use it."""

    @property
    def module(self) -> nn.Module:
        module = self._module()
        assert module is not None, "whoever computes holds the network"
        return module

    @property
    def full_names(self) -> tuple[str, ...]:
        """`names` as in the network's state dict."""
        return tuple(f"{self.path}.{name}" if self.path else name for name in self.names)


def own_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Its own parameters and buffers by name, as they are stored; those of its children are theirs."""
    stored: dict[str, Tensor | None] = vars(module)["_parameters"] | vars(module)["_buffers"]
    return {name: tensor for name, tensor in stored.items() if tensor is not None}


def leaves_of(network: nn.Module) -> tuple[Leaf, ...]:
    """In the order in which they were registered, which is about that in which they run. Reads no weights."""
    return tuple(_leaves(network))


def _leaves(network: nn.Module) -> Iterator[Leaf]:
    modules: Any = network.named_modules  # untyped in torch
    for path, module in cast(Iterator[tuple[str, nn.Module]], modules()):
        own = own_tensors(module)
        if own:
            yield Leaf(path, tuple(own), sum(tensor.nbytes for tensor in own.values()), ref(module))


def spread(leaves: Sequence[Leaf]) -> tuple[Leaf, ...]:
    """In the order in which they are put on a device that may not hold all of them.

    Wherever the order is cut, what is left out lies evenly among what is in, by bytes: then transfers always have
    computations to hide behind, while a streamed tail would wait for the link after a head that left it idle. And a
    larger cut contains a smaller one, so a change of room moves the difference alone. Positions are the van der Corput
    sequence: 1/2, 1/4, 3/4, 1/8, …
    """
    threshold = max((leaf.bytes for leaf in leaves), default=0) // _SMALL
    chosen = dict.fromkeys(leaf for leaf in leaves if leaf.bytes <= threshold)
    large = [leaf for leaf in leaves if leaf.bytes > threshold]
    ends: list[int] = []
    for leaf in large:
        ends.append(leaf.bytes + (ends[-1] if ends else 0))
    for k in range(1, 1 + 4 * _SMALL * len(large)):
        if len(chosen) == len(leaves):
            break
        position = _van_der_corput(k) * ends[-1]
        chosen.setdefault(large[next(i for i, end in enumerate(ends) if position < end)])
    return tuple(chosen | dict.fromkeys(large))


def _van_der_corput(k: int) -> float:
    """The digits of k in base 2, mirrored behind the point."""
    value, digit = 0.0, 0.5
    while k:
        value += digit * (k & 1)
        k, digit = k >> 1, digit / 2
    return value
