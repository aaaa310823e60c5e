"""Linear multistep: Adams-Bashforth with exact coefficients for unequal steps."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from diffusion.sampling.denoiser import Denoiser, OnStep, Step, as_floats, per_row, silent, slope


def sample_lms(denoiser: Denoiser, x: Tensor, sigmas: Tensor, on_step: OnStep = silent, *, order: int = 4) -> Tensor:
    """Integrates the polynomial through the last `order` slopes (Crowson, k-diffusion). One evaluation a step.

    x: latent at noise level sigmas[0], (B, C, H, W). sigmas: (steps + 1,), decreasing. order: at least 1.
    """
    levels = as_floats(sigmas)
    steps = len(levels) - 1
    slopes: list[Tensor] = []
    for i in range(steps):
        sigma, sigma_next = levels[i], levels[i + 1]
        denoised = denoiser(x, per_row(x, sigma))
        on_step(Step(i, steps, sigma, x, denoised))
        slopes = [slope(x, sigma, denoised), *slopes][:order]
        if sigma_next == 0:
            x = denoised
            continue
        nodes = levels[i - len(slopes) + 1 : i + 1][::-1]
        for weight, d in zip(adams_bashforth(nodes, sigma, sigma_next), slopes, strict=True):
            x = x + d * weight
    return x


def adams_bashforth(nodes: Sequence[float], start: float, end: float) -> list[float]:
    """Integrals from start to end of the Lagrange polynomials of `nodes`, in the same order.

    They are found by moving the nodes to around 0 and dividing by the interval, which keeps the powers small.
    """
    width = end - start
    moved = [(node - start) / width for node in nodes]
    weights: list[float] = []
    for j, node in enumerate(moved):
        others = [other for k, other in enumerate(moved) if k != j]
        basis = np.poly1d(others, r=True) / float(np.prod([node - other for other in others]))
        integral = np.polyint(basis)
        weights.append(float(integral(1.0) - integral(0.0)) * width)
    return weights
