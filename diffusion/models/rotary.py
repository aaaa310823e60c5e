"""Rotary position embedding (arXiv:2104.09864) along several axes, as in Flux: text, row, column."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Rotation:
    """An angle for each token and each pair of features; float32, (T, D / 2)."""

    cos: Tensor
    sin: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Turns the pairs (x_2i, x_2i+1) of (B, heads, T, D)."""
        first, second = x.float().reshape(*x.shape[:-1], -1, 2).unbind(-1)
        turned = torch.stack((first * self.cos - second * self.sin, first * self.sin + second * self.cos), dim=-1)
        return turned.flatten(-2).to(x.dtype)


def rotation(positions: Tensor, axes: tuple[int, ...], theta: float = 10000.0) -> Rotation:
    """positions: (T, len(axes)), any numbers. axes: how many features of a head each axis turns, all even.

    The i-th pair of an axis of d features turns by position / theta^(2i / d).
    """
    angles: list[Tensor] = []
    for axis, size in enumerate(axes):
        exponents = torch.arange(0, size, 2, dtype=torch.float64, device=positions.device) / size
        angles.append(positions[:, axis, None].double() / theta**exponents)
    joined = torch.cat(angles, dim=1)
    return Rotation(joined.cos().float(), joined.sin().float())


def grid_positions(
    rows: int, columns: int, device: torch.device, *, first: float = 0.0, top: float = 0.0, left: float = 0.0
) -> Tensor:
    """(rows * columns, 3): (first, row, column) of every patch; rows count from `top`, columns from `left`."""
    row = torch.arange(rows, dtype=torch.float32, device=device) + top
    column = torch.arange(columns, dtype=torch.float32, device=device) + left
    grid = torch.stack(torch.meshgrid(row, column, indexing="ij"), dim=-1).flatten(0, 1)
    return torch.cat([grid.new_full((len(grid), 1), first), grid], dim=1)
