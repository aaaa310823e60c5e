"""Sampling from consistency models, plain and growing the latent on the way."""

from itertools import pairwise

import torch
from torch import Tensor

from diffusion.latent_resize import Method, resize
from diffusion.sampling.denoiser import Denoiser, OnStep, Step, StepNoise, per_row, silent
from diffusion.sampling.marginals import Marginals
from diffusion.sampling.noise import Draw


def sample_lcm(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    on_step: OnStep = silent,
    *,
    noise: StepNoise,
    marginals: Marginals,
) -> Tensor:
    """Jump to the estimate, noise it to the next level, again: Luo et al. 2023 (arXiv:2310.04378), Algorithm 3.

    x: latent at noise level sigmas[0], (B, C, H, W). sigmas: (steps + 1,), decreasing.
    """
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas.tolist())):
        denoised = denoiser(x, per_row(x, sigma))
        on_step(Step(i, len(sigmas) - 1, sigma, x, denoised))
        x = denoised if sigma_next == 0 else marginals.noised(denoised, noise(sigma, sigma_next), sigma_next)
    return x


def sample_lcm_upscale(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    on_step: OnStep = silent,
    *,
    draw: Draw,
    scale_ratio: float = 1.0,
    scale_steps: int = -1,
    upscale_method: Method = "bislerp",
) -> Tensor:
    """`sample_lcm` whose estimate grows by equal amounts in the first steps, to `scale_ratio` times its size.

    scale_steps: how many steps to grow in; -1: half of them.
    Returns (B, C, round(H * scale_ratio), round(W * scale_ratio)) if there were steps enough.
    """
    steps = len(sigmas) - 1
    growing = max(len(sigmas) // 2, 1) if scale_steps < 0 else min(scale_steps, len(sigmas))
    sizes: list[float] = torch.linspace(1.0, scale_ratio, growing + 1, dtype=torch.float64).tolist()[1:]
    height, width = x.shape[-2:]
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas.tolist())):
        denoised = denoiser(x, per_row(x, sigma))
        on_step(Step(i, steps, sigma, x, denoised))
        x = denoised
        if i < len(sizes):
            x = resize(x, round(height * sizes[i]), round(width * sizes[i]), upscale_method)
        if sigma_next > 0:
            x = x + draw(x.shape) * sigma_next
    return x
