"""FreSca: Huang et al. (arXiv:2504.02154): low and high frequencies of the guiding direction scaled apart."""

from typing import Any

import torch
from torch import Tensor

from diffusion.handles import Model
from diffusion.sampling.guidance.core import GuidanceStep, with_before


def with_fresca(model: Model, scale_low: float = 1.0, scale_high: float = 1.25, freq_cutoff: int = 20) -> Model:
    """freq_cutoff: frequencies below it, in periods per latent, are low."""

    def before(step: GuidanceStep) -> tuple[Tensor, Tensor | None]:
        if step.negative is None:
            return step.positive, None
        direction = by_frequency(step.positive - step.negative, scale_low, scale_high, freq_cutoff)
        return step.negative + direction, step.negative

    return with_before(model, before)


def by_frequency(x: Tensor, scale_low: float, scale_high: float, cutoff: int) -> Tensor:
    """Scales a square of -cutoff … cutoff - 1 periods each way by one factor, all else by the other; (B, C, H, W)."""
    fft: Any = torch.fft  # its functions carry no annotations
    spectrum: Tensor = fft.fft2(x.float())
    low = torch.ones(x.shape[-2:], dtype=torch.bool, device=x.device)
    for dim, size in enumerate(x.shape[-2:]):
        periods = torch.arange(size, device=x.device)
        periods = torch.where(periods < (size + 1) // 2, periods, periods - size)
        inside = (periods >= -cutoff) & (periods < cutoff)
        low &= inside.view(-1, 1) if dim == 0 else inside.view(1, -1)
    filtered: Tensor = fft.ifft2(torch.where(low, spectrum * scale_low, spectrum * scale_high))
    return filtered.real.to(x.dtype)
