"""What a solver sees of a model, and what it tells its caller after each step."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


class Denoiser(Protocol):
    """Something that estimates the clean latent. Guidance, masks and control networks are its own business."""

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """x: noisy latent (B, C, H, W). sigma: its noise levels (B,). Returns the clean estimate, shaped as x."""
        ...


class GuidedDenoiser(Denoiser, Protocol):
    """A denoiser that can also say what it would have estimated without the positive conditioning."""

    def with_unconditional(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """The guided estimate and the unconditional one, each shaped as x."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a solver, reported when its first estimate of the clean latent is known."""

    index: int
    """From 0."""
    steps: int
    """How many there will be; for solvers that choose their own steps, a lower bound."""
    sigma: float
    x: Tensor
    denoised: Tensor


OnStep = Callable[[Step], None]
"""May raise to stop the solver: nothing is left behind."""

StepNoise = Callable[[float, float], Tensor]
"""Standard normal noise, shaped as the latent, for the step from one sigma to the next."""


def silent(step: Step) -> None:
    """An `OnStep` that does nothing."""


def per_row(x: Tensor, sigma: float) -> Tensor:
    """One noise level for every row of a batch: (B,) float32."""
    return x.new_full((x.shape[0],), sigma)


def slope(x: Tensor, sigma: float, denoised: Tensor) -> Tensor:
    """dx/dsigma of the probability-flow ODE: Karras et al. 2022 (arXiv:2206.00364), eq. 4 for s = 1."""
    return (x - denoised) / sigma


def as_floats(sigmas: Tensor) -> list[float]:
    """A list of sigmas as numbers: a solver's coefficients are computed in double precision, off the device."""
    return [float(sigma) for sigma in sigmas.cpu()]
