"""Where networks of ours compute while packs' loop runs: the place the keeper of a model gave."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import torch
from torch import nn

from diffusion.memory import estimate
from diffusion.memory.in_place import InPlace
from diffusion.memory.keeper import keeper_of
from diffusion.memory.work import Need, Place, Way, Work
from diffusion.ops.stored import compute_dtype

T = TypeVar("T")

_place: ContextVar[Place | None] = ContextVar("place", default=None)


def here(network: nn.Module) -> nn.Module:
    """A network of ours as it computes in the run that is going on; itself outside of runs."""
    place = _place.get()
    return network if place is None else place.of(network)


def device_of(network: nn.Module) -> torch.device:
    """Where a network of ours will compute: the card, where something keeps it for one; else where it lies."""
    if isinstance(keeper_of(network), InPlace):
        return next(network.parameters()).device
    from comfy.model_management import get_torch_device

    return get_torch_device()


@contextmanager
def at(place: Place) -> Iterator[None]:
    token = _place.set(place)
    try:
        yield
    finally:
        _place.reset(token)


def run_at_a_place(patcher: Any, shape: Any, conds: Any, steps: int, job: Callable[[], T]) -> T:
    """Do a job of packs' loop where the keeper of the model says, the patcher's networks being there.

    shape: of the latent. A model that a pack built itself runs where its patcher says; a run within
    a run is at its place.
    """
    native = patcher.native
    if native is None or _place.get() is not None:
        return job()
    others: dict[nn.Module, None] = {}
    for entries in conds.values():
        for entry in entries:
            control = entry.get("control")
            while control is not None:
                mine = getattr(control, "native", None)
                if mine is not None:
                    others[mine.network] = None
                control = getattr(control, "previous_controlnet", None)
    needs = [Need(native.network, patcher.weight_patches(), steps), *(Need(one, (), steps) for one in others)]
    count = max(sum(len(entries) for entries in conds.values()), 1)
    itemsize = compute_dtype(native.network).itemsize
    height, width = shape[-2:]
    activations = estimate.sampling(native.family.activation_factor, shape[0] * count, height, width, itemsize)

    def there(place: Place) -> T:
        before = patcher.load_device
        patcher.load_device = place.device
        try:
            with at(place):
                return job()
        finally:
            patcher.load_device = before

    key = f"{native.family.name} {shape[0]}x{count} {width}x{height} {itemsize} of packs"
    work = Work(f"{native.family.name} sampling", needs, [Way(there, activations)], key)
    return keeper_of(native.network).run(work)
