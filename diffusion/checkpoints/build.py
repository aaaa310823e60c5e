"""Puts tensors from files into networks: built without memory, then given the mapped tensors themselves."""

import contextlib
import math
import mmap
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from diffusion.checkpoints.errors import CheckpointError
from diffusion.checkpoints.weights import Source, Weights


def build_network(path: Path, what: str, build: Callable[[], nn.Module], weights: Weights) -> nn.Module:
    """The network around these tensors, which are not copied. Tensors it has no place for are left out.

    what: the network's name for messages ("SDXL UNet"). Raises CheckpointError for a missing tensor or a wrong shape.
    """
    with torch.device("meta"), WithoutInitialising():
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

    What already has the dtype stays mapped. What is converted lies in one block of memory, which is freed with the last
    of its tensors.
    """
    if dtype is None:
        return weights
    places: dict[str, int] = {}
    end = 0
    for name, source in weights.sources.items():
        if source.dtype.is_floating_point and source.dtype != dtype:
            places[name] = end
            end += -(-math.prod(source.shape) * dtype.itemsize // _ALIGNMENT) * _ALIGNMENT

    @cache
    def block() -> Tensor:
        return empty_block(end)

    def converted(source: Source, place: int) -> Source:
        def fetch() -> Tensor:
            count = math.prod(source.shape)
            room = block()[place : place + count * dtype.itemsize].view(dtype).view(source.shape)
            return room.copy_(source.fetch())

        return Source(source.shape, dtype, fetch)

    return Weights(
        {
            name: converted(source, places[name]) if name in places else source
            for name, source in weights.sources.items()
        }
    )


def empty_block(size: int) -> Tensor:
    """Uninitialised memory, (size,) bytes, in large pages where the system has them.

    Filling fresh memory is mostly the cost of its page faults: 128 MB took 63 ms in pages of 4 kB and 9 ms in large
    ones (2-core virtual machine, Linux).
    """
    advice = getattr(mmap, "MADV_HUGEPAGE", None)
    if advice is None or size == 0:
        return torch.empty(size, dtype=torch.uint8)
    memory = mmap.mmap(-1, size)
    with contextlib.suppress(OSError):  # a kernel without large pages
        memory.madvise(advice)
    return torch.frombuffer(memory, dtype=torch.uint8)


class WithoutInitialising(TorchFunctionMode):
    """While it is entered, new layers keep the weights they happen to have: those of a file replace them at once.

    On the meta device there is nothing to initialise, but torch takes about as long for it as for reading the file.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if kwargs and "tensor" in kwargs else args[0]
        if func in _FILLING:
            return args[0]
        return func(*args, **(kwargs or {}))


_FILLING = frozenset({Tensor.uniform_, Tensor.normal_})
_ALIGNMENT = 64
"""Bytes; what vector instructions like."""
