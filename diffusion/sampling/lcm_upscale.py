"""Sampling from consistency models while the latent grows."""

from itertools import pairwise

import torch
from torch import Tensor

from diffusion.images.resize import resize
from diffusion.sampling.denoiser import Denoiser, OnStep, Step, as_floats, per_row, silent
from diffusion.sampling.noise import Draw


def sample_lcm_upscale(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    on_step: OnStep = silent,
    *,
    draw: Draw,
    scale_ratio: float = 1.0,
    scale_steps: int = -1,
    upscale_method: str = "bislerp",
) -> Tensor:
    """`sample_lcm` whose estimate grows by equal amounts in the first steps, to `scale_ratio` times its size.

    scale_steps: how many steps to grow in; -1: half of them.
    Returns (B, C, round(H * scale_ratio), round(W * scale_ratio)) if there were steps enough.
    """
    steps = len(sigmas) - 1
    growing = max(len(sigmas) // 2, 1) if scale_steps < 0 else min(scale_steps, len(sigmas))
    sizes = as_floats(torch.linspace(1.0, scale_ratio, growing + 1, dtype=torch.float64))[1:]
    height, width = x.shape[-2:]
    for i, (sigma, sigma_next) in enumerate(pairwise(as_floats(sigmas))):
        denoised = denoiser(x, per_row(x, sigma))
        on_step(Step(i, steps, sigma, x, denoised))
        x = denoised
        if i < len(sizes):
            x = resize(x, round(width * sizes[i]), round(height * sizes[i]), upscale_method)
        if sigma_next > 0:
            x = x + draw(x.shape) * sigma_next
    return x
