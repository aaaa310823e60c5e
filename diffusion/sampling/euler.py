"""Euler's method, and its CFG++ form."""

from itertools import pairwise

from torch import Tensor

from diffusion.sampling.denoiser import Denoiser, OnStep, Step, as_floats, per_row, silent, slope


def sample_euler(denoiser: Denoiser, x: Tensor, sigmas: Tensor, on_step: OnStep = silent) -> Tensor:
    """Euler steps along the probability-flow ODE: Karras et al. 2022 (arXiv:2206.00364), Algorithm 2 without churn.

    In this form of the ODE it is DDIM with eta = 0 (Song et al. 2020, arXiv:2010.02502).

    x: latent at noise level sigmas[0], (B, C, H, W). sigmas: (steps + 1,), decreasing to 0.
    """
    for i, (sigma, sigma_next) in enumerate(pairwise(as_floats(sigmas))):
        denoised = denoiser(x, per_row(x, sigma))
        on_step(Step(i, len(sigmas) - 1, sigma, x, denoised))
        x = x + slope(x, sigma, denoised) * (sigma_next - sigma)
    return x
