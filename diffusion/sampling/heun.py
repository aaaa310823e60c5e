"""Heun's method."""

from itertools import pairwise

from torch import Tensor

from diffusion.sampling.denoiser import Denoiser, OnStep, Step, as_floats, per_row, silent, slope


def sample_heun(denoiser: Denoiser, x: Tensor, sigmas: Tensor, on_step: OnStep = silent) -> Tensor:
    """The trapezoidal rule, second order: Karras et al. 2022 (arXiv:2206.00364), Algorithm 1. Two evaluations a step.

    x: latent at noise level sigmas[0], (B, C, H, W). sigmas: (steps + 1,), decreasing.
    """
    for i, (sigma, sigma_next) in enumerate(pairwise(as_floats(sigmas))):
        denoised = denoiser(x, per_row(x, sigma))
        on_step(Step(i, len(sigmas) - 1, sigma, x, denoised))
        d = slope(x, sigma, denoised)
        dt = sigma_next - sigma
        if sigma_next == 0:
            x = x + d * dt
            continue
        x_euler = x + d * dt
        d_next = slope(x_euler, sigma_next, denoiser(x_euler, per_row(x, sigma_next)))
        x = x + (d + d_next) / 2 * dt
    return x
