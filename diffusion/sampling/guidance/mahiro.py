"""Mahiro: guidance that leans to the scaled positive estimate where that and the guided one disagree."""

import torch.nn.functional as F
from torch import Tensor

from diffusion.handles import Model
from diffusion.sampling.guidance.core import GuidanceStep, with_after


def with_mahiro(model: Model) -> Model:
    """Published as a node, without a paper. Likeness is the cosine along the channels, averaged over everything."""

    def after(step: GuidanceStep) -> Tensor:
        leap, other = step.positive * step.cfg, step.unconditional * step.cfg
        merged = (leap + step.denoised) / 2
        likeness = F.cosine_similarity(_rooted(other), _rooted(merged)).mean()
        share = (likeness + 1) / 2
        return step.denoised * share + leap * (1 - share)

    return with_after(model, after)


def _rooted(x: Tensor) -> Tensor:
    """Square roots with the sign kept."""
    return x.abs().sqrt() * x.sign()
