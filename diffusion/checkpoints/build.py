"""Puts tensors from files into networks: built without memory, then given the mapped tensors themselves."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from diffusion.checkpoints.errors import CheckpointError
from diffusion.checkpoints.weights import Source, Weights


def build_network(path: Path, what: str, build: Callable[[], nn.Module], weights: Weights) -> nn.Module:
    """The network around these tensors, which are not copied. Tensors it has no place for are left out.

    what: the network's name for messages ("SDXL UNet"). Raises CheckpointError for a missing tensor or a wrong shape.
    """
    with torch.device("meta"):
        network = build()
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    check_complete(path, what, wanted, weights)
    network.load_state_dict({name: weights[name] for name in wanted}, assign=True)
    return network.eval().requires_grad_(False)


def check_complete(path: Path, what: str, wanted: dict[str, tuple[int, ...]], weights: Weights) -> None:
    """Raise CheckpointError if a wanted tensor is missing or has another shape."""
    missing = [name for name in wanted if name not in weights]
    if missing:
        raise CheckpointError(
            path, f"{len(missing)} of {len(wanted)} tensors of the {what} are missing, for instance {missing[0]!r}"
        )
    shapes = weights.shapes
    for name, shape in wanted.items():
        if shapes[name] != shape:
            raise CheckpointError(path, f"{name!r} of the {what} has the shape {shapes[name]}, expected {shape}")


def in_dtype(weights: Weights, dtype: torch.dtype | None) -> Weights:
    """Floating point tensors in `dtype`, converted when they are fetched; None leaves them as they are.

    What already has the dtype stays mapped.
    """
    if dtype is None:
        return weights

    def converted(source: Source) -> Source:
        if not source.dtype.is_floating_point or source.dtype == dtype:
            return source
        return Source(source.shape, dtype, lambda: source.fetch().to(dtype))

    return Weights({name: converted(source) for name, source in weights.sources.items()})
