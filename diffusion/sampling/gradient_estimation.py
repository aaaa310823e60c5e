"""Sampling by gradient estimation, plain and in its CFG++ form."""

from itertools import pairwise

from torch import Tensor

from diffusion.sampling.denoiser import Denoiser, GuidedDenoiser, OnStep, Step, as_floats, per_row, silent, slope


def sample_gradient_estimation(
    denoiser: Denoiser, x: Tensor, sigmas: Tensor, on_step: OnStep = silent, *, gamma: float = 2.0
) -> Tensor:
    """Euler along gamma * (this slope) + (1 - gamma) * (the one before): Permenter & Yuan (arXiv:2306.04848), Alg. 2.

    x: latent at noise level sigmas[0], (B, C, H, W). sigmas: (steps + 1,), decreasing. gamma: 1 is Euler.
    """
    previous: Tensor | None = None
    for i, (sigma, sigma_next) in enumerate(pairwise(as_floats(sigmas))):
        denoised = denoiser(x, per_row(x, sigma))
        on_step(Step(i, len(sigmas) - 1, sigma, x, denoised))
        if sigma_next == 0:
            x = denoised
            continue
        d = slope(x, sigma, denoised)
        estimated = d if previous is None else d + (d - previous) * (gamma - 1)
        x = x + estimated * (sigma_next - sigma)
        previous = d
    return x


def sample_gradient_estimation_cfg_pp(
    denoiser: GuidedDenoiser, x: Tensor, sigmas: Tensor, on_step: OnStep = silent, *, gamma: float = 2.0
) -> Tensor:
    """The same from the guided estimate along the unconditional slope: CFG++ (arXiv:2406.08070)."""
    previous: Tensor | None = None
    for i, (sigma, sigma_next) in enumerate(pairwise(as_floats(sigmas))):
        denoised, unconditional = denoiser.with_unconditional(x, per_row(x, sigma))
        on_step(Step(i, len(sigmas) - 1, sigma, x, denoised))
        if sigma_next == 0:
            x = denoised
            continue
        d = slope(x, sigma, unconditional)
        x = denoised + d * sigma_next
        if previous is not None:
            x = x + (d - previous) * ((gamma - 1) * (sigma_next - sigma))
        previous = d
    return x
