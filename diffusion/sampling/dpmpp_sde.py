"""DPM-Solver++(2S) for the reverse SDE."""

import math
from itertools import pairwise

from torch import Tensor

from diffusion.sampling.denoiser import Denoiser, OnStep, Step, StepNoise, as_floats, per_row, silent
from diffusion.sampling.marginals import Marginals, VarianceExploding

_EXPLODING = VarianceExploding()


def sample_dpmpp_sde(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    on_step: OnStep = silent,
    *,
    noise: StepNoise,
    marginals: Marginals,
    eta: float = 1.0,
    s_noise: float = 1.0,
    r: float = 0.5,
) -> Tensor:
    """Stochastic single-step data prediction (arXiv:2211.01095), two evaluations a step, as in k-diffusion.

    Both halves are ancestral steps in sigma / alpha. `noise` should be one Brownian path: the first half's noise is
    then part of the whole step's.
    x: latent at noise level sigmas[0], (B, C, H, W). sigmas: (steps + 1,), decreasing, lambda finite.
    eta, s_noise: as in `euler_ancestral`. r: where in lambda the second evaluation lies, in 0…1.
    """
    for i, (sigma, sigma_next) in enumerate(pairwise(as_floats(sigmas))):
        denoised = denoiser(x, per_row(x, sigma))
        on_step(Step(i, len(sigmas) - 1, sigma, x, denoised))
        if sigma_next == 0:
            x = denoised
            continue
        start, end = marginals.half_log_snr(sigma), marginals.half_log_snr(sigma_next)
        sigma_mid = marginals.sigma_at(start + r * (end - start))

        x_mid = _toward(denoised, x, marginals, sigma, sigma_mid, eta, s_noise, noise)
        denoised_mid = denoiser(x_mid, per_row(x, sigma_mid))

        blend = 1 / (2 * r)
        mixed = denoised * (1 - blend) + denoised_mid * blend
        x = _toward(mixed, x, marginals, sigma, sigma_next, eta, s_noise, noise)
    return x


def _toward(
    denoised: Tensor,
    x: Tensor,
    marginals: Marginals,
    sigma: float,
    sigma_next: float,
    eta: float,
    s_noise: float,
    noise: StepNoise,
) -> Tensor:
    """One ancestral step from sigma to sigma_next with a given clean estimate."""
    alpha, alpha_next = marginals.alpha(sigma), marginals.alpha(sigma_next)
    level = math.exp(-marginals.half_log_snr(sigma))
    step = _EXPLODING.ancestral(level, math.exp(-marginals.half_log_snr(sigma_next)), eta)
    keep = step.down / level
    x = x * (alpha_next / alpha * keep) + denoised * (alpha_next * (1 - keep))
    if eta > 0 and s_noise > 0:
        x = x + noise(sigma, sigma_next) * (alpha_next * s_noise * step.up)
    return x
