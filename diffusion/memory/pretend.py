"""A card that is not there: a capacity, a link and a speed, around computations that happen on the CPU.

Every tensor that a computation makes is counted from its making to its end, as an allocator would, and one too many
raises torch.OutOfMemoryError, so what runs here never exceeds the capacity at any moment. Uploads copy in a thread of
their own. Time is virtual: a computation takes its floating point operations by `flops`, an upload its bytes by `link`,
the two overlap as they would on a card, and waiting for an upload moves the clock on. So the time a step would take
is exact, the same on every machine, and nobody sleeps.

What it cannot show: tensors that lie on the wrong device (all of them are on the CPU), memory that a kernel takes for
itself, and fragmentation.
"""

import math
import threading
import weakref
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from diffusion.memory.device import as_parameters


@dataclass(eq=False)
class Ledger:
    """What is allocated. Entries end by themselves, with the storage they stand for."""

    capacity: int
    used: int = 0
    watches: list["_Watch"] = field(default_factory=list["_Watch"])
    moved: int = 0
    """Bytes uploaded so far."""
    _held: dict[int, Any] = field(default_factory=dict[int, Any])
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def ask(self, size: int) -> None:
        """Raises torch.OutOfMemoryError when so many bytes are not free."""
        if self.used + size > self.capacity:
            free = self.capacity - self.used
            raise torch.OutOfMemoryError(f"pretend card: {size} bytes wanted, {free} of {self.capacity} are free")

    def hold(self, tensor: Tensor) -> None:
        """Count a tensor's storage, once."""
        storage, key = tensor.untyped_storage(), _identity(tensor)
        with self._lock:
            if key in self._held:
                return
            size = storage.nbytes()
            self.ask(size)
            self.used += size
            for watch in self.watches:
                watch.peak = max(watch.peak, self.used)
            self._held[key] = weakref.ref(storage, lambda _: self._release(key, size))

    def _release(self, key: int, size: int) -> None:
        with self._lock:
            if self._held.pop(key, None) is not None:
                self.used -= size


@dataclass(eq=False)
class Clock:
    """Virtual seconds: `now` where the computation is, `link` when the link will be idle."""

    now: float = 0.0
    link: float = 0.0


class _Upload:
    def __init__(self, tensors: tuple[nn.Parameter, ...], copied: Future[None], done: float, clock: Clock):
        self._tensors, self._copied, self._done, self._clock = tensors, copied, done, clock

    def wait(self) -> tuple[nn.Parameter, ...]:
        self._copied.result()
        self._clock.now = max(self._clock.now, self._done)
        return self._tensors


class _Passed:
    passed = True

    def wait(self) -> None:
        pass


@dataclass(eq=False)
class _Watch:
    peak: int


class PretendDevice:
    """A `Device`. capacity: bytes. link: bytes per second from the host. flops: floating point operations a second."""

    torch = torch.device("cpu")
    name = "pretend card"

    def __init__(self, capacity: int, link: float = math.inf, flops: float = math.inf):
        self.ledger = Ledger(capacity)
        self.clock = Clock()
        self.link, self.flops = link, flops
        self._stream = ThreadPoolExecutor(1, thread_name_prefix="pretend stream")

    @property
    def capacity(self) -> int:
        return self.ledger.capacity

    def used(self) -> int:
        self._let_go()
        return self.ledger.used

    def free(self) -> int:
        return self.capacity - self.used()

    def upload(self, tensors: Sequence[Tensor]) -> _Upload:
        size = sum(tensor.nbytes for tensor in tensors)
        if size > self.ledger.capacity - self.ledger.used:
            self._let_go()
        self.ledger.ask(size)
        with torch.inference_mode(False):  # they outlive the job, and the stream's thread has a mode of its own
            there = as_parameters([torch.empty_like(tensor) for tensor in tensors])
        for tensor in there:
            self.ledger.hold(tensor)
        self.ledger.moved += size
        self.clock.link = max(self.clock.link, self.clock.now) + size / self.link
        return _Upload(there, self._stream.submit(_copy, tuple(tensors), there), self.clock.link, self.clock)

    def staged(self, tensor: Tensor) -> Tensor:
        return tensor

    def mark(self) -> _Passed:
        return _Passed()  # here the computation is done when it has been asked for

    @contextmanager
    def computing(self) -> Generator[_Watch]:
        watch = _Watch(self.ledger.used)
        self.ledger.watches.append(watch)
        try:
            with _Counting(self.ledger, self._took):
                yield watch
        finally:
            self.ledger.watches.remove(watch)

    def trim(self) -> int:
        return 0  # this allocator keeps nothing

    def close(self) -> None:
        self._stream.shutdown()

    def _let_go(self) -> None:
        """Wait for copies under way: nobody may want them any more, but they hold their memory until they are done."""
        self._stream.submit(int).result()

    def _took(self, flops: int) -> None:
        self.clock.now += flops / self.flops


@torch.no_grad()
def _copy(here: Sequence[Tensor], there: Sequence[Tensor]) -> None:
    for source, target in zip(here, there, strict=True):
        target.copy_(source)


class _Counting(TorchDispatchMode):
    """Counts what operators allocate, and what they compute."""

    def __init__(self, ledger: Ledger, took: Callable[[int], None]):
        super().__init__()  # pyright: ignore[reportUnknownMemberType]
        self._ledger, self._took = ledger, took

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        given = {_identity(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        for leaf in tree_leaves(out):
            # What shares memory with an argument was allocated before, or lies on the host.
            if isinstance(leaf, Tensor) and _identity(leaf) not in given:
                self._ledger.hold(leaf)
        self._took(_flops(func, args, kwargs, out))
        return out


def _identity(tensor: Tensor) -> int:
    """Of the memory a tensor lies in; several Python objects may stand for it."""
    return tensor.untyped_storage()._cdata  # pyright: ignore[reportPrivateUsage]  # there is no other name for it


def _flops(func: Any, args: Any, kwargs: Any, out: Any) -> int:
    """Two for each multiplication with an addition. In inference mode layers arrive whole, and are in no table."""
    aten = torch.ops.aten
    match func.overloadpacket:
        case aten.conv2d:
            return 2 * out.numel() * args[1][0].numel()
        case aten.linear | torch.ops.mkldnn._linear_pointwise:
            return 2 * args[0].numel() * args[1].shape[0]
        case aten.matmul:
            return 2 * out.numel() * args[0].shape[-1]
        case aten.scaled_dot_product_attention | aten._scaled_dot_product_flash_attention_for_cpu:
            return 4 * args[0].numel() * args[1].shape[-2]
        case known if known in flop_registry:
            return flop_registry[known](*args, **kwargs, out_val=out)
        case _:
            return 0
