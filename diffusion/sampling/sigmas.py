"""Cutting and changing a list of sigmas, whatever schedule made it."""

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor

from diffusion.sampling.levels import Levels

Spacing = Literal["linear", "cosine", "sine"]


def cut(sigmas: Tensor, start_step: int = 0, end_step: int | None = None, *, leftover_noise: bool = True) -> Tensor:
    """The steps from start_step up to end_step of a run. leftover_noise False: the last level becomes 0.

    A start behind the end leaves nothing: fewer than two sigmas.
    """
    end = len(sigmas) - 1 if end_step is None else end_step
    if end < len(sigmas) - 1:
        sigmas = sigmas[: end + 1].clone()
        if not leftover_noise and len(sigmas):
            sigmas[-1] = 0
    return sigmas[start_step:] if start_step < len(sigmas) - 1 else sigmas[:0]


def split(sigmas: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """Levels up to a step and from it on; the one between is in both."""
    return sigmas[: step + 1], sigmas[step:]


def split_by_denoise(sigmas: Tensor, denoise: float) -> tuple[Tensor, Tensor]:
    """The same, the second part being the last `denoise` share of the steps."""
    steps = max(len(sigmas) - 1, 0)
    return split(sigmas, steps - round(steps * denoise))


def flip(sigmas: Tensor) -> Tensor:
    """Backwards, for adding noise instead of removing it; a level of 0 at the start becomes 0.0001."""
    flipped = sigmas.flip(0)
    if len(flipped) and flipped[0] == 0:
        flipped[0] = 0.0001
    return flipped


def with_first(sigmas: Tensor, sigma: float) -> Tensor:
    """The same levels, beginning at another one."""
    changed = sigmas.clone()
    if len(changed):
        changed[0] = sigma
    return changed


_SPACINGS: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {
        "linear": lambda share: share,
        "cosine": lambda share: torch.sin(share * math.pi / 2),
        "sine": lambda share: 1 - torch.cos(share * math.pi / 2),
    }
)


def extend(sigmas: Tensor, steps: int, start_at_sigma: float, end_at_sigma: float, spacing: Spacing) -> Tensor:
    """Divides every interval that begins between the two sigmas into `steps`.

    start_at_sigma: the upper limit; below 0 there is none. end_at_sigma: the lower limit.
    """
    upper = math.inf if start_at_sigma < 0 else start_at_sigma
    shares = _SPACINGS[spacing](torch.linspace(0, 1, steps + 1, device=sigmas.device)[1:-1])
    parts: list[Tensor] = []
    for here, following in pairwise(sigmas):
        parts.append(here[None])
        if end_at_sigma <= float(here) <= upper:
            parts.append(here + shares * (following - here))
    return torch.cat([*parts, sigmas[-1:]])


def at_percent(levels: Levels, percent: float, *, actual: bool = False) -> float:
    """The sigma when a share of the sampling is done. actual: the model's own limits at 0 and 1."""
    if actual and percent <= 0:
        return levels.sigma_max
    if actual and percent >= 1:
        return levels.sigma_min
    return levels.percent_to_sigma(percent)
