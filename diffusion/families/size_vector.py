"""The vector condition of the SDXL line: pooled text and the picture's sizes (arXiv:2307.01952, section 2.2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from diffusion.models.embeddings import sinusoidal
from diffusion.patches.hooks import Role

SIZE_WIDTH = 256


@dataclass(frozen=True, slots=True)
class SizeCondition:
    """Sizes the network is told, in pixels."""

    height: int
    width: int
    """Original size of the picture in training."""
    crop_top: int = 0
    crop_left: int = 0
    target_height: int | None = None
    """None: the original height."""
    target_width: int | None = None
    aesthetic_score: float | None = None
    """None: 6.0 for the positive, 2.5 for the negative prompt."""


class SizeVector(Protocol):
    def __call__(self, pooled: Tensor, sizes: SizeCondition, role: Role, /) -> Tensor:
        """pooled: (B, P). Returns (B, V) float32."""
        ...


def sdxl_vector(pooled: Tensor, sizes: SizeCondition, role: Role) -> Tensor:
    """Pooled text, original size, crop, target size; (B, 1280) to (B, 2816). The role makes no difference."""
    target_height = sizes.height if sizes.target_height is None else sizes.target_height
    target_width = sizes.width if sizes.target_width is None else sizes.target_width
    numbers = (sizes.height, sizes.width, sizes.crop_top, sizes.crop_left, target_height, target_width)
    return _joined(pooled, numbers)


def refiner_vector(pooled: Tensor, sizes: SizeCondition, role: Role) -> Tensor:
    """Pooled text, original size, crop, aesthetic score; (B, 1280) to (B, 2560)."""
    default = 6.0 if role == "positive" else 2.5
    score = default if sizes.aesthetic_score is None else sizes.aesthetic_score
    return _joined(pooled, (sizes.height, sizes.width, sizes.crop_top, sizes.crop_left, score))


def pooled_alone(pooled: Tensor, sizes: SizeCondition, role: Role) -> Tensor:
    """Pooled text as it is, for lines that are told no sizes."""
    return pooled.float()


def _joined(pooled: Tensor, numbers: Sequence[float]) -> Tensor:
    values = torch.tensor(numbers, dtype=torch.float32, device=pooled.device)
    embedded = sinusoidal(values, SIZE_WIDTH).flatten()
    return torch.cat([pooled.float(), embedded.expand(len(pooled), -1)], dim=1)
