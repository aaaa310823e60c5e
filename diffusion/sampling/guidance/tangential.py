"""Tangential damping: Kwon et al. (arXiv:2503.18137)."""

from typing import Any

import torch
from torch import Tensor

from diffusion.handles import Model
from diffusion.sampling.guidance.core import GuidanceStep, with_before


def with_tangential_damping(model: Model) -> Model:
    """Keeps of the unconditional score only the part along the main direction that both scores share (TCFG)."""

    def before(step: GuidanceStep) -> tuple[Tensor, Tensor | None]:
        if step.negative is None:
            return step.positive, None
        return step.positive, step.x - damped(step.x - step.positive, step.x - step.negative)

    return with_before(model, before)


def damped(score: Tensor, unconditional: Tensor) -> Tensor:
    """The unconditional score projected on the first right singular vector of both, sample by sample; (B, C, H, W)."""
    pair = torch.stack([score.flatten(1), unconditional.flatten(1)], dim=1)
    linalg: Any = torch.linalg  # its functions carry no annotations
    basis: Tensor = linalg.svd(pair, full_matrices=False)[2]
    main = basis[:, :1]
    return ((pair[:, 1:] @ main.transpose(1, 2)) @ main).view(unconditional.shape)
