"""Schedules: which noise levels a run goes through. The menu calls them schedulers.

Each returns (steps + 1,) float32 sigmas, decreasing to 0, unless it says otherwise.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from diffusion.sampling.levels import Levels, flow_mu


def normal(levels: Levels, steps: int) -> Tensor:
    """Times equally spaced between those of sigma_max and sigma_min, both included, then 0.

    Where the last time leads to no noise anyway, it serves as the 0.
    """
    start, end = _times(levels)
    if math.isclose(float(levels.sigma(torch.tensor(end))), 0, abs_tol=1e-5):
        return levels.sigma(torch.linspace(start, end, steps + 1)).float()
    return _to_zero(levels.sigma(torch.linspace(start, end, steps)))


def sgm_uniform(levels: Levels, steps: int) -> Tensor:
    """As `normal` with one point more, the last left out: the "trailing" spacing of Stability's generative-models."""
    start, end = _times(levels)
    return _to_zero(levels.sigma(torch.linspace(start, end, steps + 1)[:-1]))


def simple(levels: Levels, steps: int) -> Tensor:
    """Entries of the table at equal distances from its end down."""
    count = len(levels.sigmas)
    indices = [count - 1 - int(i * count / steps) for i in range(steps)]
    return _to_zero(levels.sigmas[indices])


