"""DPM-Solver-2, plain and ancestral."""

import math
from itertools import pairwise

from torch import Tensor

from diffusion.sampling.denoiser import Denoiser, OnStep, Step, StepNoise, as_floats, per_row, silent, slope
from diffusion.sampling.marginals import Marginals


def sample_dpm_2(denoiser: Denoiser, x: Tensor, sigmas: Tensor, on_step: OnStep = silent) -> Tensor:
    """The midpoint rule with the midpoint in ln(sigma): DPM-Solver-2 (arXiv:2206.00927), as in k-diffusion.

    Second order, two evaluations a step. x: latent at noise level sigmas[0], (B, C, H, W). sigmas: (steps + 1,).
    """
    for i, (sigma, sigma_next) in enumerate(pairwise(as_floats(sigmas))):
        denoised = denoiser(x, per_row(x, sigma))
        on_step(Step(i, len(sigmas) - 1, sigma, x, denoised))
        x = _midpoint_step(denoiser, x, sigma, sigma_next, denoised)
    return x


def sample_dpm_2_ancestral(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    on_step: OnStep = silent,
    *,
    noise: StepNoise,
    marginals: Marginals,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Tensor:
    """`sample_dpm_2` to a level below the next, then noise up to it. eta, s_noise: as in `euler_ancestral`."""
    for i, (sigma, sigma_next) in enumerate(pairwise(as_floats(sigmas))):
        denoised = denoiser(x, per_row(x, sigma))
        on_step(Step(i, len(sigmas) - 1, sigma, x, denoised))
        step = marginals.ancestral(sigma, sigma_next, eta)
        x = _midpoint_step(denoiser, x, sigma, step.down, denoised)
        if sigma_next > 0:
            x = x * step.keep + noise(sigma, sigma_next) * (s_noise * step.up)
    return x


def _midpoint_step(denoiser: Denoiser, x: Tensor, sigma: float, sigma_next: float, denoised: Tensor) -> Tensor:
    d = slope(x, sigma, denoised)
    if sigma_next == 0:
        return x + d * (sigma_next - sigma)
    sigma_mid = math.sqrt(sigma * sigma_next)
    x_mid = x + d * (sigma_mid - sigma)
    d_mid = slope(x_mid, sigma_mid, denoiser(x_mid, per_row(x, sigma_mid)))
    return x + d_mid * (sigma_next - sigma)
