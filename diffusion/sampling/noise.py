"""Random numbers: the noise a latent starts from, and what stochastic solvers add on the way.

Seeds are drawn on the CPU and in float32: one seed must be one picture on every machine.
"""

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor

SEED_LIMIT = 2**64

Draw = Callable[[Sequence[int]], Tensor]
"""Standard normal numbers of a given shape, each call continuing one stream."""


def initial_noise(shape: Sequence[int], seed: int, batch_index: Sequence[int] | None = None) -> Tensor:
    """Standard normal noise for a latent of `shape`, (B, C, H, W) or any other with the batch first; float32, CPU.

    seed: 0…2^64 - 1. batch_index: the place each row had in the batch it was taken from; rows are then drawn one
    after the other up to the largest place, so that a row gets the noise it had there. One draw for the whole batch
    and a draw per row agree only if a row has a multiple of 16 numbers: a property of torch's generator.
    """
    generator = seeded(seed)
    if batch_index is None:
        return torch.randn(tuple(shape), generator=generator, dtype=torch.float32)
    if len(batch_index) != shape[0] or min(batch_index, default=0) < 0:
        raise ValueError(
            f"batch_index holds {list(batch_index)}; expected {shape[0]} places from 0 up, one for each latent"
        )
    places = sorted(set(batch_index))
    rows: dict[int, Tensor] = {}
    for place in range(places[-1] + 1 if places else 0):
        row = torch.randn((1, *shape[1:]), generator=generator, dtype=torch.float32)
        if place in batch_index:
            rows[place] = row
    return torch.cat([rows[place] for place in batch_index])


def no_noise(shape: Sequence[int]) -> Tensor:
    """Zeros in place of noise: a latent that is already noisy, or one to be denoised as it is."""
    return torch.zeros(tuple(shape), dtype=torch.float32)


def seeded(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator of its own for a 64-bit seed."""
    if not 0 <= seed < SEED_LIMIT:
        raise ValueError(f"A seed is a whole number from 0 to 2^64 - 1, not {seed}")
    return torch.Generator(device).manual_seed(seed)


def draws(seed: int, device: torch.device) -> Draw:
    """Draws on the device that samples, one stream per seed.

    On the CPU the first draw of a seed repeats its initial noise. That is how existing pictures were made.
    """
    generator = seeded(seed, device)
    return lambda shape: torch.randn(tuple(shape), generator=generator, device=device, dtype=torch.float32)


class SeededNoise:
    """`StepNoise` from one stream, whatever the sigmas."""

    def __init__(self, x: Tensor, seed: int):
        self._shape, self._draw = x.shape, draws(seed, x.device)

    def __call__(self, sigma: float, sigma_next: float) -> Tensor:
        return self._draw(self._shape)


class BrownianNoise:
    """`StepNoise` from one Brownian path over sigma, so that any two subdivisions of it see the same path.

    The path is torchsde's tree (Li et al. 2020, arXiv:2001.01328): a function of seed and ends, not of the queries.
    Between different ends the same seed gives different paths. One tree covers the whole batch.
    """

    def __init__(self, x: Tensor, sigma_min: float, sigma_max: float, seed: int, device: torch.device | str = "cpu"):
        """x: gives shape and the device of the results. device: where the tree draws; results differ between kinds."""
        # Late: it loads scipy, which only these samplers need.
        import torchsde  # pyright: ignore[reportMissingTypeStubs]  # it has none

        self._device = x.device
        # The tree knows its ends to six digits and warns of anything beyond.
        self._ends = round(_float32(sigma_min), 6), round(_float32(sigma_max), 6)
        self._path = torchsde.BrownianTree(
            t0=torch.tensor(sigma_min),
            w0=torch.zeros(x.shape, dtype=torch.float32, device=device),
            t1=torch.tensor(sigma_max),
            entropy=seed,
        )

    def __call__(self, sigma: float, sigma_next: float) -> Tensor:
        low, high = sorted((sigma, sigma_next))
        increment = cast(Tensor, self._path(self._inside(low), self._inside(high)))
        sign = 1.0 if sigma < sigma_next else -1.0
        return (increment * (sign / (high - low) ** 0.5)).to(self._device)

    def _inside(self, sigma: float) -> float:
        return min(max(_float32(sigma), self._ends[0]), self._ends[1])


def _float32(value: float) -> float:
    return float(torch.tensor(value, dtype=torch.float32))
