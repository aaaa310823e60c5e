"""Compositing after Porter and Duff, "Compositing Digital Images" (1984), and the blend modes Android adds to them.

Each mode gives colour and coverage from premultiplied colours s, d (source, destination) and coverages a, b.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Rule = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""(s, a, d, b) → (colour, coverage)."""

MODES: dict[str, Rule] = {
    "ADD": lambda s, a, d, b: ((s + d).clamp(0, 1), (a + b).clamp(0, 1)),
    "CLEAR": lambda s, a, d, b: (torch.zeros_like(s), torch.zeros_like(a)),
    "DARKEN": lambda s, a, d, b: ((1 - b) * s + (1 - a) * d + torch.minimum(s, d), a + b - a * b),
    "DST": lambda s, a, d, b: (d, b),
    "DST_ATOP": lambda s, a, d, b: (a * d + (1 - b) * s, a),
    "DST_IN": lambda s, a, d, b: (d * a, a * b),
    "DST_OUT": lambda s, a, d, b: ((1 - a) * d, (1 - a) * b),
    "DST_OVER": lambda s, a, d, b: (d + (1 - b) * s, b + (1 - b) * a),
    "LIGHTEN": lambda s, a, d, b: ((1 - b) * s + (1 - a) * d + torch.maximum(s, d), a + b - a * b),
    "MULTIPLY": lambda s, a, d, b: (s * d, a * b),
    "OVERLAY": lambda s, a, d, b: (
        torch.where(2 * d < b, 2 * s * d, a * b - 2 * (b - d) * (a - s)),
        a + b - a * b,
    ),
    "SCREEN": lambda s, a, d, b: (s + d - s * d, a + b - a * b),
    "SRC": lambda s, a, d, b: (s, a),
    "SRC_ATOP": lambda s, a, d, b: (b * s + (1 - a) * d, b),
    "SRC_IN": lambda s, a, d, b: (s * b, a * b),
    "SRC_OUT": lambda s, a, d, b: ((1 - b) * s, (1 - b) * a),
    "SRC_OVER": lambda s, a, d, b: (s + (1 - a) * d, a + (1 - a) * b),
    "XOR": lambda s, a, d, b: ((1 - b) * s + (1 - a) * d, (1 - b) * a + (1 - a) * b),
}


def composite(source: Tensor, source_alpha: Tensor, destination: Tensor, destination_alpha: Tensor, mode: str):
    """Pictures (B, H, W, C) and coverages (B, H, W), 1 opaque → picture and coverage, colours not premultiplied.

    Where nothing covers, the colour is black.
    """
    a, b = source_alpha[..., None], destination_alpha[..., None]
    color, alpha = MODES[mode](source * a, a, destination * b, b)
    color = torch.where(alpha > 1e-5, color / alpha, 0).clamp(0, 1)
    return color, alpha[..., 0]
