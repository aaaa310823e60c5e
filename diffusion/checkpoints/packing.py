"""Weights that stay in fewer bits than they are computed with: into networks, and out of them again."""

from functools import partial

import torch
from torch import Tensor, nn

from diffusion.checkpoints.precision import in_dtype
from diffusion.checkpoints.weights import Packed, Source, Weights, held
from diffusion.ops.layers import keeping
from diffusion.ops.stored import EIGHT_BIT, Float8, Stored, keep, packed_layers, stored_of, to_float8


def held_in(weights: Weights, dtype: torch.dtype | None, compute: torch.dtype = torch.float32) -> Weights:
    """What a network is to hold: floating point tensors in `dtype`, see `in_dtype`, but matrices packed.

    Packed is a matrix that the file has in fewer bits, and, if dtype has 8 bits, every other one too. What cannot be
    packed is then in `compute`; None keeps the file's own.
    """
    wide = compute if dtype is None or dtype in EIGHT_BIT else dtype
    marked = Weights({name: _marked(name, source, dtype, wide) for name, source in weights.sources.items()})
    return marked if dtype is None else in_dtype(marked, wide)


def _marked(name: str, source: Source, dtype: torch.dtype | None, wide: torch.dtype) -> Source:
    is_matrix = name.endswith(".weight") and len(source.shape) >= 2
    packed = source.packed if is_matrix else None
    if is_matrix and packed is None and source.dtype in EIGHT_BIT:
        packed = Packed(Float8(), source.fetch)
    elif is_matrix and packed is None and dtype in EIGHT_BIT and source.dtype.is_floating_point:
        packed = Packed(Float8(), lambda: to_float8(source.fetch(), dtype))
    if packed is None and source.dtype not in EIGHT_BIT:
        return source
    return Source(source.shape, wide, lambda: source.fetch().to(wide), packed)


def unpacked(weights: Weights) -> Weights:
    """The same with nothing packed, for networks so small that unpacking them at each use would not pay."""
    return Weights({name: _plain(source) for name, source in weights.sources.items()})


def _plain(source: Source) -> Source:
    if source.packed is None and source.dtype not in EIGHT_BIT:
        return source
    return Source(source.shape, torch.float32, lambda: source.fetch().float())


def put_weights(network: nn.Module, weights: Weights) -> None:
    """Give a network tensors of the shapes it has, which are not copied. Packed ones stay so in layers that can."""
    plain: dict[str, Tensor] = {}
    for name in network.state_dict():
        packed = weights.sources[name].packed
        path, _, leaf = name.rpartition(".")
        layer = keeping(network.get_submodule(path)) if packed and leaf == "weight" else None
        if packed and layer:
            keep(layer, packed.stored())
        else:
            plain[name] = weights[name]
    network.load_state_dict(plain, assign=True, strict=False)


def true_weights(network: nn.Module) -> Weights:
    """A network's tensors under the names of its state dict; packed ones are unpacked when they are fetched.

    Plain 8-bit floats are given as they are: their values are true.
    """
    sources = {name: held(tensor) for name, tensor in network.state_dict().items()}
    for name, layer in packed_layers(network).items():
        stored, shape = stored_of(layer), layer.weight_shape()
        if not _is_plain_float8(stored):
            sources[name] = Source(shape, torch.float32, partial(stored.unpack, shape, torch.float32))
    return Weights(sources)


def _is_plain_float8(stored: Stored) -> bool:
    return isinstance(stored.packing, Float8) and stored.scale is None and stored.change is None
