"""Tensors of files in the number format a network is to hold."""

import contextlib
import math
import mmap
from functools import cache

import torch
from torch import Tensor

from diffusion.checkpoints.weights import Source, Weights


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


_ALIGNMENT = 64
"""Bytes; what vector instructions like."""
