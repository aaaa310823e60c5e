"""Arithmetic of masks (B, H, W), 0…1, 1 selected."""

from collections.abc import Callable

import torch
from torch import Tensor

from diffusion.images.batch import repeat_to

COMBINE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "multiply": lambda below, above: below * above,
    "add": lambda below, above: below + above,
    "subtract": lambda below, above: below - above,
    "and": lambda below, above: ((below.round() > 0) & (above.round() > 0)).to(below),
    "or": lambda below, above: ((below.round() > 0) | (above.round() > 0)).to(below),
    "xor": lambda below, above: ((below.round() > 0) ^ (above.round() > 0)).to(below),
}


def combine(destination: Tensor, source: Tensor, x: int, y: int, operation: str) -> Tensor:
    """destination, combined with source where that covers it from (x, y); clipped to 0…1."""
    result = destination.clone()
    batch = len(result)
    high = min(source.shape[1], max(0, result.shape[1] - y))
    wide = min(source.shape[2], max(0, result.shape[2] - x))
    part = result[:, y : y + high, x : x + wide]
    part[:] = COMBINE[operation](part, repeat_to(source, batch)[:, :high, :wide].to(part))
    return result.clamp(0, 1)


def feather(mask: Tensor, left: int, top: int, right: int, bottom: int) -> Tensor:
    """Fades each edge linearly to 0 over that many pixels; the outermost keeps 1/n of its value."""
    return mask * ramp(mask.shape[1], top, bottom)[:, None] * ramp(mask.shape[2], left, right)


def ramp(length: int, start: int, end: int) -> Tensor:
    """(length,): 1/start, 2/start, … 1 … 2/end, 1/end."""
    start, end = min(start, length), min(end, length)
    weights = torch.ones(length)
    if start:
        weights[:start] *= torch.arange(1, start + 1) / start
    if end:
        weights[length - end :] *= torch.arange(end, 0, -1) / end
    return weights
