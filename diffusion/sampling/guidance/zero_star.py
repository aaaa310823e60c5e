"""CFG-Zero*: Fan et al. (arXiv:2503.18886)."""

from torch import Tensor

from diffusion.handles import Model
from diffusion.sampling.guidance.core import GuidanceStep, with_after


def with_cfg_zero_star(model: Model) -> Model:
    """Scales the unconditional estimate so that its velocity is the projection of the positive one (eq. 8)."""

    def after(step: GuidanceStep) -> Tensor:
        if step.negative is None:
            return step.denoised
        velocity, other = (step.x - step.positive).flatten(1), (step.x - step.negative).flatten(1)
        dot = (velocity * other).sum(1) / (other.square().sum(1) + 1e-8)
        scale = dot.view(-1, *[1] * (step.x.dim() - 1))
        return step.denoised + step.negative * ((scale - 1) * (1 - step.cfg))

    return with_after(model, after)
