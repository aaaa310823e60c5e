"""CFG++ with Euler steps, plain and ancestral."""

from itertools import pairwise
from typing import Literal

from torch import Tensor

from diffusion.sampling.denoiser import GuidedDenoiser, OnStep, Step, StepNoise, as_floats, per_row, silent, slope
from diffusion.sampling.marginals import Marginals, VarianceExploding

_ANCESTRAL = VarianceExploding()


def sample_euler_cfg_pp(
    denoiser: GuidedDenoiser,
    x: Tensor,
    sigmas: Tensor,
    on_step: OnStep = silent,
    *,
    marginals: Marginals,
    noise: StepNoise | None = None,
    eta: float = 0.0,
    s_noise: float = 1.0,
    version: Literal["regular", "alternative"] = "regular",
) -> Tensor:
    """Go to the guided estimate, re-noise along the *unconditional* direction: CFG++ (arXiv:2406.08070), Algorithm 2.

    x: latent at noise level sigmas[0], (B, C, H, W). sigmas: (steps + 1,), decreasing.
    eta: as in `euler_ancestral`; above 0 needs `noise`.
    version: "alternative" keeps Euler's step and shifts the state instead, x - guided + unconditional.
    """
    for i, (sigma, sigma_next) in enumerate(pairwise(as_floats(sigmas))):
        denoised, unconditional = denoiser.with_unconditional(x, per_row(x, sigma))
        on_step(Step(i, len(sigmas) - 1, sigma, x, denoised))
        if version == "alternative":
            x = x + slope(x - denoised + unconditional, sigma, denoised) * (sigma_next - sigma)
            continue
        if sigma_next == 0:
            x = denoised
            continue
        alpha, alpha_next = marginals.alpha(sigma), marginals.alpha(sigma_next)
        # A flow at sigma 1 holds no signal: its level in the variance-exploding form is infinite.
        level = sigma / alpha if alpha > 0 else float("inf")
        level_next = sigma_next / alpha_next
        step = _ANCESTRAL.ancestral(level, level_next, eta)
        direction = slope(x, sigma, unconditional * alpha)
        x = denoised * alpha_next + direction * (alpha_next * step.down)
        if noise is not None and step.up > 0:
            x = x + noise(sigma, sigma_next) * (alpha_next * step.up * s_noise)
    return x


def sample_euler_ancestral_cfg_pp(
    denoiser: GuidedDenoiser,
    x: Tensor,
    sigmas: Tensor,
    on_step: OnStep = silent,
    *,
    noise: StepNoise,
    marginals: Marginals,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Tensor:
    """`sample_euler_cfg_pp` with noise added after every step."""
    return sample_euler_cfg_pp(denoiser, x, sigmas, on_step, marginals=marginals, noise=noise, eta=eta, s_noise=s_noise)
