"""Renormalised and truncated guidance of Lumina 2 (https://github.com/Alpha-VLLM/Lumina-Image-2.0)."""

from torch import Tensor

from diffusion.handles import Model
from diffusion.sampling.guidance.core import GuidanceStep, with_combine


def with_renormalised_cfg(model: Model, cfg_trunc: float = 100.0, renorm_cfg: float = 1.0) -> Model:
    """Guides below the noise level `cfg_trunc` only, and no further than the prediction is long.

    renorm_cfg: how many times as long as the positive prediction the guided one may be, sample by sample; 0 is no
    limit. Lengths are those of the predicted velocity (x - denoised) / sigma.
    """

    def combine(step: GuidanceStep) -> Tensor:
        if float(step.sigma[0]) >= cfg_trunc:
            return step.positive
        positive, unconditional = ((step.x - each) / step.level for each in (step.positive, step.unconditional))
        guided = unconditional + step.cfg * (positive - unconditional)
        if renorm_cfg > 0:
            guided = guided * (renorm_cfg * _length(positive) / _length(guided)).clamp(max=1)
        return step.x - guided * step.level

    return with_combine(model, combine)


def _length(x: Tensor) -> Tensor:
    return x.square().sum(dim=tuple(range(1, x.ndim)), keepdim=True).sqrt()
