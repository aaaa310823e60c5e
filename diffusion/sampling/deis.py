"""Diffusion exponential integrator sampler."""

import math

import torch
from torch import Tensor

from diffusion.sampling.denoiser import Denoiser, OnStep, Step, as_floats, per_row, silent, slope

_POINTS = 10_000
_SIGMA_MIN, _SIGMA_MAX, _TIME_MIN = 0.002, 80.0, 1e-3


def sample_deis(
    denoiser: Denoiser, x: Tensor, sigmas: Tensor, on_step: OnStep = silent, *, max_order: int = 3
) -> Tensor:
    """tAB-DEIS: Zhang & Chen 2022 (arXiv:2204.13902), the slope extrapolated by a polynomial in VP time.

    x: latent at noise level sigmas[0], (B, C, H, W). sigmas: (steps + 1,), decreasing.
    max_order: slopes used at most, the newest included; 1 to 4.
    """
    if not 1 <= max_order <= 4:
        raise ValueError(f"deis has orders 1 to 4, not {max_order}")
    levels = as_floats(sigmas)
    steps = len(levels) - 1
    times = _vp_time(sigmas.double().cpu())
    slopes: list[Tensor] = []
    for i in range(steps):
        sigma, sigma_next = levels[i], levels[i + 1]
        denoised = denoiser(x, per_row(x, sigma))
        on_step(Step(i, steps, sigma, x, denoised))
        slopes = [slope(x, sigma, denoised), *slopes][:max_order]
        if sigma_next == 0:
            x = denoised
        elif len(slopes) == 1:
            x = x + slopes[0] * (sigma_next - sigma)
        else:
            nodes = times[i - len(slopes) + 1 : i + 1].flip(0)
            for weight, d in zip(_weights(nodes, times[i], times[i + 1]), slopes, strict=True):
                x = x + d * weight
    return x


def _vp_betas() -> tuple[float, float]:
    """beta_d and beta_min of the VP process whose sigma is 0.002 at time 0.001 and 80 at time 1."""
    low, high = math.log(_SIGMA_MIN**2 + 1), math.log(_SIGMA_MAX**2 + 1)
    beta_d = 2 * (low / _TIME_MIN - high) / (_TIME_MIN - 1)
    return beta_d, high - beta_d / 2


def _vp_time(sigmas: Tensor) -> Tensor:
    """Time of a sigma in that process: sigma² + 1 = exp(beta_d t² / 2 + beta_min t)."""
    beta_d, beta_min = _vp_betas()
    return (torch.sqrt(beta_min**2 + 2 * beta_d * torch.log(sigmas**2 + 1)) - beta_min) / beta_d


def _weights(nodes: Tensor, start: Tensor, end: Tensor) -> list[float]:
    """Integrals over the step of d sigma/dt times the Lagrange polynomials of `nodes`, as a sum over many points.

    The sum includes both ends, as in the reference implementation: an excess of 1 / 10,000 on the first order.
    """
    beta_d, beta_min = _vp_betas()
    t = torch.linspace(float(start), float(end), _POINTS, dtype=torch.float64)
    log_abar = -beta_d * t**2 / 2 - beta_min * t
    # d sigma / dt with sigma = sqrt((1 - abar) / abar).
    abar = log_abar.exp()
    rate = 0.5 * (beta_d * t + beta_min) / torch.sqrt(abar * (1 - abar))
    width = (end - start) / _POINTS
    weights: list[float] = []
    for j, node in enumerate(nodes):
        others = torch.cat([nodes[:j], nodes[j + 1 :]])
        polynomial = ((t[:, None] - others) / (node - others)).prod(dim=1)
        weights.append(float((rate * polynomial).sum() * width))
    return weights
