"""A CUDA card as a `Device`: uploads on a stream of their own, from pinned memory where weights are uploaded often."""

import contextlib
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from diffusion.memory.device import as_parameters


class _Upload:
    def __init__(self, tensors: tuple[nn.Parameter, ...], done: torch.cuda.Event):
        self._tensors, self._done = tensors, done

    def wait(self) -> tuple[nn.Parameter, ...]:
        computing = torch.cuda.current_stream()
        computing.wait_event(self._done)
        for tensor in self._tensors:
            tensor.record_stream(computing)  # the memory is not used again before the computation is past it
        return self._tensors


class _Mark:
    def __init__(self, event: torch.cuda.Event):
        self._event = event

    @property
    def passed(self) -> bool:
        return self._event.query()

    def wait(self) -> None:
        self._event.synchronize()


@dataclass(eq=False)
class _Watch:
    before: int = 0
    """The peak until a job within this one began to watch for itself."""

    @property
    def peak(self) -> int:
        return max(self.before, torch.cuda.max_memory_allocated())


class CudaDevice:
    """limit: bytes that may be used at most; None for all there are."""

    def __init__(self, index: int = 0, limit: int | None = None):
        self.torch = torch.device("cuda", index)
        self.name = f"cuda:{index} {torch.cuda.get_device_name(index)}"
        total = torch.cuda.mem_get_info(index)[1]
        self.capacity = total if limit is None else min(total, limit)
        if self.capacity < total:
            share = self.capacity / total
            torch.cuda.set_per_process_memory_fraction(share, index)  # pyright: ignore[reportUnknownMemberType]
        self._stream = torch.cuda.Stream(self.torch)
        self._watches: list[_Watch] = []

    def used(self) -> int:
        return torch.cuda.memory_allocated(self.torch)

    def free(self) -> int:
        idle = torch.cuda.memory_reserved(self.torch) - self.used()
        return min(torch.cuda.mem_get_info(self.torch)[0] + idle, self.capacity - self.used())

    def upload(self, tensors: Sequence[Tensor]) -> _Upload:
        # Outside inference mode: they outlive the job that they are brought up for.
        with torch.inference_mode(False), torch.no_grad(), torch.cuda.stream(self._stream):
            there = as_parameters([tensor.to(self.torch, non_blocking=True) for tensor in tensors])
            done = torch.cuda.Event()
            done.record(self._stream)
        return _Upload(there, done)

    def staged(self, tensor: Tensor) -> Tensor:
        with torch.inference_mode(False), contextlib.suppress(RuntimeError):  # the system gives no more such memory
            return tensor.detach().pin_memory()
        return tensor

    def mark(self) -> _Mark:
        event = torch.cuda.Event()
        event.record(torch.cuda.current_stream(self.torch))
        return _Mark(event)

    @contextmanager
    def computing(self) -> Generator[_Watch]:
        for watch in self._watches:
            watch.before = watch.peak
        torch.cuda.reset_peak_memory_stats(self.torch)
        mine = _Watch()
        self._watches.append(mine)
        try:
            with torch.cuda.device(self.torch):
                yield mine
        finally:
            self._watches.remove(mine)
            for watch in self._watches:
                watch.before = max(watch.before, mine.peak)

    def trim(self) -> int:
        before = torch.cuda.memory_reserved(self.torch)
        torch.cuda.empty_cache()
        return before - torch.cuda.memory_reserved(self.torch)
