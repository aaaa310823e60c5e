"""How much signal and noise a latent holds at a noise level: q(x | clean) = N(alpha * clean, sigma² I).

Two conventions are in use. Models trained with discrete or EDM noise are sampled in the variance-exploding form, where
the signal keeps its size (alpha = 1); rectified flow mixes, alpha = 1 - sigma. Solvers that work in the logarithm of
the signal-to-noise ratio, lambda = ln(alpha / sigma), are the same in both once they ask here.
"""

import math
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True, slots=True)
class AncestralStep:
    """Go down to `down` without noise, then multiply by `keep` and add noise of deviation `up`."""

    down: float
    keep: float
    up: float


class Marginals(Protocol):
    def alpha(self, sigma: float) -> float:
        """Scale of the signal at a noise level."""
        ...

    def half_log_snr(self, sigma: float) -> float:
        """lambda = ln(alpha / sigma); -inf where no signal is left."""
        ...

    def sigma_at(self, half_log_snr: float) -> float:
        """The noise level that has this lambda."""
        ...

    def noised(self, latent: Tensor, noise: Tensor, sigma: float | Tensor) -> Tensor:
        """A draw from the marginal at `sigma`, given the noise."""
        ...

    def ancestral(self, sigma: float, sigma_next: float, eta: float) -> AncestralStep:
        """Splits a step into a deterministic and a random part that together keep the marginals.

        eta: 0 is no noise, 1 as much as the reverse diffusion has.
        """
        ...


class VarianceExploding:
    """alpha = 1, sigma in 0…infinity (arXiv:2206.00364)."""

    def alpha(self, sigma: float) -> float:
        return 1.0

    def half_log_snr(self, sigma: float) -> float:
        return -math.log(sigma)

    def sigma_at(self, half_log_snr: float) -> float:
        return math.exp(-half_log_snr)

    def noised(self, latent: Tensor, noise: Tensor, sigma: float | Tensor) -> Tensor:
        return latent + noise * sigma

    def ancestral(self, sigma: float, sigma_next: float, eta: float) -> AncestralStep:
        """The DDPM posterior in this form: deviation s' sqrt(1 - (s'/s)²) (arXiv:2006.11239), times eta.

        sigma may be infinite.
        """
        up = min(sigma_next, eta * sigma_next * math.sqrt(max(1 - (sigma_next / sigma) ** 2, 0.0)))
        return AncestralStep(math.sqrt(sigma_next**2 - up**2), 1.0, up)


class RectifiedFlow:
    """alpha = 1 - sigma, sigma in 0…1 (arXiv:2209.03003)."""

    def alpha(self, sigma: float) -> float:
        return 1.0 - sigma

    def half_log_snr(self, sigma: float) -> float:
        return -math.inf if sigma >= 1 else math.log((1 - sigma) / sigma)

    def sigma_at(self, half_log_snr: float) -> float:
        return 1 / (1 + math.exp(half_log_snr))

    def noised(self, latent: Tensor, noise: Tensor, sigma: float | Tensor) -> Tensor:
        return latent * (1.0 - sigma) + noise * sigma

    def ancestral(self, sigma: float, sigma_next: float, eta: float) -> AncestralStep:
        """Overshoot towards clean by eta, then scale the signal back to 1 - s' and fill up with noise."""
        down = sigma_next * max(1 + (sigma_next / sigma - 1) * eta, 0.0)
        keep = (1 - sigma_next) / (1 - down) if down < 1 else 1.0
        return AncestralStep(down, keep, math.sqrt(max(sigma_next**2 - (down * keep) ** 2, 0.0)))


@dataclass(frozen=True, slots=True)
class ExponentialStep:
    """Coefficients of a step in lambda under the reverse SDE of strength eta, noise prediction integrated exactly.

    x' = decay * x + alpha' * (…weights of the estimates that sum to `weight`…) + noise * up.
    """

    h: float
    """(1 + eta) * (lambda' - lambda)."""
    decay: float
    alpha: float
    """Signal scale at the end of the step."""
    up: float

    @property
    def weight(self) -> float:
        return -math.expm1(-self.h)


def exponential_step(marginals: Marginals, sigma: float, sigma_next: float, eta: float) -> ExponentialStep:
    """DPM-Solver++ (arXiv:2211.01095): the SDE for eta = 1, the ODE for eta = 0. Both sigmas need a finite lambda."""
    h = marginals.half_log_snr(sigma_next) - marginals.half_log_snr(sigma)
    return ExponentialStep(
        h=h * (1 + eta),
        decay=sigma_next / sigma * math.exp(-eta * h),
        alpha=marginals.alpha(sigma_next),
        up=sigma_next * math.sqrt(max(-math.expm1(-2 * eta * h), 0.0)),
    )
