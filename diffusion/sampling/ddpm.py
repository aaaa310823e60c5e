"""Ancestral sampling of the original diffusion model."""

import math
from itertools import pairwise

from torch import Tensor

from diffusion.sampling.denoiser import Denoiser, OnStep, Step, StepNoise, as_floats, per_row, silent, slope


def sample_ddpm(denoiser: Denoiser, x: Tensor, sigmas: Tensor, on_step: OnStep = silent, *, noise: StepNoise) -> Tensor:
    """The posterior mean plus noise: Ho et al. 2020 (arXiv:2006.11239), Algorithm 2, with abar = 1 / (1 + sigma²).

    The state is variance-preserving inside a step and variance-exploding between steps.
    x: latent at noise level sigmas[0], (B, C, H, W). sigmas: (steps + 1,), decreasing.
    """
    for i, (sigma, sigma_next) in enumerate(pairwise(as_floats(sigmas))):
        denoised = denoiser(x, per_row(x, sigma))
        on_step(Step(i, len(sigmas) - 1, sigma, x, denoised))
        abar, abar_next = 1 / (1 + sigma**2), 1 / (1 + sigma_next**2)
        alpha = abar / abar_next
        eps = slope(x, sigma, denoised)
        x = (x * math.sqrt(abar) - eps * ((1 - alpha) / math.sqrt(1 - abar))) / math.sqrt(alpha)
        if sigma_next > 0:
            deviation = math.sqrt((1 - alpha) * (1 - abar_next) / (1 - abar))
            x = (x + noise(sigma, sigma_next) * deviation) / math.sqrt(abar_next)
    return x
