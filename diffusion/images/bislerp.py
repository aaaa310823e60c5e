"""Bilinear resampling on spheres: direction and length of each latent vector are interpolated apart.

Averaging two latent vectors of different direction shortens them, which decodes as grey blur. Slerp (Shoemake 1985)
keeps the length. Rows are interpolated first, then columns.
"""

import torch
from torch import Tensor


def slerp(a: Tensor, b: Tensor, amount: Tensor) -> Tensor:
    """Between vectors along the last dimension: a at amount 0, b at 1; lengths are interpolated linearly.

    a, b: (…, C). amount: (…, 1). Vectors nearly parallel or nearly opposite, where the arc is undefined, are not
    turned: parallel ones give a, opposite ones a straight line.
    """
    a_length, b_length = a.square().sum(-1, keepdim=True).sqrt(), b.square().sum(-1, keepdim=True).sqrt()
    a_unit = torch.where(a_length > 0, a / a_length, 0)
    b_unit = torch.where(b_length > 0, b / b_length, 0)
    cosine = (a_unit * b_unit).sum(-1, keepdim=True)
    angle = cosine.clamp(-1, 1).acos()
    turned = (((1 - amount) * angle).sin() * a_unit + (amount * angle).sin() * b_unit) / angle.sin()
    turned = turned * (a_length * (1 - amount) + b_length * amount)
    turned = torch.where(cosine > 1 - 1e-5, a, turned)
    return torch.where(cosine < 1e-5 - 1, a * (1 - amount) + b * amount, turned)


def positions(old: int, new: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """For each new cell: the old cells left and right of it, and how far it is from the left one, 0…1."""
    at = ((torch.arange(new, dtype=torch.float32, device=like.device) + 0.5) * (old / new) - 0.5).clamp(0, old - 1)
    left = at.floor().long()
    return left, (left + 1).clamp(max=old - 1), at - left


def bislerp(x: Tensor, width: int, height: int) -> Tensor:
    """x: (B, C, H, W) → (B, C, height, width), same dtype."""
    vectors = x.float().movedim(1, -1)
    left, right, amount = positions(x.shape[-1], width, x)
    vectors = slerp(vectors[:, :, left], vectors[:, :, right], amount[:, None])
    top, bottom, amount = positions(x.shape[-2], height, x)
    vectors = slerp(vectors[:, top], vectors[:, bottom], amount[:, None, None])
    return vectors.movedim(-1, 1).to(x.dtype)
