"""Runs that something else drives: a model, a sampler, a guider or a condition may bring a loop of its own.

For objects written against another interface, whose ways of changing a run have no place in ours. Who brings one gets
the whole run and answers for all of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from diffusion.handles import Model
from diffusion.sampling.denoiser import OnStep
from diffusion.sampling.guidance.core import Guider
from diffusion.sampling.solvers import Sampler


@dataclass(frozen=True, slots=True)
class Sampled:
    """The outcome of a run; (B, C, H, W) float32 on the CPU in VAE scale."""

    latent: Tensor
    denoised: Tensor
    """The model's last estimate of the clean latent. It differs from `latent` where a run stops before no noise."""


@dataclass(frozen=True, slots=True)
class SamplingRun:
    """The arguments of `sample.sample_guided`."""

    model: Model
    guider: Guider
    latent: Tensor
    noise: Tensor
    sampler: Sampler
    sigmas: Tensor
    noise_mask: Tensor | None
    on_step: OnStep
    seed: int


class Driver(Protocol):
    def __call__(self, run: SamplingRun, /) -> Sampled:
        """Do the whole run."""
        ...


def driver_of(model: Model, guider: Guider, sampler: Sampler) -> Driver | None:
    """The first loop that somebody in the run brings: the guider, the sampler, the model, a condition's options."""
    return next((found for found in map(_brought, _parts(model, guider, sampler)) if found is not None), None)


def _parts(model: Model, guider: Guider, sampler: Sampler) -> Iterator[Any]:
    yield guider
    yield sampler
    yield model
    for conditions in guider.conditionings.values():
        for condition in conditions:
            yield from condition.options.values()


def _brought(part: object) -> Driver | None:
    # Tensors and plain values have no such attribute; asking their type first keeps this cheap.
    return getattr(part, "driver", None) if hasattr(type(part), "driver") else None
