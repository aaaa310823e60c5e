"""Refined exponential multistep solver, plain, ancestral, and in the CFG++ form of both."""

import math
from itertools import pairwise

from torch import Tensor

from diffusion.sampling.denoiser import (
    Denoiser,
    GuidedDenoiser,
    OnStep,
    Step,
    StepNoise,
    as_floats,
    per_row,
    silent,
    slope,
)
from diffusion.sampling.marginals import VarianceExploding

_EXPLODING = VarianceExploding()


def sample_res_multistep(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    on_step: OnStep = silent,
    *,
    noise: StepNoise | None = None,
    eta: float = 0.0,
    s_noise: float = 1.0,
) -> Tensor:
    """Second order multistep data prediction in -ln(sigma): RES (Zhang et al. 2023, arXiv:2308.02157), section 3.

    x: latent at noise level sigmas[0], (B, C, H, W). sigmas: (steps + 1,), decreasing.
    eta, s_noise: as in `euler_ancestral`; eta above 0 needs `noise`.
    """
    previous: tuple[Tensor, float, float] | None = None
    for i, (sigma, sigma_next) in enumerate(pairwise(as_floats(sigmas))):
        denoised = denoiser(x, per_row(x, sigma))
        on_step(Step(i, len(sigmas) - 1, sigma, x, denoised))
        step = _EXPLODING.ancestral(sigma, sigma_next, eta)
        if step.down == 0 or previous is None:
            x = x + slope(x, sigma, denoised) * (step.down - sigma)
        else:
            older, older_sigma, older_down = previous
            newest, oldest, decay = _weights(sigma, step.down, older_sigma, older_down)
            x = x * decay + denoised * newest + older * oldest
        if noise is not None and sigma_next > 0 and step.up > 0:
            x = x + noise(sigma, sigma_next) * (step.up * s_noise)
        previous = denoised, sigma, step.down
    return x


def sample_res_multistep_cfg_pp(
    denoiser: GuidedDenoiser,
    x: Tensor,
    sigmas: Tensor,
    on_step: OnStep = silent,
    *,
    noise: StepNoise | None = None,
    eta: float = 0.0,
    s_noise: float = 1.0,
) -> Tensor:
    """The same along the unconditional direction, from the guided estimate: CFG++ (arXiv:2406.08070)."""
    previous: tuple[Tensor, float, float] | None = None
    for i, (sigma, sigma_next) in enumerate(pairwise(as_floats(sigmas))):
        denoised, unconditional = denoiser.with_unconditional(x, per_row(x, sigma))
        on_step(Step(i, len(sigmas) - 1, sigma, x, denoised))
        step = _EXPLODING.ancestral(sigma, sigma_next, eta)
        if step.down == 0 or previous is None:
            x = denoised + slope(x, sigma, unconditional) * step.down
        else:
            older, older_sigma, older_down = previous
            newest, oldest, decay = _weights(sigma, step.down, older_sigma, older_down)
            x = (x + (denoised - unconditional)) * decay + unconditional * newest + older * oldest
        if noise is not None and sigma_next > 0 and step.up > 0:
            x = x + noise(sigma, sigma_next) * (step.up * s_noise)
        previous = unconditional, sigma, step.down
    return x


def sample_res_multistep_ancestral(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    on_step: OnStep = silent,
    *,
    noise: StepNoise,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Tensor:
    """`sample_res_multistep` with noise added after every step."""
    return sample_res_multistep(denoiser, x, sigmas, on_step, noise=noise, eta=eta, s_noise=s_noise)


def sample_res_multistep_ancestral_cfg_pp(
    denoiser: GuidedDenoiser,
    x: Tensor,
    sigmas: Tensor,
    on_step: OnStep = silent,
    *,
    noise: StepNoise,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Tensor:
    """`sample_res_multistep_cfg_pp` with noise added after every step."""
    return sample_res_multistep_cfg_pp(denoiser, x, sigmas, on_step, noise=noise, eta=eta, s_noise=s_noise)


def _weights(sigma: float, down: float, older_sigma: float, older_down: float) -> tuple[float, float, float]:
    """Weight of the newest and of the older estimate, and what is kept of x, for the step from sigma to down.

    The older estimate was made at older_sigma, and its step went down to older_down: with noise added between,
    the distance to it is counted from there.
    """
    h = math.log(sigma) - math.log(down)
    c_2 = (math.log(older_down) - math.log(older_sigma)) / h
    phi_1 = -math.expm1(-h) / h
    phi_2 = (1 - phi_1) / h
    oldest = phi_2 / c_2 if c_2 else 0.0
    return h * (phi_1 - oldest), h * oldest, math.exp(-h)
