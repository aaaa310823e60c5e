"""Noise levels of a model: its clock, the sigma of every time on it, and the table that schedules index.

The maps between sigma and timestep are the conventional ones, not always inverses of each other: schedules, and so
pictures, depend on them as they are.
"""

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

UNREACHED = 999999999.9
"""The sigma of percent 0 for models whose noise has no natural limit: above every level."""

_ZERO_SNR_ABAR = 4.8973451890853435e-08
"""abar of the last timestep when it should be 0: sigma stays finite, 4518.76 (arXiv:2305.08891 and its users)."""


class Levels(Protocol):
    """What schedules and samplers ask of a model."""

    sigmas: Tensor
    """The table, (N,) float32, ascending."""

    @property
    def sigma_min(self) -> float: ...

    @property
    def sigma_max(self) -> float: ...

    def timestep(self, sigma: Tensor) -> Tensor:
        """The network's time for noise levels, elementwise."""
        ...

    def sigma(self, timestep: Tensor) -> Tensor:
        """The noise level of a time, elementwise; times between two entries are interpolated."""
        ...

    def percent_to_sigma(self, percent: float) -> float:
        """The noise level when a share of the sampling is done: 0 is above every level, 1 is no noise."""
        ...


class _Table:
    """What every kind of levels does with its table."""

    def __init__(self, sigmas: Tensor):
        self.sigmas = sigmas.float()

    @property
    def sigma_min(self) -> float:
        return float(self.sigmas[0])

    @property
    def sigma_max(self) -> float:
        return float(self.sigmas[-1])


class DiscreteLevels(_Table):
    """Timesteps 0…N - 1 of a discrete diffusion (arXiv:2006.11239)."""

    def __init__(self, sigmas: Tensor):
        super().__init__(sigmas)
        self._log_sigmas = self.sigmas.log()

    def timestep(self, sigma: Tensor) -> Tensor:
        """The entry nearest in ln(sigma): a whole number, not an interpolation."""
        table = self._log_sigmas.to(sigma.device)
        return (sigma.log()[..., None] - table).abs().argmin(dim=-1).float()

    def sigma(self, timestep: Tensor) -> Tensor:
        """ln(sigma) is linear between entries; times outside are held at the ends."""
        table = self._log_sigmas.to(timestep.device)
        time = timestep.float().clamp(0, len(table) - 1)
        low, high = time.floor().long(), time.ceil().long()
        return torch.lerp(table[low], table[high], time - time.floor()).exp()

    def percent_to_sigma(self, percent: float) -> float:
        if percent <= 0:
            return UNREACHED
        if percent >= 1:
            return 0.0
        return float(self.sigma(torch.tensor((1 - percent) * (len(self.sigmas) - 1))))


class DistilledLevels(_Table):
    """The timesteps a distilled model was trained on: every k-th of the original, counted from its end.

    As in latent consistency models (arXiv:2310.04378): 50 of 1000.
    """

    def __init__(self, sigmas: Tensor, kept: int = 50):
        self._original = len(sigmas)
        self._skip = len(sigmas) // kept
        super().__init__(sigmas.flip(0)[: self._skip * kept : self._skip].flip(0))
        self._log_sigmas = self.sigmas.log()

    def timestep(self, sigma: Tensor) -> Tensor:
        table = self._log_sigmas.to(sigma.device)
        nearest = (sigma.log()[..., None] - table).abs().argmin(dim=-1)
        return (nearest * self._skip + self._skip - 1).float()

    def sigma(self, timestep: Tensor) -> Tensor:
        table = self._log_sigmas.to(timestep.device)
        place = ((timestep.float() - (self._skip - 1)) / self._skip).clamp(0, len(table) - 1)
        low, high = place.floor().long(), place.ceil().long()
        return torch.lerp(table[low], table[high], place - place.floor()).exp()

    def percent_to_sigma(self, percent: float) -> float:
        if percent <= 0:
            return UNREACHED
        if percent >= 1:
            return 0.0
        return float(self.sigma(torch.tensor((1 - percent) * (self._original - 1))))


class ContinuousLevels(_Table):
    """Log-spaced levels with no table in the model: EDM (arXiv:2206.00364). Time is ln(sigma) / 4."""

    def __init__(self, sigma_min: float, sigma_max: float, entries: int = 1000):
        super().__init__(torch.linspace(math.log(sigma_min), math.log(sigma_max), entries).exp())
        self._log_min, self._log_max = math.log(sigma_min), math.log(sigma_max)

    def timestep(self, sigma: Tensor) -> Tensor:
        return 0.25 * sigma.log()

    def sigma(self, timestep: Tensor) -> Tensor:
        return (timestep / 0.25).exp()

    def percent_to_sigma(self, percent: float) -> float:
        if percent <= 0:
            return UNREACHED
        if percent >= 1:
            return 0.0
        return math.exp(self._log_min + (self._log_max - self._log_min) * (1 - percent))


