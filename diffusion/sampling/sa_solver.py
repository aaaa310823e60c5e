"""Stochastic Adams solver with predictor and corrector."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from diffusion.sampling.denoiser import Denoiser, OnStep, Step, StepNoise, as_floats, per_row, silent
from diffusion.sampling.marginals import Marginals

Tau = Callable[[float], float]
"""Strength of the noise at a sigma: 0 is the ODE, 1 the reverse SDE."""


def sample_sa_solver(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    on_step: OnStep = silent,
    *,
    noise: StepNoise,
    marginals: Marginals,
    tau: Tau,
    s_noise: float = 1.0,
    predictor_order: int = 3,
    corrector_order: int = 4,
    use_pece: bool = False,
    simple_order_2: bool = False,
) -> Tensor:
    """SA-Solver: Xue et al. 2023 (arXiv:2309.05019), Algorithm 1, with data prediction.

    x: latent at noise level sigmas[0], (B, C, H, W). sigmas: (steps + 1,), decreasing, lambda finite.
    use_pece: evaluate again after correcting. simple_order_2: the paper's simplified coefficients of order 2.
    """
    levels = as_floats(sigmas)
    steps = len(levels) - 1
    lambdas = [marginals.half_log_snr(s) if s > 0 else math.inf for s in levels]
    ends_at_zero = levels[-1] == 0
    keep = max(predictor_order, corrector_order, 1)
    estimates: list[Tensor] = []
    drawn: Tensor | None = None  # the noise of the last step, which the corrector adds again
    x_predicted, tau_now, h = x, 0.0, 0.0
    for i in range(steps):
        sigma, sigma_next = levels[i], levels[i + 1]
        denoised = denoiser(x_predicted, per_row(x, sigma))
        on_step(Step(i, steps, sigma, x_predicted, denoised))
        estimates = [*estimates, denoised][-keep:]
        order_p, order_c = min(predictor_order, len(estimates)), min(corrector_order, len(estimates))
        if i == 0 or (sigma_next == 0 and not use_pece):
            order_c = 0
        if ends_at_zero:
            order_p, order_c = min(order_p, steps - 1 - i), min(order_c, steps - i)

        if order_c == 0:
            x = x_predicted
        else:
            nodes = lambdas[i - order_c + 1 : i + 1]
            simple = simple_order_2 and order_c == 2
            weights = _simple_corrector(h, tau_now) if simple else _adams(nodes, lambdas[i - 1], lambdas[i], tau_now)
            x = x * (sigma / levels[i - 1] * math.exp(-(tau_now**2) * h))
            x = x + _combined(estimates, weights) * marginals.alpha(sigma)
            if drawn is not None:
                x = x + drawn
            if use_pece:
                denoised = denoiser(x, per_row(x, sigma))
                estimates[-1] = denoised

        if sigma_next == 0:
            x = x_predicted = denoised
            continue
        tau_now, h = tau(sigma_next), lambdas[i + 1] - lambdas[i]
        nodes = lambdas[i - order_p + 1 : i + 1]
        simple = simple_order_2 and order_p == 2
        weights = _simple_predictor(nodes, h, tau_now) if simple else _adams(nodes, lambdas[i], lambdas[i + 1], tau_now)
        x_predicted = x * (sigma_next / sigma * math.exp(-(tau_now**2) * h))
        x_predicted = x_predicted + _combined(estimates, weights) * marginals.alpha(sigma_next)
        drawn = None
        if tau_now > 0 and s_noise > 0:
            deviation = sigma_next * math.sqrt(-math.expm1(-2 * tau_now**2 * h)) * s_noise
            drawn = noise(sigma, sigma_next) * deviation
            x_predicted = x_predicted + drawn
    return x_predicted


def tau_between(start: float, end: float, eta: float) -> Tau:
    """Noise of strength eta while sigma is between end and start, both included."""
    return lambda sigma: eta if end <= sigma <= start else 0.0


def _combined(estimates: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    newest = estimates[-len(weights) :]
    total = newest[0] * weights[0]
    for estimate, weight in zip(newest[1:], weights[1:], strict=True):
        total = total + estimate * weight
    return total


def _adams(nodes: Sequence[float], start: float, end: float, tau: float) -> list[float]:
    """Integrals over the step of the Lagrange polynomials of `nodes` times k exp(-k (end - lambda)), k = 1 + tau².

    Found by asking that the weights be exact for 1, u, u², … with u = (lambda - end).
    """
    k, h = 1 + tau**2, end - start
    moments: list[float] = []
    for power in range(len(nodes)):
        edge = -((-h) ** power) * math.exp(-k * h)
        moments.append((1.0 if power == 0 else 0.0) + edge - (power / k * moments[-1] if power else 0.0))
    matrix = np.vander(np.asarray(nodes) - end, increasing=True).T
    return [float(w) for w in np.linalg.solve(matrix, np.asarray(moments))]


def _simple_predictor(nodes: Sequence[float], h: float, tau: float) -> list[float]:
    k = 1 + tau**2
    older = 0.5 * k * h**2 / (nodes[0] - nodes[1])
    return [older, -math.expm1(-k * h) - older]


def _simple_corrector(h: float, tau: float) -> list[float]:
    k = 1 + tau**2
    newest = 0.5 * k * h
    return [-math.expm1(-k * h) - newest, newest]
