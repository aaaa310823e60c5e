"""DPM-Solver++(2S) with noise added after every step, plain and in its CFG++ form."""

import math
from itertools import pairwise

from torch import Tensor

from diffusion.sampling.denoiser import Denoiser, GuidedDenoiser, OnStep, Step, StepNoise, as_floats, per_row, silent
from diffusion.sampling.marginals import Marginals


def sample_dpmpp_2s_ancestral(
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
    """Second order single-step data prediction (arXiv:2211.01095, Algorithm 1 with r = 1/2), ancestral as k-diffusion.

    x: latent at noise level sigmas[0], (B, C, H, W). sigmas: (steps + 1,), decreasing.
    eta, s_noise: as in `euler_ancestral`.
    """
    for i, (sigma, sigma_next) in enumerate(pairwise(as_floats(sigmas))):
        denoised = denoiser(x, per_row(x, sigma))
        on_step(Step(i, len(sigmas) - 1, sigma, x, denoised))
        step = marginals.ancestral(sigma, sigma_next, eta)
        if step.down == 0:
            x = denoised
        else:
            sigma_mid = _middle(marginals, sigma, step.down)
            ratio = sigma_mid / sigma
            x_mid = x * ratio + denoised * (1 - ratio)
            denoised = denoiser(x_mid, per_row(x, sigma_mid))
            ratio = step.down / sigma
            x = x * ratio + denoised * (1 - ratio)
        if sigma_next > 0:
            x = x * step.keep + noise(sigma, sigma_next) * (s_noise * step.up)
    return x


def sample_dpmpp_2s_ancestral_cfg_pp(
    denoiser: GuidedDenoiser,
    x: Tensor,
    sigmas: Tensor,
    on_step: OnStep = silent,
    *,
    noise: StepNoise,
    marginals: Marginals,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Tensor:
    """The same with the unconditional direction of CFG++ (arXiv:2406.08070): x is shifted by guided - unconditional.

    In the second half of a step the shift takes the unconditional estimate of the midpoint. With it the method does not
    solve the ODE even when there is no guidance; it is kept because existing pictures were made that way.
    """
    for i, (sigma, sigma_next) in enumerate(pairwise(as_floats(sigmas))):
        denoised, unconditional = denoiser.with_unconditional(x, per_row(x, sigma))
        on_step(Step(i, len(sigmas) - 1, sigma, x, denoised))
        step = marginals.ancestral(sigma, sigma_next, eta)
        if step.down == 0:
            x = denoised
        else:
            sigma_mid = _middle(marginals, sigma, step.down)
            ratio = sigma_mid / sigma
            x_mid = (x + (denoised - unconditional)) * ratio + denoised * (1 - ratio)
            denoised_mid, unconditional = denoiser.with_unconditional(x_mid, per_row(x, sigma_mid))
            ratio = step.down / sigma
            x = (x + (denoised - unconditional)) * ratio + denoised_mid * (1 - ratio)
        if sigma_next > 0:
            x = x * step.keep + noise(sigma, sigma_next) * (s_noise * step.up)
    return x


def _middle(marginals: Marginals, sigma: float, sigma_next: float) -> float:
    """The level halfway in lambda."""
    start, end = marginals.half_log_snr(sigma), marginals.half_log_snr(sigma_next)
    if math.isinf(start):
        return 0.9999  # a flow's very first level has no lambda; halfway from minus infinity is still almost all noise
    return marginals.sigma_at((start + end) / 2)
