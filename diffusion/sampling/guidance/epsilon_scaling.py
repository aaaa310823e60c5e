"""Epsilon scaling: Ning et al. (arXiv:2308.15321), against the drift of sampling from training."""

from torch import Tensor

from diffusion.handles import Model
from diffusion.sampling.guidance.core import GuidanceStep, with_after


def with_epsilon_scaling(model: Model, factor: float = 1.005) -> Model:
    """Divides the predicted noise by a factor slightly above 1."""
    if factor == 0:
        raise ValueError("The factor of epsilon scaling divides, so it cannot be 0")

    def after(step: GuidanceStep) -> Tensor:
        return step.x - (step.x - step.denoised) / factor

    return with_after(model, after)
