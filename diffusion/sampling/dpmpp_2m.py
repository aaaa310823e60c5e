"""DPM-Solver++(2M), plain and in its CFG++ form."""

import math
from itertools import pairwise

from torch import Tensor

from diffusion.sampling.denoiser import Denoiser, GuidedDenoiser, OnStep, Step, as_floats, per_row, silent


def sample_dpmpp_2m(denoiser: Denoiser, x: Tensor, sigmas: Tensor, on_step: OnStep = silent) -> Tensor:
    """Second order multistep data prediction: arXiv:2211.01095, Algorithm 2. One evaluation a step.

    x: latent at noise level sigmas[0], (B, C, H, W). sigmas: (steps + 1,), decreasing.
    """
    previous: Tensor | None = None
    h_last = 0.0
    for i, (sigma, sigma_next) in enumerate(pairwise(as_floats(sigmas))):
        denoised = denoiser(x, per_row(x, sigma))
        on_step(Step(i, len(sigmas) - 1, sigma, x, denoised))
        if sigma_next == 0:
            x = denoised
            continue
        h = math.log(sigma) - math.log(sigma_next)
        direction = denoised
        if previous is not None:
            r = h_last / h
            direction = denoised * (1 + 1 / (2 * r)) - previous / (2 * r)
        x = x * (sigma_next / sigma) - direction * math.expm1(-h)
        previous, h_last = denoised, h
    return x


def sample_dpmpp_2m_cfg_pp(denoiser: GuidedDenoiser, x: Tensor, sigmas: Tensor, on_step: OnStep = silent) -> Tensor:
    """The same with the re-noising direction of CFG++ (arXiv:2406.08070), taken from the unconditional estimates."""
    previous: Tensor | None = None
    h_last = 0.0
    for i, (sigma, sigma_next) in enumerate(pairwise(as_floats(sigmas))):
        denoised, unconditional = denoiser.with_unconditional(x, per_row(x, sigma))
        on_step(Step(i, len(sigmas) - 1, sigma, x, denoised))
        if sigma_next == 0:
            x = denoised
            continue
        h = math.log(sigma) - math.log(sigma_next)
        x = denoised + (x - unconditional) * (sigma_next / sigma)
        if previous is not None:
            r = h_last / h
            x = x - (denoised - previous) * (math.expm1(-h) / (2 * r))
        previous, h_last = unconditional, h
    return x
