"""Extended reverse-time SDE solvers."""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from diffusion.sampling.denoiser import Denoiser, OnStep, Step, StepNoise, as_floats, per_row, silent
from diffusion.sampling.marginals import Marginals

_POINTS = 200

SolverType = Literal["ER-SDE", "Reverse-time SDE", "ODE"]


def sample_er_sde(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    on_step: OnStep = silent,
    *,
    noise: StepNoise,
    marginals: Marginals,
    solver_type: SolverType = "ER-SDE",
    max_stage: int = 3,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Tensor:
    """Multistep Taylor solver of a whole family of reverse SDEs: Cui et al. 2023 (arXiv:2309.06169), Algorithms 1-3.

    l = sigma / alpha; phi(l) says how much noise the process carries. The integrals of 1 / phi are sums of 200 points.
    x: latent at noise level sigmas[0], (B, C, H, W). sigmas: (steps + 1,), decreasing, lambda finite.
    solver_type: "ER-SDE" has phi(l) = l (exp(l^0.3) + 10), "Reverse-time SDE" l^(1 + eta), "ODE" no noise.
    max_stage: estimates used at most, 1 to 3. eta: only for "Reverse-time SDE". s_noise: factor on the noise.
    """
    if not 1 <= max_stage <= 3:
        raise ValueError(f"er_sde has stages 1 to 3, not {max_stage}")
    if solver_type == "ODE" or (solver_type == "Reverse-time SDE" and eta == 0):
        eta = s_noise = 0.0
    phi = _er_phi if solver_type == "ER-SDE" else _power(1 + eta)
    levels = as_floats(sigmas)
    scaled = [math.exp(-marginals.half_log_snr(s)) if s > 0 else 0.0 for s in levels]
    older: Tensor | None = None
    older_first: Tensor | None = None
    for i in range(len(levels) - 1):
        sigma, sigma_next = levels[i], levels[i + 1]
        denoised = denoiser(x, per_row(x, sigma))
        on_step(Step(i, len(levels) - 1, sigma, x, denoised))
        if sigma_next == 0:
            x = denoised
            continue
        level, level_next = scaled[i], scaled[i + 1]
        alpha, alpha_next = sigma / level, sigma_next / level_next
        r = _at(phi, level_next) / _at(phi, level)
        x = x * (alpha_next / alpha * r) + denoised * (alpha_next * (1 - r))
        if older is not None and max_stage >= 2:
            dl = level_next - level
            width = -dl / _POINTS
            points = level_next + torch.arange(_POINTS, dtype=torch.float64) * width
            inverse = 1 / phi(points)
            first = (denoised - older) / (level - scaled[i - 1])
            x = x + first * (alpha_next * (dl + float(inverse.sum()) * width * _at(phi, level_next)))
            if older_first is not None and max_stage >= 3:
                second = (first - older_first) / ((level - scaled[i - 2]) / 2)
                moment = float(((points - level) * inverse).sum()) * width * _at(phi, level_next)
                x = x + second * (alpha_next * (dl**2 / 2 + moment))
            older_first = first
        if s_noise > 0:
            deviation = math.sqrt(max(level_next**2 - (level * r) ** 2, 0.0))
            x = x + noise(sigma, sigma_next) * (alpha_next * s_noise * deviation)
        older = denoised
    return x


def _er_phi(level: Tensor) -> Tensor:
    return level * (torch.exp(level**0.3) + 10)


def _power(exponent: float) -> Callable[[Tensor], Tensor]:
    return lambda level: level**exponent


def _at(phi: Callable[[Tensor], Tensor], level: float) -> float:
    return float(phi(torch.tensor(level, dtype=torch.float64)))