def ddim_uniform(levels: Levels, steps: int) -> Tensor:
    """Every k-th entry from the second up (arXiv:2010.02502); may give more than `steps`, and misses sigma_max."""
    count = len(levels.sigmas)
    if math.isclose(float(levels.sigmas[1]), 0, abs_tol=1e-5):
        return levels.sigmas[1 :: max(count // (steps + 1), 1)].flip(0).clone()
    return _to_zero(levels.sigmas[1 :: max(count // steps, 1)].flip(0))


def beta(levels: Levels, steps: int, alpha: float = 0.6, beta: float = 0.6) -> Tensor:
    """Entries at quantiles of a Beta distribution (arXiv:2407.12173); equal ones count once, so steps may be fewer."""
    # Late: only this schedule needs scipy.
    from scipy.special import betaincinv  # pyright: ignore[reportMissingTypeStubs]  # it has none

    last = len(levels.sigmas) - 1
    indices = [round(float(betaincinv(alpha, beta, 1 - i / steps)) * last) for i in range(steps)]
    return _to_zero(levels.sigmas[list(dict.fromkeys(indices))])


def linear_quadratic(levels: Levels, steps: int, threshold: float = 0.025) -> Tensor:
    """Half the steps straight to noise 1 - threshold, half along a parabola to 0 (genmoai, Mochi)."""
    if steps == 1:
        return torch.tensor([levels.sigma_max, 0.0])
    linear = steps // 2
    rest = steps - linear
    excess = linear - threshold * steps
    a = excess / (linear * rest**2)
    b = threshold / linear - 2 * excess / rest**2
    c = a * linear**2
    done = [i * threshold / linear for i in range(linear)]
    done += [a * i**2 + b * i + c for i in range(linear, steps)]
    return (1 - torch.tensor([*done, 1.0], dtype=torch.float64)).mul(levels.sigma_max).float()


def kl_optimal(levels: Levels, steps: int) -> Tensor:
    """Equal steps in atan(sigma): the closed form in Align Your Steps (arXiv:2404.14507), section 3."""
    if steps == 1:
        return torch.tensor([levels.sigma_max, 0.0])
    high, low = math.atan(levels.sigma_max), math.atan(levels.sigma_min)
    return _to_zero(torch.linspace(high, low, steps, dtype=torch.float64).tan())


def karras(steps: int, sigma_min: float, sigma_max: float, rho: float = 7.0) -> Tensor:
    """Equal steps in sigma^(1/rho): Karras et al. 2022 (arXiv:2206.00364), eq. 5."""
    if rho <= 0:
        raise ValueError(f"rho of the Karras schedule has to be above 0, not {rho:g}")
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return _to_zero(torch.linspace(high, low, steps, dtype=torch.float64) ** rho)


def exponential(steps: int, sigma_min: float, sigma_max: float) -> Tensor:
    """Equal steps in ln(sigma)."""
    return polyexponential(steps, sigma_min, sigma_max, rho=1.0)


def polyexponential(steps: int, sigma_min: float, sigma_max: float, rho: float = 1.0) -> Tensor:
    """A power of equal steps in ln(sigma) (Crowson, k-diffusion)."""
    _positive(sigma_min, sigma_max)
    ramp = torch.linspace(1, 0, steps, dtype=torch.float64) ** rho
    low, high = math.log(sigma_min), math.log(sigma_max)
    return _to_zero((low + ramp * (high - low)).exp())


def laplace(steps: int, sigma_min: float, sigma_max: float, mu: float = 0.0, beta: float = 0.5) -> Tensor:
    """Quantiles of a Laplace distribution of ln(sigma), cut to the range (arXiv:2407.03297)."""
    _positive(sigma_min, sigma_max)
    place = 0.5 - torch.linspace(0, 1, steps, dtype=torch.float64)
    log_sigma = mu - beta * place.sign() * torch.log(1 - 2 * place.abs() + 1e-5)
    return _to_zero(log_sigma.exp().clamp(sigma_min, sigma_max))


def variance_preserving(steps: int, beta_d: float = 19.9, beta_min: float = 0.1, eps_s: float = 1e-3) -> Tensor:
    """Equal times of the VP process (arXiv:2011.13456) with beta from beta_min to beta_min + beta_d, down to eps_s."""
    time = torch.linspace(1, eps_s, steps, dtype=torch.float64)
    return _to_zero(torch.expm1(beta_d * time**2 / 2 + beta_min * time).sqrt())


def sd_turbo(levels: Levels, steps: int, denoise: float = 1.0) -> Tensor:
    """The ten timesteps 999, 899, … that SD-Turbo was distilled on (arXiv:2311.17042), from the share `denoise` on.

    At most ten steps.
    """
    skipped = 10 - int(10 * denoise)
    times = torch.arange(999, 0, -100)[skipped : skipped + steps]
    return _to_zero(levels.sigma(times))


def ltxv(
    steps: int, tokens: int, max_shift: float = 2.05, base_shift: float = 0.95, terminal: float | None = 0.1
) -> Tensor:
    """LTX-Video's flow schedule: shifted by tokens, then stretched so that the last level above 0 is `terminal`."""
    shift = math.exp(flow_mu(tokens, base_shift, max_shift, anchors=(1024, 4096)))
    time = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    sigmas = shift * time / (1 + (shift - 1) * time)
    if terminal is not None and steps > 1:
        done = 1 - sigmas[:-1]
        sigmas[:-1] = 1 - done * (1 - terminal) / done[-1]
    return sigmas.float()


ALIGN_YOUR_STEPS: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "SD1": (
            14.6146412293, 6.4745760956, 3.8636745985, 2.6946151520, 1.8841921177, 1.3943805092,
            0.9642583904, 0.6523686016, 0.3977456272, 0.1515232662, 0.0291671582,
        ),
        "SDXL": (
            14.6146412293, 6.3184485287, 3.7681790315, 2.1811480769, 1.3405244945, 0.8620721141,
            0.5550693289, 0.3798540708, 0.2332364134, 0.1114188177, 0.0291671582,
        ),
        "SVD": (700.00, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002),
    }
)  # fmt: skip
"""Levels for ten steps as published with Align Your Steps (arXiv:2404.14507)."""


def align_your_steps(model_type: str, steps: int, denoise: float = 1.0) -> Tensor:
    """The published table, interpolated linearly in ln(sigma) for other numbers of steps; its last level becomes 0.

    denoise: only the last round(steps * denoise) steps; 0 gives no sigmas at all.
    """
    if model_type not in ALIGN_YOUR_STEPS:
        raise ValueError(f"Align Your Steps has tables for {', '.join(ALIGN_YOUR_STEPS)}, not for {model_type!r}")
    if denoise <= 0:
        return torch.empty(0)
    table = np.log(ALIGN_YOUR_STEPS[model_type])
    places = np.linspace(0, len(table) - 1, steps + 1)
    sigmas = torch.tensor(np.exp(np.interp(places, np.arange(len(table)), table)), dtype=torch.float32)
    sigmas = sigmas[-(round(steps * denoise) + 1) :]
    sigmas[-1] = 0
    return sigmas


Schedule = Callable[[Levels, int], Tensor]

SCHEDULES: Mapping[str, Schedule] = MappingProxyType(
    {
        "simple": simple,
        "sgm_uniform": sgm_uniform,
        "karras": lambda levels, steps: karras(steps, levels.sigma_min, levels.sigma_max),
        "exponential": lambda levels, steps: exponential(steps, levels.sigma_min, levels.sigma_max),
        "ddim_uniform": ddim_uniform,
        "beta": beta,
        "normal": normal,
        "linear_quadratic": linear_quadratic,
        "kl_optimal": kl_optimal,
    }
)
"""By the names people use, in the order of the menu."""


def schedule(
    levels: Levels, name: str, steps: int, denoise: float = 1.0, *, discard_penultimate: bool = False
) -> Tensor:
    """The sigmas of a named schedule.

    denoise: the share of the noise to start from. Below 1 a longer schedule is made, of int(steps / denoise) steps,
    and its last `steps` are kept; at 0 there is nothing to do, and the result is empty.
    discard_penultimate: make one step more and leave out the level before the last, as some solvers want it.
    """
    if name not in SCHEDULES:
        raise ValueError(f"There is no schedule {name!r}; there are {', '.join(SCHEDULES)}")
    if steps < 1:
        raise ValueError(f"A schedule has at least one step, not {steps}")
    if denoise <= 0:
        return torch.empty(0)
    total = steps if denoise > 0.9999 else int(steps / denoise)
    sigmas = SCHEDULES[name](levels, total + discard_penultimate).float()
    if discard_penultimate:
        sigmas = torch.cat([sigmas[:-2], sigmas[-1:]])
    return sigmas if denoise > 0.9999 else sigmas[-(steps + 1) :]


def _times(levels: Levels) -> tuple[float, float]:
    ends = levels.timestep(torch.tensor([levels.sigma_max, levels.sigma_min]))
    return float(ends[0]), float(ends[1])


def _to_zero(sigmas: Tensor) -> Tensor:
    return torch.cat([sigmas.float(), torch.zeros(1)])


def _positive(sigma_min: float, sigma_max: float) -> None:
    if sigma_min <= 0 or sigma_max <= 0:
        raise ValueError(f"This schedule needs sigmas above 0; got {sigma_min:g} and {sigma_max:g}")
