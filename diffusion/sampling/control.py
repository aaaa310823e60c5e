"""Control networks during sampling: which act at a noise level, on what hint, how strongly, and their sum."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Protocol

from torch import Tensor

from diffusion.handles import ControlNet
from diffusion.images.batch import repeat_to
from diffusion.images.resize import resize
from diffusion.models.t2i_adapter import T2IAdapter
from diffusion.patches.hooks import Control
from diffusion.sampling.levels import Levels


@dataclass(frozen=True, slots=True)
class ControlCall:
    """What the diffusion network is about to be shown."""

    x: Tensor
    """(B, C, H, W), scaled as the network gets it; the latent's own channels only."""
    timesteps: Tensor
    """(B,)"""
    context: Tensor
    """(B, T, D)"""
    y: Tensor | None
    sigma: float
    levels: Levels


class ControlSource(Protocol):
    """Anything that can add to the inside of a diffusion network."""

    def control(self, call: ControlCall) -> Control | None:
        """What to add in this call; None for nothing."""
        ...


@dataclass(frozen=True)
class ControlLink:
    """A control network at work, and those applied before it."""

    handle: ControlNet
    hint: Tensor
    """(B, H, W, 3) in 0…1, any size."""
    strength: float = 1.0
    start_percent: float = 0.0
    end_percent: float = 1.0
    previous: "ControlSource | None" = None

    def control(self, call: ControlCall) -> Control | None:
        before = None if self.previous is None else self.previous.control(call)
        start = call.levels.percent_to_sigma(self.start_percent)
        end = call.levels.percent_to_sigma(self.end_percent)
        if self.strength == 0 or not end <= call.sigma <= start:
            return before
        return summed(before, scaled(self._evaluate(call), self.strength))

    def _evaluate(self, call: ControlCall) -> Control:
        network = self.handle.network
        height, width = 8 * call.x.shape[2], 8 * call.x.shape[3]
        hint = resize(self.hint.movedim(-1, 1), width, height, "nearest-exact", crop=True)
        hint = repeat_to(hint, len(call.x)).to(call.x.device)
        if isinstance(network, T2IAdapter):
            if network.config.hint_channels == 1:
                hint = hint.mean(dim=1, keepdim=True)
            return network(hint)
        return network(call.x, call.timesteps, call.context, call.y, hint)


def scaled(control: Control, strength: float) -> Control:
    """Every feature map times strength."""
    return _mapped(control, lambda feature: feature * strength)


def _mapped(control: Control, change: Callable[[Tensor], Tensor]) -> Control:
    def each(features: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
        return tuple(None if feature is None else change(feature) for feature in features)

    return Control(each(control.inputs), each(control.skips), each((control.middle,))[0])


def summed(first: Control | None, second: Control | None) -> Control | None:
    """Feature maps of both, added where both have one."""
    if first is None or second is None:
        return first or second

    def each(a: tuple[Tensor | None, ...], b: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
        return tuple(_added(one, other) for one, other in zip_longest(a, b))

    return Control(
        each(first.inputs, second.inputs), each(first.skips, second.skips), _added(first.middle, second.middle)
    )


def _added(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    if a is None or b is None:
        return b if a is None else a
    return a + b
