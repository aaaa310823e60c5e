"""Heun++: Heun's method that looks two steps ahead."""

from torch import Tensor

from diffusion.sampling.denoiser import Denoiser, OnStep, Step, as_floats, per_row, silent, slope


def sample_heunpp2(denoiser: Denoiser, x: Tensor, sigmas: Tensor, on_step: OnStep = silent) -> Tensor:
    """Averages the slopes here, at the next level and at the one after it, weighted by how noisy those are.

    The method was published as a sampler for web interfaces (Carzit, sd-webui-samplers-scheduler), without a paper.
    Three evaluations a step, two on the last but one, one on the last. The weights come from sigmas[0], so the method
    is a blend, not a Runge-Kutta formula: its order is 1.

    x: latent at noise level sigmas[0], (B, C, H, W). sigmas: (steps + 1,), decreasing.
    """
    levels = as_floats(sigmas)
    steps = len(levels) - 1
    for i in range(steps):
        sigma, sigma_next = levels[i], levels[i + 1]
        denoised = denoiser(x, per_row(x, sigma))
        on_step(Step(i, steps, sigma, x, denoised))
        d = slope(x, sigma, denoised)
        dt = sigma_next - sigma
        if sigma_next == levels[-1]:
            x = x + d * dt
            continue
        x_2 = x + d * dt
        d_2 = slope(x_2, sigma_next, denoiser(x_2, per_row(x, sigma_next)))
        sigma_after = levels[i + 2]
        if sigma_after == levels[-1]:
            w_2 = sigma_next / (2 * levels[0])
            x = x + (d * (1 - w_2) + d_2 * w_2) * dt
            continue
        x_3 = x_2 + d_2 * (sigma_after - sigma_next)
        d_3 = slope(x_3, sigma_after, denoiser(x_3, per_row(x, sigma_after)))
        w_2, w_3 = sigma_next / (3 * levels[0]), sigma_after / (3 * levels[0])
        x = x + (d * (1 - w_2 - w_3) + d_2 * w_2 + d_3 * w_3) * dt
    return x
