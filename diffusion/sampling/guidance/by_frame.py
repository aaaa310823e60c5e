"""Guidance whose scale differs between the pictures of a batch, for models whose batch is the frames of a video."""

import torch
from torch import Tensor

from diffusion.handles import Model
from diffusion.sampling.guidance.core import GuidanceStep, with_combine


def with_linear_cfg(model: Model, min_cfg: float = 1.0) -> Model:
    """From `min_cfg` on the first frame in equal steps to the run's own cfg on the last."""
    return with_combine(model, lambda step: _guided(step, torch.linspace(min_cfg, step.cfg, len(step.x))))


def with_triangle_cfg(model: Model, min_cfg: float = 1.0) -> Model:
    """From `min_cfg` on the first frame up to the run's own cfg in the middle, and down again, for loops."""

    def combine(step: GuidanceStep) -> Tensor:
        place = torch.linspace(0, 1, len(step.x))
        return _guided(step, min_cfg + (1 - (2 * place - 1).abs()) * (step.cfg - min_cfg))

    return with_combine(model, combine)


def _guided(step: GuidanceStep, scales: Tensor) -> Tensor:
    each = scales.to(step.x).view(-1, *[1] * (step.x.ndim - 1))
    return step.unconditional + each * (step.positive - step.unconditional)
