"""Rescaled guidance: Lin et al. (arXiv:2305.08891), section 3.4."""

from torch import Tensor

from diffusion.handles import Model
from diffusion.sampling.guidance.core import GuidanceStep, with_combine


def with_rescaled_cfg(model: Model, multiplier: float = 0.7) -> Model:
    """Gives the guided v the deviation that the positive v has, sample by sample; mixed in by `multiplier`, 0…1.

    Estimates are turned into v on the variance-preserving form of the process, whatever the network predicts.
    """

    def combine(step: GuidanceStep) -> Tensor:
        sigma = step.level
        root = (sigma**2 + 1).sqrt()
        kept = step.x / (sigma**2 + 1)
        positive = (kept - step.positive) * root / sigma
        unconditional = (kept - step.unconditional) * root / sigma
        guided = unconditional + (positive - unconditional) * step.cfg
        rescaled = guided * (_deviation(positive) / _deviation(guided))
        mixed = rescaled * multiplier + guided * (1 - multiplier)
        return kept - mixed * sigma / root

    return with_combine(model, combine)


def _deviation(x: Tensor) -> Tensor:
    return x.std(dim=(1, 2, 3), keepdim=True)
