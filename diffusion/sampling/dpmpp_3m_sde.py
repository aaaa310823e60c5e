"""DPM-Solver++(3M) for the reverse SDE."""

from itertools import pairwise

from torch import Tensor

from diffusion.sampling.denoiser import Denoiser, OnStep, Step, StepNoise, as_floats, per_row, silent
from diffusion.sampling.marginals import Marginals, exponential_step


def sample_dpmpp_3m_sde(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    on_step: OnStep = silent,
    *,
    noise: StepNoise,
    marginals: Marginals,
    eta: float = 1.0,
    s_noise: float = 1.0,
) -> Tensor:
    """Third order multistep data prediction for the SDE (after arXiv:2211.01095), as in k-diffusion.

    First and second derivatives of the estimate in lambda come from divided differences of the last three.
    x: latent at noise level sigmas[0], (B, C, H, W). sigmas: (steps + 1,), decreasing, lambda finite.
    eta, s_noise: as in `dpmpp_2m_sde`.
    """
    past: list[tuple[float, Tensor]] = []  # (length of the step taken from it, estimate), the newest first
    for i, (sigma, sigma_next) in enumerate(pairwise(as_floats(sigmas))):
        denoised = denoiser(x, per_row(x, sigma))
        on_step(Step(i, len(sigmas) - 1, sigma, x, denoised))
        if sigma_next == 0:
            x = denoised
            continue
        step = exponential_step(marginals, sigma, sigma_next, eta)
        h = step.h / (1 + eta)
        phi_2 = 1 - step.weight / step.h
        phi_3 = phi_2 / step.h - 0.5
        x = x * step.decay + denoised * (step.alpha * step.weight)
        if len(past) == 2:
            (h_1, denoised_1), (h_2, denoised_2) = past
            r_1, r_2 = h_1 / h, h_2 / h
            first = (denoised - denoised_1) / r_1
            before = (denoised_1 - denoised_2) / r_2
            second = (first - before) / (r_1 + r_2)
            x = x + (first + second * r_1) * (step.alpha * phi_2) - second * (step.alpha * phi_3)
        elif past:
            ((h_1, denoised_1),) = past
            x = x + (denoised - denoised_1) * (step.alpha * phi_2 * h / h_1)
        if eta > 0 and s_noise > 0:
            x = x + noise(sigma, sigma_next) * (step.up * s_noise)
        past = [(h, denoised), *past][:2]
    return x
