"""Improved pseudo numerical methods: Adams-Bashforth on the slope, for equal and for unequal steps."""

from collections.abc import Callable, Sequence

from torch import Tensor

from diffusion.sampling.denoiser import Denoiser, OnStep, Step, as_floats, per_row, silent, slope

_EQUAL = ((1.0,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24))
"""Adams-Bashforth weights of the newest slope and those before it, by order."""

_Weights = Callable[[Sequence[float], int, int], Sequence[float]]


def sample_ipndm(
    denoiser: Denoiser, x: Tensor, sigmas: Tensor, on_step: OnStep = silent, *, max_order: int = 4
) -> Tensor:
    """Weights as if all steps were equal: iPNDM of Zhang & Chen (arXiv:2204.13902), after PNDM (arXiv:2202.09778).

    x: latent at noise level sigmas[0], (B, C, H, W). sigmas: (steps + 1,), decreasing. max_order: 1 to 4.
    """
    return _multistep(denoiser, x, sigmas, on_step, max_order, lambda levels, i, order: _EQUAL[order - 1])


def sample_ipndm_v(
    denoiser: Denoiser, x: Tensor, sigmas: Tensor, on_step: OnStep = silent, *, max_order: int = 4
) -> Tensor:
    """Weights for unequal steps, as published with Zhou et al. (zju-pi, diff-sampler).

    The published third and fourth order weights are exact only for equal steps; they are kept, because pictures are
    compared. `lms` has the exact ones.
    x: latent at noise level sigmas[0], (B, C, H, W). sigmas: (steps + 1,), decreasing. max_order: 1 to 4.
    """
    return _multistep(denoiser, x, sigmas, on_step, max_order, _unequal)


def _multistep(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    on_step: OnStep,
    max_order: int,
    weights: _Weights,
) -> Tensor:
    if not 1 <= max_order <= 4:
        raise ValueError(f"ipndm has orders 1 to 4, not {max_order}")
    levels = as_floats(sigmas)
    steps = len(levels) - 1
    slopes: list[Tensor] = []
    for i in range(steps):
        sigma, sigma_next = levels[i], levels[i + 1]
        denoised = denoiser(x, per_row(x, sigma))
        on_step(Step(i, steps, sigma, x, denoised))
        slopes = [slope(x, sigma, denoised), *slopes][:max_order]
        if sigma_next == 0:
            x = denoised
            continue
        for weight, d in zip(weights(levels, i, len(slopes)), slopes, strict=True):
            x = x + d * (weight * (sigma_next - sigma))
    return x


def _unequal(levels: Sequence[float], i: int, order: int) -> Sequence[float]:
    """Weights for the step from level i. h is its length, h_1 … h_3 those of the steps before it."""
    if order == 1:
        return _EQUAL[0]
    h, h_1 = levels[i + 1] - levels[i], levels[i] - levels[i - 1]
    now, before = 1 + h / h_1 / 2, -h / h_1 / 2
    if order == 2:
        return now, before
    h_2 = levels[i - 1] - levels[i - 2]
    a = (1 - h**2 / (3 * h_1 * (h_1 + h_2))) / 2
    p = h_1 / h_2
    if order == 3:
        return now + a, before - (1 + p) * a, p * a
    h_3 = levels[i - 2] - levels[i - 3]
    b = (1 - h / (3 * (h + h_1))) / 2 + (1 - h / (2 * (h + h_1))) * h / (6 * (h + h_1 + h_2))
    b *= h * (h + h_1) * (h + h_1 + h_2) / (h_1 * (h_1 + h_2) * (h_1 + h_2 + h_3))
    q = h_1 * (h_1 + h_2) / (h_2 * (h_2 + h_3))
    return (
        now + a + b,
        before - (1 + p) * a - (1 + p + q) * b,
        p * a + (p + q * (1 + h_2 / h_3)) * b,
        -b * q * p,
    )
