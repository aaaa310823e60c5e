"""SEEDS: stochastic exponential Runge-Kutta solvers of stages 2 and 3."""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from diffusion.sampling.denoiser import Denoiser, OnStep, Step, StepNoise, as_floats, per_row, silent
from diffusion.sampling.marginals import Marginals


def sample_seeds_2(
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
    """SEEDS-2: Gonzalez et al. 2023 (arXiv:2305.14267), Algorithm 2, with data prediction. Two evaluations a step.

    x: latent at noise level sigmas[0], (B, C, H, W). sigmas: (steps + 1,), decreasing, lambda finite.
    eta: strength of the reverse SDE, 0 is the ODE. s_noise: factor on its noise. r: place of the middle in lambda.
    """
    for i, (sigma, sigma_next) in enumerate(pairwise(as_floats(sigmas))):
        denoised = denoiser(x, per_row(x, sigma))
        on_step(Step(i, len(sigmas) - 1, sigma, x, denoised))
        if sigma_next == 0:
            x = denoised
            continue
        stage = _Stages(x, sigma, sigma_next, (r,), eta, s_noise, noise, marginals)
        x_2 = stage.reached(r, denoised * -math.expm1(-r * stage.h))
        denoised_2 = denoiser(x_2, per_row(x, stage.sigma_at(r)))

        blend = 1 / (2 * r)
        x = stage.reached(1, (denoised * (1 - blend) + denoised_2 * blend) * -math.expm1(-stage.h))
    return x


def sample_seeds_3(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    on_step: OnStep = silent,
    *,
    noise: StepNoise,
    marginals: Marginals,
    eta: float = 1.0,
    s_noise: float = 1.0,
    r_1: float = 1 / 3,
    r_2: float = 2 / 3,
) -> Tensor:
    """SEEDS-3: arXiv:2305.14267, Algorithm 3, with data prediction. Three evaluations a step.

    Parameters as in `sample_seeds_2`; r_1 < r_2 are the places of the two inner levels in lambda.
    """
    for i, (sigma, sigma_next) in enumerate(pairwise(as_floats(sigmas))):
        denoised = denoiser(x, per_row(x, sigma))
        on_step(Step(i, len(sigmas) - 1, sigma, x, denoised))
        if sigma_next == 0:
            x = denoised
            continue
        stage = _Stages(x, sigma, sigma_next, (r_1, r_2), eta, s_noise, noise, marginals)
        x_2 = stage.reached(r_1, denoised * -math.expm1(-r_1 * stage.h))
        denoised_2 = denoiser(x_2, per_row(x, stage.sigma_at(r_1)))

        weight = -math.expm1(-r_2 * stage.h)
        a_2 = r_2 / r_1 * (1 - weight / (r_2 * stage.h))
        x_3 = stage.reached(r_2, denoised * (weight - a_2) + denoised_2 * a_2)
        denoised_3 = denoiser(x_3, per_row(x, stage.sigma_at(r_2)))

        weight = -math.expm1(-stage.h)
        b_3 = (1 - weight / stage.h) / r_2
        x = stage.reached(1, denoised * (weight - b_3) + denoised_3 * b_3)
    return x


class _Stages:
    """One step of the SDE with inner levels; the noise of a level is carried on to all later ones.

    Between neighbouring levels an independent draw drives the process, so every level has the exact joint law.
    """

    def __init__(
        self,
        x: Tensor,
        sigma: float,
        sigma_next: float,
        inner: Sequence[float],
        eta: float,
        s_noise: float,
        noise: StepNoise,
        marginals: Marginals,
    ):
        self._x, self._sigma, self._eta, self._s_noise, self._marginals = x, sigma, eta, s_noise, marginals
        self._start = marginals.half_log_snr(sigma)
        self._length = marginals.half_log_snr(sigma_next) - self._start
        self._sigma_next = sigma_next
        self.h = self._length * (1 + eta)
        self._places = [0.0, *inner, 1.0]
        self._draws: list[Tensor] = []
        if eta > 0 and s_noise > 0:
            self._draws = [noise(self.sigma_at(a), self.sigma_at(b)) for a, b in pairwise(self._places)]

    def sigma_at(self, place: float) -> float:
        """Sigma at a share of the step in lambda."""
        if place in (0.0, 1.0):
            return self._sigma_next if place else self._sigma
        return self._marginals.sigma_at(self._start + place * self._length)

    def reached(self, place: float, estimate: Tensor) -> Tensor:
        """x at that place, given the weighted clean estimates on the way."""
        sigma = self.sigma_at(place)
        eta_h = self._eta * self._length
        x = self._x * (sigma / self._sigma * math.exp(-place * eta_h)) + estimate * self._marginals.alpha(sigma)
        for draw, (a, b) in zip(self._draws, pairwise(self._places), strict=False):
            if b <= place:
                variance = math.exp(-2 * (place - b) * eta_h) - math.exp(-2 * (place - a) * eta_h)
                x = x + draw * (sigma * math.sqrt(variance) * self._s_noise)
        return x
