"""Euler's method with noise added after every step."""

from itertools import pairwise

from torch import Tensor

from diffusion.sampling.denoiser import Denoiser, OnStep, Step, StepNoise, as_floats, per_row, silent, slope
from diffusion.sampling.marginals import Marginals


def sample_euler_ancestral(
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
    """Euler to a level below the next, then noise up to it: ancestral sampling as in k-diffusion, after DDPM.

    x: latent at noise level sigmas[0], (B, C, H, W). sigmas: (steps + 1,), decreasing.
    eta: share of the reverse diffusion's noise, 0 is plain Euler. s_noise: factor on the noise added.
    """
    for i, (sigma, sigma_next) in enumerate(pairwise(as_floats(sigmas))):
        denoised = denoiser(x, per_row(x, sigma))
        on_step(Step(i, len(sigmas) - 1, sigma, x, denoised))
        step = marginals.ancestral(sigma, sigma_next, eta)
        x = x + slope(x, sigma, denoised) * (step.down - sigma)
        if sigma_next > 0:
            x = x * step.keep + noise(sigma, sigma_next) * (s_noise * step.up)
    return x
