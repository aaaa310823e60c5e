"""Distributions whose best denoiser is known in closed form, so that solvers have exact answers."""

from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from diffusion.sampling.marginals import Marginals, RectifiedFlow, VarianceExploding


@dataclass(frozen=True)
class Gaussian:
    """Latents whose every number is drawn from N(mean, deviation²), and what a perfect network knows of them."""

    mean: float = 0.3
    deviation: float = 0.7
    marginals: Marginals = field(default_factory=VarianceExploding)

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        s = sigma.reshape(-1, *[1] * (x.dim() - 1))
        alpha = 1 - s if isinstance(self.marginals, RectifiedFlow) else torch.ones_like(s)
        gain = alpha * self.deviation**2 / (alpha**2 * self.deviation**2 + s**2)
        return self.mean + gain * (x - alpha * self.mean)

    def with_unconditional(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Guidance that changes nothing."""
        denoised = self(x, sigma)
        return denoised, denoised

    def solution(self, x: Tensor, start: float, end: float) -> Tensor:
        """Where the probability-flow ODE leads from x: distances to the centre in deviations are kept."""
        a, b = self.marginals.alpha(start), self.marginals.alpha(end)
        spread = ((b * self.deviation) ** 2 + end**2) ** 0.5 / ((a * self.deviation) ** 2 + start**2) ** 0.5
        return b * self.mean + (x - a * self.mean) * spread

    def noisy(self, count: int, sigma: float, seed: int = 0) -> Tensor:
        """(count, 1, 1, 1) draws from the marginal at sigma, in double precision."""
        alpha = self.marginals.alpha(sigma)
        deviation = ((alpha * self.deviation) ** 2 + sigma**2) ** 0.5
        draws = torch.randn(count, 1, 1, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        return alpha * self.mean + deviation * draws


@dataclass(frozen=True)
class TwoHumps:
    """Numbers from N(-1, 0.3²) or N(1, 0.3²): a denoiser that is not linear in x. Variance-exploding form."""

    width: float = 0.3

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        s = sigma.reshape(-1, *[1] * (x.dim() - 1))
        total = self.width**2 + s**2
        right = torch.sigmoid(2 * x / total)
        centre = 2 * right - 1
        return centre + (x - centre) * (self.width**2 / total)

    def with_unconditional(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        denoised = self(x, sigma)
        return denoised, denoised

    def solution(self, x: Tensor, start: float, end: float) -> Tensor:
        """The ODE solved by scipy to ten digits."""

        def rate(sigma: float, flat: np.ndarray) -> np.ndarray:
            state = torch.from_numpy(flat).reshape(x.shape)
            denoised = self(state, torch.full((len(x),), sigma, dtype=torch.float64))
            return ((state - denoised) / sigma).flatten().numpy()

        solved = solve_ivp(rate, (start, end), x.flatten().numpy(), method="DOP853", rtol=1e-11, atol=1e-12)
        return torch.from_numpy(solved.y[:, -1]).reshape(x.shape)


def log_spaced(start: float, end: float, steps: int) -> Tensor:
    """Sigmas in double precision, equal steps in the logarithm."""
    return torch.logspace(np.log10(start), np.log10(end), steps + 1, dtype=torch.float64)
