"""Weights kept in fewer bits than they are computed with, and unpacked where they are used.

Such a layer's `weight` is the tensor as it was stored, its `packing` says how to read it, and its buffer
`weight_scale`, where there is one, is what to multiply it by. A layer needs nothing beyond its own tensors to compute,
so they may lie on any device and be moved about one layer at a time. Everything else in a network is plain, and what
a network computes in is the format of its plain tensors: `compute_dtype`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol
from zlib import crc32

import torch
from torch import Tensor, nn

EIGHT_BIT = (torch.float8_e4m3fn, torch.float8_e5m2)


class Packing(Protocol):
    """A way of storing a weight."""

    def unpack(self, stored: Tensor, scale: Tensor | None, shape: torch.Size, dtype: torch.dtype) -> Tensor:
        """The true weight, of that shape."""
        ...


@dataclass(frozen=True, eq=False)
class Stored:
    """A weight in the form in which a layer keeps it."""

    tensor: Tensor
    packing: Packing | None = None
    """None: the tensor is the weight."""
    scale: Tensor | None = None
    change: Callable[[Tensor], Tensor] | None = None
    """Done to the unpacked float32 weight at every use, for packings that cannot store a changed weight."""

    def unpack(self, shape: torch.Size, dtype: torch.dtype) -> Tensor:
        """The true weight."""
        if self.packing is None:
            return self.tensor.to(dtype)
        if self.change is None:
            return self.packing.unpack(self.tensor, self.scale, shape, dtype)
        return self.change(self.packing.unpack(self.tensor, self.scale, shape, torch.float32)).to(dtype)


@dataclass(frozen=True, slots=True)
class Float8:
    """8-bit floats (arXiv:2209.05433), with one scale for all of a weight, one for each output, or none."""

    def unpack(self, stored: Tensor, scale: Tensor | None, shape: torch.Size, dtype: torch.dtype) -> Tensor:
        """stored: any shape with as many elements. scale: a single number, or (O,) or (O, 1) float32."""
        weight = _widened(stored, dtype).reshape(shape)
        if scale is None:
            return weight
        return (weight * spread(scale, len(shape))).to(dtype)

    def pack(self, weight: Tensor, like: Stored, seed: int) -> Stored:
        """A float32 weight stored as another was, rounded by chance; its scale grows where it has outgrown that."""
        scale, largest = like.scale, torch.finfo(like.tensor.dtype).max
        if scale is not None:
            rows = weight.flatten(1) if scale.numel() > 1 else weight.reshape(1, -1)
            scale = torch.maximum(scale, (rows.abs().amax(dim=1) / largest).reshape(scale.shape).to(scale))
            weight = weight / spread(scale, weight.ndim)
        return Stored(stochastic_float8(weight, like.tensor.dtype, seed), self, scale)


def spread(scale: Tensor, dimensions: int) -> Tensor:
    """A scale in a shape that multiplies a weight of so many dimensions."""
    return scale.reshape(-1, *[1] * (dimensions - 1)) if scale.numel() > 1 else scale.reshape(())


def _widened(stored: Tensor, dtype: torch.dtype) -> Tensor:
    # A table of 256 numbers takes a fifth of the time of torch's conversion: 5 ms, not 24, for 6.5 million on one core.
    if stored.device.type != "cpu" or stored.dtype != torch.float8_e4m3fn or torch.compiler.is_compiling():
        return stored.to(dtype)
    table = torch.arange(256, dtype=torch.uint8).view(stored.dtype).to(dtype)
    return table.index_select(0, stored.view(torch.uint8).flatten().int())


def to_float8(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """Rounded to the nearest 8-bit float; what is out of range becomes the largest there is, not NaN."""
    largest = torch.finfo(dtype).max
    return weight.float().clamp(-largest, largest).to(dtype)


def stochastic_float8(weight: Tensor, dtype: torch.dtype, seed: int) -> Tensor:
    """Rounded to one of the two neighbours, each as likely as it is near: small changes survive on average.

    weight: float32. The same seed gives the same numbers on every device.
    """
    info = torch.finfo(dtype)
    weight = weight.clamp(-info.max, info.max)
    # 2^e <= |w| < 2^(e+1), and at least the smallest normal number: below it the distance of neighbours is the same.
    exponent = torch.frexp(weight.abs().clamp(min=info.smallest_normal)).exponent - 1
    step = torch.ldexp(torch.full_like(weight, info.eps), exponent)
    chance = torch.rand(weight.shape, generator=torch.Generator().manual_seed(seed)).to(weight.device)
    return to_float8(torch.floor(weight / step + chance) * step, dtype)


def seed_of(name: str) -> int:
    """A seed for the rounding of the tensor of that name."""
    return crc32(name.encode())


class KeepsWeight(nn.Module):
    """A layer whose weight may be packed; mixed into linear and convolution layers."""

    weight: Tensor
    packing: Packing | None = None
    weight_change: Callable[[Tensor], Tensor] | None = None

    def weight_in(self, dtype: torch.dtype) -> Tensor:
        """The weight to compute with: an unpacked one in that format, a plain one as it is."""
        if self.packing is None:
            return self.weight
        return stored_of(self).unpack(self.weight_shape(), dtype)

    def weight_shape(self) -> torch.Size:
        """The true shape, however the weight is stored."""
        raise NotImplementedError


def stored_of(layer: KeepsWeight) -> Stored:
    """What the layer keeps."""
    return Stored(layer.weight, layer.packing, getattr(layer, "weight_scale", None), layer.weight_change)


def keep(layer: KeepsWeight, stored: Stored) -> None:
    """Make the layer keep this weight. Nothing is copied, and nothing is written to the tensor it had."""
    own = vars(layer)
    own["_parameters"]["weight"] = nn.Parameter(stored.tensor, requires_grad=False)
    own["packing"], own["weight_change"] = stored.packing, stored.change
    if stored.scale is None:
        own["_buffers"].pop("weight_scale", None)
    else:
        own["_buffers"]["weight_scale"] = stored.scale
        own["_non_persistent_buffers_set"] = own["_non_persistent_buffers_set"] | {"weight_scale"}


def compute_dtype(network: nn.Module) -> torch.dtype:
    """What the network computes in: the format of its first tensor that is not packed, float32 if all are."""
    for parameter in network.parameters():
        if parameter.dtype.is_floating_point and parameter.dtype not in EIGHT_BIT:
            return parameter.dtype
    return torch.float32


def tensor_of(network: nn.Module, name: str) -> Tensor:
    """The network's tensor of that name, as in its state dict, but true: a packed one is unpacked to float32."""
    path, _, leaf = name.rpartition(".")
    layer = network.get_submodule(path)
    if leaf == "weight" and isinstance(layer, KeepsWeight):
        return layer.weight_in(torch.float32)
    return getattr(layer, leaf)


def packed_layers(network: nn.Module) -> Mapping[str, KeepsWeight]:
    """Name of a weight, as in the state dict -> the layer that keeps it packed."""
    found: dict[str, KeepsWeight] = {}
    for name, _ in network.named_parameters():
        path, _, leaf = name.rpartition(".")
        layer = network.get_submodule(path) if leaf == "weight" else None
        if isinstance(layer, KeepsWeight) and layer.packing is not None:
            found[name] = layer
    return found
