"""Perpendicular negative prompts (arXiv:2304.04968)."""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from diffusion.handles import Model
from diffusion.sampling.conditioning import Condition
from diffusion.sampling.guidance.core import GuidanceStep, guidance_of, with_combine

_EMPTY = "perp_neg_empty"


def with_perp_neg(model: Model, empty: Sequence[Condition], neg_scale: float = 1.0) -> Model:
    """The model guided by `perpendicular`; `empty` is the conditioning of an empty prompt."""

    def combine(step: GuidanceStep) -> Tensor:
        return perpendicular(step.positive, step.unconditional, step.predict(_EMPTY), step.cfg, neg_scale)

    changed = with_combine(model, combine, always_negative=True)
    guidance = guidance_of(changed)
    conditionings = {**guidance.conditionings, _EMPTY: empty}
    return replace(changed, guidance=replace(guidance, conditionings=conditionings))


def perpendicular(positive: Tensor, negative: Tensor, empty: Tensor, cfg: float, neg_scale: float) -> Tensor:
    """Away from the part of the negative that stands at right angles to the positive, both seen from the empty prompt.

    All (B, C, H, W). Angles are taken in each sample by itself.
    """
    toward, away = positive - empty, negative - empty
    dims = tuple(range(1, toward.dim()))
    share = (away * toward).sum(dims, keepdim=True) / toward.square().sum(dims, keepdim=True).clamp(min=1e-30)
    return empty + (toward - (away - toward * share) * neg_scale) * cfg
