"""Adaptive projected guidance: Sadat et al. (arXiv:2410.02416)."""

from torch import Tensor

from diffusion.handles import Model
from diffusion.sampling.guidance.core import GuidanceStep, with_combine


def with_apg(model: Model, eta: float = 1.0, norm_threshold: float = 5.0, momentum: float = 0.0) -> Model:
    """Algorithm 1: the guiding direction with momentum, cut to a length, its part along the positive scaled by eta.

    norm_threshold: 0 is no limit. momentum: the paper uses negative ones.
    """
    key = object()

    def combine(step: GuidanceStep) -> Tensor:
        if step.negative is None:
            return step.positive
        direction = step.positive - step.negative
        level = float(step.sigma[0])
        before: tuple[float, Tensor] | None = step.memory.get(key)
        if before is not None and before[0] > level:
            direction = direction + before[1] * momentum
        step.memory[key] = level, direction
        dims = tuple(range(1, direction.dim()))
        if norm_threshold > 0:
            length = direction.square().sum(dims, keepdim=True).sqrt()
            direction = direction * (norm_threshold / length.clamp(min=1e-30)).clamp(max=1)
        square = step.positive.square().sum(dims, keepdim=True).clamp(min=1e-30)
        parallel = step.positive * ((direction * step.positive).sum(dims, keepdim=True) / square)
        return step.positive + (direction - parallel + parallel * eta) * (step.cfg - 1)

    return with_combine(model, combine)
