"""DPM-Solver with fixed and with adaptive steps in the logarithm of sigma (Lu et al. 2022, arXiv:2206.00927)."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from diffusion.sampling.denoiser import Denoiser, OnStep, Step, StepNoise, as_floats, per_row, silent, slope
from diffusion.sampling.marginals import VarianceExploding

_EXPLODING = VarianceExploding()
_SMALLEST_STEP = 1e-4


def sample_dpm_fast(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    on_step: OnStep = silent,
    *,
    noise: StepNoise | None = None,
    eta: float = 0.0,
    s_noise: float = 1.0,
) -> Tensor:
    """DPM-Solver-fast, section 3.4: steps of order 3, the last one or two of lower order.

    As many evaluations as `sigmas` has steps. Only its first and its smallest positive level are used; the steps
    between are equal in ln(sigma), and it ends at that smallest level.
    x: latent at noise level sigmas[0], (B, C, H, W). eta above 0 needs `noise`.
    """
    evaluations = len(sigmas) - 1
    start, end = _ends(sigmas)
    count = evaluations // 3 + 1
    orders = [3] * (count - 2) + [2, 1] if evaluations % 3 == 0 else [3] * (count - 1) + [evaluations % 3]
    times = as_floats(torch.linspace(-math.log(start), -math.log(end), count + 1, dtype=torch.float64))
    for i, order in enumerate(orders):
        sigma, sigma_next = math.exp(-times[i]), math.exp(-times[i + 1])
        down, up = _ancestral(sigma, sigma_next, end, eta)
        step = _SingleStep(denoiser, x, sigma, down)
        on_step(Step(i, len(orders), sigma, x, x - step.eps * sigma))
        x = (step.first, step.second, step.third)[order - 1]()
        if noise is not None and up > 0:
            x = x + noise(sigma, sigma_next) * (s_noise * up)
    return x


def sample_dpm_adaptive(
    denoiser: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    on_step: OnStep = silent,
    *,
    noise: StepNoise | None = None,
    order: int = 3,
    rtol: float = 0.05,
    atol: float = 0.0078,
    h_init: float = 0.05,
    pcoeff: float = 0.0,
    icoeff: float = 1.0,
    dcoeff: float = 0.0,
    accept_safety: float = 0.81,
    eta: float = 0.0,
    s_noise: float = 1.0,
) -> Tensor:
    """DPM-Solver-12 or -23, appendix C: steps as large as the error between two orders allows.

    The number of steps is the solver's own choice: of `sigmas` only the first and the smallest positive level count.
    order: 2 or 3. rtol, atol: tolerated relative and absolute error. h_init: first step in ln(sigma).
    pcoeff, icoeff, dcoeff, accept_safety: of the step size control, see `_StepSize`.
    """
    if order not in (2, 3):
        raise ValueError(f"dpm_adaptive has order 2 or 3, not {order}")
    start, end = _ends(sigmas)
    control = _StepSize(h_init, pcoeff, icoeff, dcoeff, 1.5 if eta else float(order), accept_safety)
    time, time_end = -math.log(start), -math.log(end)
    x_previous = x
    tried = 0
    while time < time_end - 1e-5:
        time_next = min(time_end, time + control.h)
        sigma, sigma_next = math.exp(-time), math.exp(-time_next)
        down, up = _ancestral(sigma, sigma_next, end, eta)
        step = _SingleStep(denoiser, x, sigma, down)
        if order == 2:
            x_low, x_high = step.first(), step.second()
        else:
            x_low, x_high = step.second(r=1 / 3), step.third()
        tolerated = torch.clamp(rtol * torch.maximum(x_low.abs(), x_previous.abs()), min=atol)
        error = float(((x_low - x_high) / tolerated).square().mean().sqrt())
        if not math.isfinite(error):
            raise FloatingPointError(f"dpm_adaptive met values that are not finite at sigma {sigma:.4g}")
        # Steps that were tried count too, so that a listener can interrupt while none is accepted.
        on_step(Step(tried, max(len(sigmas) - 1, tried + 1), sigma, x, x - step.eps * sigma))
        tried += 1
        if control.accepts(error):
            x_previous, x = x_low, x_high
            if noise is not None and up > 0:
                x = x + noise(sigma, sigma_next) * (s_noise * up)
            time = time_next
        elif control.h < _SMALLEST_STEP:
            raise ArithmeticError(
                f"dpm_adaptive finds no step small enough at sigma {sigma:.4g}: this model's estimates jump. "
                "Allow a larger error (rtol, atol) or take a sampler with fixed steps."
            )
    return x


class _SingleStep:
    """One step of orders 1 to 3 from sigma to sigma_next; evaluations are shared between the orders."""

    def __init__(self, denoiser: Denoiser, x: Tensor, sigma: float, sigma_next: float):
        self._denoiser, self._x, self._sigma, self._sigma_next = denoiser, x, sigma, sigma_next
        self._h = math.log(sigma) - math.log(sigma_next)
        self._eps_at: dict[float, Tensor] = {}
        self.eps = slope(x, sigma, denoiser(x, per_row(x, sigma)))

    def first(self) -> Tensor:
        return self._x - self.eps * (self._sigma_next * math.expm1(self._h))

    def second(self, r: float = 1 / 2) -> Tensor:
        weight = self._sigma_next * math.expm1(self._h)
        return self._x - self.eps * weight - (self._eps_1(r) - self.eps) * (weight / (2 * r))

    def third(self) -> Tensor:
        r_1, r_2 = 1 / 3, 2 / 3
        difference = self._eps_1(r_1) - self.eps
        h_2, sigma_2 = r_2 * self._h, self._sigma * math.exp(-r_2 * self._h)
        u_2 = self._x - self.eps * (sigma_2 * math.expm1(h_2))
        u_2 = u_2 - difference * (sigma_2 * (r_2 / r_1) * (math.expm1(h_2) / h_2 - 1))
        eps_2 = slope(u_2, sigma_2, self._denoiser(u_2, per_row(u_2, sigma_2)))
        weight = self._sigma_next * (math.expm1(self._h) / self._h - 1) / r_2
        return self.first() - (eps_2 - self.eps) * weight

    def _eps_1(self, r: float) -> Tensor:
        if r not in self._eps_at:
            sigma_1 = self._sigma * math.exp(-r * self._h)
            u_1 = self._x - self.eps * (sigma_1 * math.expm1(r * self._h))
            self._eps_at[r] = slope(u_1, sigma_1, self._denoiser(u_1, per_row(u_1, sigma_1)))
        return self._eps_at[r]


@dataclass
class _StepSize:
    """A PID controller on the inverse errors of this and the last two accepted steps (Söderlind 2003)."""

    h: float
    pcoeff: float
    icoeff: float
    dcoeff: float
    order: float
    accept_safety: float
    _inverse_errors: list[float] = field(default_factory=list[float])

    def accepts(self, error: float) -> bool:
        """Whether the step may stand; sets the size of the next one either way."""
        inverse = 1 / (error + 1e-8)
        self._inverse_errors = [inverse, *self._inverse_errors[1:]] if self._inverse_errors else [inverse] * 3
        now, before, earlier = self._inverse_errors
        factor = now ** ((self.pcoeff + self.icoeff + self.dcoeff) / self.order)
        factor *= before ** (-(self.pcoeff + 2 * self.dcoeff) / self.order) * earlier ** (self.dcoeff / self.order)
        factor = 1 + math.atan(factor - 1)
        accepted = factor >= self.accept_safety
        if accepted:
            self._inverse_errors = [now, now, before]
        self.h *= factor
        return accepted


def _ends(sigmas: Tensor) -> tuple[float, float]:
    levels = as_floats(sigmas)
    end = levels[-1] if levels[-1] > 0 else levels[-2]
    return levels[0], end


def _ancestral(sigma: float, sigma_next: float, end: float, eta: float) -> tuple[float, float]:
    """Level to go down to, never below the end of the whole path, and deviation of the noise that follows."""
    if not eta:
        return sigma_next, 0.0
    down = max(_EXPLODING.ancestral(sigma, sigma_next, eta).down, end)
    return down, math.sqrt(max(sigma_next**2 - down**2, 0.0))
