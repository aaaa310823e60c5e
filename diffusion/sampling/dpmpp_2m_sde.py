"""DPM-Solver++(2M) for the reverse SDE."""

from itertools import pairwise
from typing import Literal

from torch import Tensor

from diffusion.sampling.denoiser import Denoiser, OnStep, Step, StepNoise, as_floats, per_row, silent
from diffusion.sampling.marginals import Marginals, exponential_step


def sample_dpmpp_2m_sde(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    on_step: OnStep = silent,
    *,
    noise: StepNoise,
    marginals: Marginals,
    eta: float = 1.0,
    s_noise: float = 1.0,
    solver_type: Literal["midpoint", "heun"] = "midpoint",
) -> Tensor:
    """Second order multistep data prediction for the SDE (arXiv:2211.01095, appendix), as in k-diffusion.

    x: latent at noise level sigmas[0], (B, C, H, W). sigmas: (steps + 1,), decreasing, lambda finite.
    eta: strength of the reverse SDE, 0 is the ODE. s_noise: factor on its noise.
    solver_type: how the derivative of the estimate enters: at the middle of the step, or integrated exactly.
    """
    previous: Tensor | None = None
    h_last = 0.0
    for i, (sigma, sigma_next) in enumerate(pairwise(as_floats(sigmas))):
        denoised = denoiser(x, per_row(x, sigma))
        on_step(Step(i, len(sigmas) - 1, sigma, x, denoised))
        if sigma_next == 0:
            x = denoised
            continue
        step = exponential_step(marginals, sigma, sigma_next, eta)
        h = step.h / (1 + eta)
        x = x * step.decay + denoised * (step.alpha * step.weight)
        if previous is not None:
            share = 0.5 * step.weight if solver_type == "midpoint" else 1 - step.weight / step.h
            x = x + (denoised - previous) * (step.alpha * share * h / h_last)
        if eta > 0 and s_noise > 0:
            x = x + noise(sigma, sigma_next) * (step.up * s_noise)
        previous, h_last = denoised, h
    return x
