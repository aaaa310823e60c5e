"""Guidance away from what a weakened copy of the network says: of itself, with some attention or layers spoiled."""

import math

from torch import Tensor

from diffusion.handles import Model
from diffusion.patches.hooks import ModelHooks
from diffusion.sampling.guidance.core import GuidanceStep, with_after
from diffusion.sampling.process import process_of


def with_weakened_guidance(
    model: Model,
    weakening: ModelHooks,
    scale: float,
    *,
    start_percent: float = 0.0,
    end_percent: float = 1.0,
    rescaling: float = 0.0,
) -> Model:
    """Adds scale * (positive - positive under `weakening`) between two shares of the sampling.

    Perturbed-attention guidance (arXiv:2403.17377) and skip-layer guidance (Stability AI, SD 3.5) are of this form.
    rescaling: how far the result is given back the deviation of the positive estimate, 0…1.
    """
    levels = process_of(model.prediction).levels
    start = math.inf if start_percent <= 0 else levels.percent_to_sigma(start_percent)
    end = levels.percent_to_sigma(end_percent)

    def after(step: GuidanceStep) -> Tensor:
        if scale == 0 or not end <= float(step.sigma[0]) <= start:
            return step.denoised
        guided = step.denoised + (step.positive - step.predict("positive", weakening)) * scale
        if rescaling:
            dims = tuple(range(1, guided.dim()))
            ratio = step.positive.std(dim=dims, keepdim=True) / guided.std(dim=dims, keepdim=True)
            guided = guided * (ratio * rescaling + (1 - rescaling))
        return guided

    return with_after(model, after)
