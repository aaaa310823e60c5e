"""What a network was trained to predict and on which noise schedule: plain data, made into arithmetic by `sampling`."""

from dataclasses import dataclass
from typing import Literal

PredictionKind = Literal["eps", "v", "edm", "x0", "flow", "lcm", "img2img", "cosmos_flow"]


@dataclass(frozen=True, slots=True)
class BetaSchedule:
    """Discrete diffusion (arXiv:2006.11239): `steps` variances beta; timesteps are 0…steps - 1."""

    start: float = 0.00085
    end: float = 0.012
    spacing: Literal["scaled_linear", "linear"] = "scaled_linear"
    """scaled_linear: beta is the square of a line between the roots of start and end."""
    steps: int = 1000
    zero_terminal_snr: bool = False
    """Rescaled so that the last timestep is pure noise (arXiv:2305.08891)."""
    kept: int | None = None
    """A distilled network knows only so many of the timesteps, evenly spaced from the last one down."""


@dataclass(frozen=True, slots=True)
class EdmSchedule:
    """Continuous noise levels (arXiv:2206.00364)."""

    sigma_min: float = 0.002
    sigma_max: float = 80.0
    clock: Literal["log", "tangent", "flow"] = "log"
    """The network's time: ln(sigma) / 4, or 2 atan(sigma) / pi (arXiv:2202.00512), or sigma / (sigma + 1)."""


@dataclass(frozen=True, slots=True)
class FlowSchedule:
    """Rectified flow (arXiv:2403.03206): sigma = shift * t / (1 + (shift - 1) * t) for t in 0…1."""

    shift: float = 1.0
    """An exponential shift mu is the same curve with shift = e^mu."""
    multiplier: float = 1000.0
    """The network's time is sigma * multiplier."""
    steps: int = 1000
    """Entries of the table that schedules index."""


@dataclass(frozen=True, slots=True)
class CosineSchedule:
    """The cosine schedule (arXiv:2102.09672) of Stable Cascade (arXiv:2306.00637), shifted in log SNR; time is 0…1."""

    shift: float = 1.0


NoiseSchedule = BetaSchedule | EdmSchedule | FlowSchedule | CosineSchedule


@dataclass(frozen=True, slots=True)
class PredictionSpec:
    kind: PredictionKind
    schedule: NoiseSchedule
    sigma_data: float = 1.0
