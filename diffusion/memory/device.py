"""`Device`: what residency asks of a place where networks compute: a CUDA card, or one that tests pretend."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor, nn


class Upload(Protocol):
    """Tensors on their way to the device."""

    def wait(self) -> tuple[nn.Parameter, ...]:
        """The tensors, ready to be a layer's. What the device is asked to compute from here on finds them there."""
        ...


class Mark(Protocol):
    """A point in the work that the device was asked for."""

    @property
    def passed(self) -> bool: ...

    def wait(self) -> None:
        """Until the device has come past it."""
        ...


class Watch(Protocol):
    """Memory during one job."""

    @property
    def peak(self) -> int:
        """The most bytes that were in use on the device at one moment so far."""
        ...


class Device(Protocol):
    """Used by one thread. All sizes are bytes."""

    @property
    def torch(self) -> torch.device: ...

    @property
    def name(self) -> str: ...

    @property
    def capacity(self) -> int:
        """The most that may be in use here at any moment."""
        ...

    def used(self) -> int:
        """What tensors of ours take now."""
        ...

    def free(self) -> int:
        """What may still be allocated, what the allocator holds idle included."""
        ...

    def upload(self, tensors: Sequence[Tensor]) -> Upload:
        """Begin to bring tensors from host memory, beside the computation. Raises torch.OutOfMemoryError."""
        ...

    def staged(self, tensor: Tensor) -> Tensor:
        """The tensor in host memory from which it uploads fastest; the same one where that is no other place."""
        ...

    def mark(self) -> Mark: ...

    def computing(self) -> AbstractContextManager[Watch]:
        """Around a job that computes here."""
        ...

    def trim(self) -> int:
        """Give back what the allocator holds idle. Returns how much that was."""
        ...


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was no memory, on a device or on the host."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # On a CPU torch raises a plain RuntimeError; these are its words.
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def as_parameters(tensors: Sequence[Tensor]) -> tuple[nn.Parameter, ...]:
    """Modules take weights as parameters; for buffers that does no harm."""
    return tuple(nn.Parameter(tensor, requires_grad=False) for tensor in tensors)