class TangentLevels(ContinuousLevels):
    """The same levels on the clock of v-diffusion: sigma = tan(pi t / 2), t in 0…1 (arXiv:2202.00512)."""

    def timestep(self, sigma: Tensor) -> Tensor:
        return sigma.atan() / math.pi * 2

    def sigma(self, timestep: Tensor) -> Tensor:
        return (timestep * math.pi / 2).tan()


class CosmosFlowLevels(ContinuousLevels):
    """Log-spaced levels whose time is that of the equivalent flow, sigma / (sigma + 1)."""

    def timestep(self, sigma: Tensor) -> Tensor:
        return sigma / (sigma + 1)

    def sigma(self, timestep: Tensor) -> Tensor:
        return timestep / (1 - timestep)


class FlowLevels(_Table):
    """Rectified flow: sigma = a t / (1 + (a - 1) t) with shift a, t in 0…1 (arXiv:2403.03206, eq. 23).

    The network is told sigma * multiplier, but that number is read back as an *unshifted* time: `sigma(timestep(s))`
    shifts once more. Schedules that go through it, `normal` among them, depend on this.
    """

    def __init__(self, shift: float, multiplier: float = 1000.0, entries: int = 1000):
        self._shift, self._multiplier = shift, multiplier
        times = torch.arange(1, entries + 1, dtype=torch.float64) / entries
        super().__init__(self._shifted(times))

    def _shifted(self, time: Tensor) -> Tensor:
        return self._shift * time / (1 + (self._shift - 1) * time)

    def timestep(self, sigma: Tensor) -> Tensor:
        return sigma * self._multiplier

    def sigma(self, timestep: Tensor) -> Tensor:
        return self._shifted(timestep / self._multiplier)

    def percent_to_sigma(self, percent: float) -> float:
        if percent <= 0:
            return 1.0
        if percent >= 1:
            return 0.0
        return float(self._shifted(torch.tensor(1 - percent, dtype=torch.float64)))


class CosineLevels(_Table):
    """The cosine schedule (arXiv:2102.09672) shifted in log SNR: Stable Cascade (arXiv:2306.00637). Time is 0…1."""

    _OFFSET = 0.008

    def __init__(self, shift: float = 1.0, entries: int = 10_000):
        self._shift = shift
        self._start = math.cos(self._OFFSET / (1 + self._OFFSET) * math.pi / 2) ** 2
        super().__init__(self.sigma(torch.arange(1, entries + 1, dtype=torch.float64) / entries))

    def timestep(self, sigma: Tensor) -> Tensor:
        """On the unshifted clock."""
        abar = 1 / (1 + sigma**2)
        angle = (abar * self._start).clamp(0, 1).sqrt().acos()
        return angle / (math.pi / 2) * (1 + self._OFFSET) - self._OFFSET

    def sigma(self, timestep: Tensor) -> Tensor:
        angle = (timestep + self._OFFSET) / (1 + self._OFFSET) * (math.pi / 2)
        abar = angle.cos() ** 2 / self._start
        if self._shift != 1:
            abar = (torch.logit(abar.clamp(1e-12, 1 - 1e-12)) - 2 * math.log(self._shift)).sigmoid()
        abar = abar.clamp(0.0001, 0.9999)
        return ((1 - abar) / abar).sqrt()

    def percent_to_sigma(self, percent: float) -> float:
        if percent <= 0:
            return UNREACHED
        if percent >= 1:
            return 0.0
        return float(self.sigma(torch.tensor(1 - percent, dtype=torch.float64)))


def beta_sigmas(start: float, end: float, steps: int, *, scaled: bool) -> Tensor:
    """sqrt((1 - abar) / abar) of every timestep, (steps,) float64.

    scaled: betas are squares of a line between the roots of start and end, as in latent diffusion, which calls that
    "linear"; otherwise a line between the two.
    """
    if scaled:
        betas = torch.linspace(start**0.5, end**0.5, steps, dtype=torch.float64) ** 2
    else:
        betas = torch.linspace(start, end, steps, dtype=torch.float64)
    abar = torch.cumprod(1 - betas, dim=0)
    return ((1 - abar) / abar).sqrt()


def zero_terminal_snr(sigmas: Tensor) -> Tensor:
    """Rescales a table so that its last entry is almost pure noise: Lin et al. (arXiv:2305.08891), Algorithm 1."""
    root = (1 / (1 + sigmas**2)).sqrt()
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    abar = root**2
    abar[-1] = _ZERO_SNR_ABAR
    return ((1 - abar) / abar).sqrt()


def flow_mu(
    tokens: float, base_shift: float = 0.5, max_shift: float = 1.15, anchors: Sequence[int] = (256, 4096)
) -> float:
    """Exponent of the flow shift for a picture of so many tokens: a line through (256, base) and (4096, max).

    The published rule of Flux (black-forest-labs/flux); tokens are patches of 2x2 latents, width * height / 256.
    The shift itself is e^mu.
    """
    low, high = anchors
    return base_shift + (max_shift - base_shift) * (tokens - low) / (high - low)
