"""The vector condition of unCLIP models: what CLIP saw in pictures, noised so far as results may differ from them.

Stable unCLIP (https://github.com/Stability-AI/stablediffusion/blob/main/doc/UNCLIP.MD) after arXiv:2204.06125.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from diffusion.models.embeddings import sinusoidal

_LEVELS = 1000
_MERGED = 0.05
"""Noise on the sum of several pictures."""


@dataclass(frozen=True, eq=False)
class ImageStatistics:
    """Mean and deviation of the image embeddings that the network was trained with, (P,) each."""

    mean: Tensor
    deviation: Tensor


@dataclass(frozen=True, slots=True)
class SeenPicture:
    embedding: Tensor
    """(1, P), from a CLIP image encoder."""
    strength: float = 1.0
    noise: float = 0.0
    """0…1: how far the result may be from the picture."""


def seen_pictures(options: Mapping[str, Any]) -> tuple[SeenPicture, ...]:
    """What a conditioning brings under "unclip_conditioning"."""
    return tuple(
        SeenPicture(each["clip_vision_output"].image_embeds, float(each["strength"]), float(each["noise_augmentation"]))
        for each in options.get("unclip_conditioning", ())
    )


def image_vector(statistics: ImageStatistics, pictures: Sequence[SeenPicture], seed: int) -> Tensor:
    """(1, 2P) float32: the noised embedding and its noise level; zeros without pictures.

    Several pictures are summed by their strengths and noised once more. Raises ValueError for one that another encoder
    saw.
    """
    width = len(statistics.mean)
    if not pictures:
        return torch.zeros(1, 2 * width)
    generator = torch.Generator().manual_seed((seed - 10) % 2**64)
    vectors: list[Tensor] = []
    for picture in pictures:
        embedding = picture.embedding[:1].float().cpu()
        if embedding.shape[1] != width:
            raise ValueError(
                f"This model reads pictures that a CLIP vision encoder gave {width} numbers; this one has "
                f"{embedding.shape[1]}: use the encoder that belongs to the checkpoint"
            )
        vectors.append(_noised(statistics, embedding, picture.noise, generator) * picture.strength)
    if len(vectors) == 1:
        return vectors[0]
    return _noised(statistics, torch.stack(vectors).sum(0)[:, :width], _MERGED, generator)


def _noised(statistics: ImageStatistics, embedding: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    level = round((_LEVELS - 1) * min(max(noise, 0.0), 1.0))
    kept = _kept()[level]
    normal = (embedding - statistics.mean) / statistics.deviation
    drawn = torch.randn(normal.shape, generator=generator)
    normal = kept.sqrt() * normal + (1 - kept).sqrt() * drawn
    numbers = sinusoidal(torch.tensor([float(level)]), embedding.shape[1])
    return torch.cat([normal * statistics.deviation + statistics.mean, numbers], dim=1)


@cache
def _kept() -> Tensor:
    """The share of signal that is left at each level of the cosine schedule (arXiv:2102.09672), (1000,)."""

    def signal(time: float) -> float:
        return math.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2

    betas = [min(1 - signal((i + 1) / _LEVELS) / signal(i / _LEVELS), 0.999) for i in range(_LEVELS)]
    return torch.cumprod(1 - torch.tensor(betas, dtype=torch.float64), dim=0).float()
