"""Sampling from consistency models."""

from itertools import pairwise

from torch import Tensor

from diffusion.sampling.denoiser import Denoiser, OnStep, Step, StepNoise, as_floats, per_row, silent
from diffusion.sampling.marginals import Marginals


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
    for i, (sigma, sigma_next) in enumerate(pairwise(as_floats(sigmas))):
        denoised = denoiser(x, per_row(x, sigma))
        on_step(Step(i, len(sigmas) - 1, sigma, x, denoised))
        x = denoised if sigma_next == 0 else marginals.noised(denoised, noise(sigma, sigma_next), sigma_next)
    return x
