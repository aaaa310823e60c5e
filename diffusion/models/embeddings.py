"""Numbers as vectors."""

import math

import torch
from torch import Tensor


def sinusoidal(values: Tensor, width: int, period: float = 10000.0) -> Tensor:
    """Cosines then sines of `values` at width / 2 geometrically spaced frequencies (arXiv:2006.11239).

    values: (N,). Returns (N, width) float32.
    """
    half = width // 2
    frequencies = torch.exp(-math.log(period) / half * torch.arange(half, dtype=torch.float32, device=values.device))
    angles = values.float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1)
