"""Unified predictor-corrector."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from torch import Tensor

from diffusion.sampling.denoiser import Denoiser, OnStep, Step, as_floats, per_row, silent

_LAST_SIGMA = 1e-3

Variant = Literal["bh1", "bh2"]


def sample_uni_pc(
    denoiser: Denoiser, x: Tensor, sigmas: Tensor, on_step: OnStep = silent, *, variant: Variant = "bh1"
) -> Tensor:
    """UniPC, multistep, of order up to 3, with data prediction: Zhao et al. 2023 (arXiv:2302.04867), Algorithms 1, 2.

    A last sigma of 0 is replaced by 0.001, where the corrector is not run: that evaluation would be wasted.
    The method is invariant to the scale of the signal, so the variance-exploding form gives the paper's numbers.
    x: latent at noise level sigmas[0], (B, C, H, W). sigmas: (steps + 1,), decreasing.
    variant: B(h) = h or e^h - 1.
    """
    levels = as_floats(sigmas)
    if levels[-1] == 0:
        levels[-1] = _LAST_SIGMA
    steps = len(levels) - 1
    max_order = max(min(3, steps - 1), 1)
    denoised = denoiser(x, per_row(x, levels[0]))
    on_step(Step(0, steps, levels[0], x, denoised))
    past = [(levels[0], denoised)]  # the newest last
    for i in range(1, steps + 1):
        sigma, sigma_next = levels[i - 1], levels[i]
        order = min(i, max_order, steps + 1 - i)
        terms = _Terms(past[-order:], sigma_next, variant)
        base = x * (sigma_next / sigma) - past[-1][1] * math.expm1(-terms.h)
        x = base - terms.predicted()
        if i == steps:
            break
        denoised = denoiser(x, per_row(x, sigma_next))
        on_step(Step(i, steps, sigma_next, x, denoised))
        x = base - terms.corrected(denoised)
        past = [*past, (sigma_next, denoised)][-3:]
    return x


def sample_uni_pc_bh2(denoiser: Denoiser, x: Tensor, sigmas: Tensor, on_step: OnStep = silent) -> Tensor:
    """`sample_uni_pc` with B(h) = e^h - 1."""
    return sample_uni_pc(denoiser, x, sigmas, on_step, variant="bh2")


class _Terms:
    """What predictor and corrector add to the first-order step, from differences to the newest estimate."""

    def __init__(self, past: Sequence[tuple[float, Tensor]], sigma_next: float, variant: Variant):
        sigma, self._newest = past[-1]
        self.h = math.log(sigma) - math.log(sigma_next)
        self._order = len(past)
        older = list(reversed(past[:-1]))
        self._ratios = [(math.log(sigma) - math.log(s)) / self.h for s, _ in older]
        self._differences = [
            (estimate - self._newest) / r for r, (_, estimate) in zip(self._ratios, older, strict=True)
        ]
        self._b = -self.h if variant == "bh1" else math.expm1(-self.h)

    def predicted(self) -> Tensor | float:
        if self._order == 1:
            return 0.0
        # For order 2 the paper takes the limit of small h.
        weights = [0.5] if self._order == 2 else self._solved(self._ratios)
        return self._sum(weights, self._differences)

    def corrected(self, denoised: Tensor) -> Tensor | float:
        weights = [0.5] if self._order == 1 else self._solved([*self._ratios, 1.0])
        return self._sum(weights, [*self._differences, denoised - self._newest])

    def _solved(self, ratios: Sequence[float]) -> list[float]:
        """rho with R(ratios) rho = b: the order conditions, eq. 13."""
        hh = -self.h
        phi = math.expm1(hh) / hh - 1
        factorial = 1
        right: list[float] = []
        for k in range(1, len(ratios) + 1):
            right.append(phi * factorial / self._b)
            factorial *= k + 1
            phi = phi / hh - 1 / factorial
        matrix = np.vander(np.asarray(ratios), increasing=True).T
        return [float(w) for w in np.linalg.solve(matrix, np.asarray(right))]

    def _sum(self, weights: Sequence[float], terms: Sequence[Tensor]) -> Tensor:
        total = terms[0] * weights[0]
        for weight, term in zip(weights[1:], terms[1:], strict=True):
            total = total + term * weight
        return total * self._b
