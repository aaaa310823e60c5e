"""What can be done to latents (B, C, H, W) as if they were pictures. Each is called as `operation(latent=tensor)`."""

from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion.images.filters import sharpen

TINY = 1e-10


def length(latent: Tensor) -> Tensor:
    """The Euclidean length of each cell's vector, (B, 1, …)."""
    return latent.square().sum(1, keepdim=True).sqrt()


def unit(latent: Tensor) -> Tensor:
    """Vectors of length 1; zero stays zero."""
    size = length(latent)
    return torch.where(size > 0, latent / size, 0)


def interpolate(first: Tensor, second: Tensor, ratio: float) -> Tensor:
    """Direction and length mixed apart; ratio 1 is `first`. Lengths that cancel out give zero."""
    direction = unit(torch.lerp(unit(second), unit(first), ratio))
    return direction * torch.lerp(length(second), length(first), ratio)


@dataclass(frozen=True)
class Sharpen:
    """Unsharp masking of the directions of latent vectors, their lengths kept apart. amount: 1 is strong."""

    radius: int
    sigma: float
    amount: float

    def __call__(self, *, latent: Tensor) -> Tensor:
        size = length(latent) + 1e-6
        return sharpen(latent / size, self.radius, self.sigma, self.amount * 10) * size


@dataclass(frozen=True)
class TonemapReinhard:
    """Reinhard et al., "Photographic Tone Reproduction" (2002), on the lengths of latent vectors.

    White is 5 deviations above the mean length of each picture, times `multiplier`.
    """

    multiplier: float

    def __call__(self, *, latent: Tensor) -> Tensor:
        size = length(latent)
        axes = tuple(range(1, latent.ndim))
        white = (size.mean(axes, keepdim=True) + 5 * size.std(axes, keepdim=True)) * self.multiplier + TINY
        scaled = size / white
        return latent / (size + TINY) * (scaled / (scaled + 1)) * white
