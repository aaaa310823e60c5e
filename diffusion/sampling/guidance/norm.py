"""Guidance that may not make an estimate longer than the positive one."""

from torch import Tensor

from diffusion.handles import Model
from diffusion.sampling.guidance.core import GuidanceStep, with_after


def with_cfg_norm(model: Model, strength: float = 1.0) -> Model:
    """Shortens the guided estimate, position by position along the channels, to the length of the positive one.

    strength: factor on the result.
    """

    def after(step: GuidanceStep) -> Tensor:
        length = step.positive.square().sum(dim=1, keepdim=True).sqrt()
        guided = step.denoised.square().sum(dim=1, keepdim=True).sqrt()
        return step.denoised * ((length / (guided + 1e-8)).clamp(0, 1) * strength)

    return with_after(model, after)
