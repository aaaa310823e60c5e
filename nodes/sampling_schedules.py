"""Schedules and lists of sigmas: menus `sampling/custom_sampling/schedulers` and `…/sigmas`."""

import math
from typing import Annotated

from diffusion.sampling import schedules
from diffusion.sampling import sigmas as cutting
from diffusion.sampling.process import process_of
from nodes.declare import node
from nodes.markers import Choice, Number, Out
from nodes.wire import Latent, Model, Sigmas

SCHEDULE_NAMES = list(schedules.SCHEDULES)

Scheduler = Annotated[str, Choice(SCHEDULE_NAMES)]
Steps = Annotated[int, Number(1, 10000)]
Share = Annotated[float, Number(0.0, 1.0, step=0.01)]
Level = Annotated[float, Number(0.0, 5000.0, step=0.01, round=False)]
Curve = Annotated[float, Number(0.0, 100.0, step=0.01, round=False)]
SPACINGS: dict[str, cutting.Spacing] = {"linear": "linear", "cosine": "cosine", "sine": "sine"}
SIGMA_MAX = 14.614642
SIGMA_MIN = 0.0291675


@node("BasicScheduler", category="sampling/custom_sampling/schedulers")
def basic_scheduler(*, model: Model, scheduler: Scheduler, steps: Steps = 20, denoise: Share = 1.0) -> Sigmas:
    """The noise levels of a named schedule for a model.

    denoise: the share of the noise to start from; 1 is a picture from nothing.
    """
    return schedules.schedule(process_of(model.prediction).levels, scheduler, steps, denoise)


@node("LTXVScheduler", category="sampling/custom_sampling/schedulers", modern=True)
def ltxv_scheduler(
    *,
    steps: Steps = 20,
    max_shift: Annotated[float, Number(0.0, 100.0, step=0.01)] = 2.05,
    base_shift: Annotated[float, Number(0.0, 100.0, step=0.01)] = 0.95,
    stretch: bool = True,
    terminal: Annotated[float, Number(0.0, 0.99, step=0.01)] = 0.1,
    latent: Latent | None = None,
) -> Sigmas:
    """A flow schedule that follows the size of the latent, after LTX-Video.

    stretch: so that the last level above 0 is the terminal one.
    latent: what will be sampled; without one 4096 positions.
    """
    tokens = 4096 if latent is None else math.prod(latent["samples"].shape[2:])
    return schedules.ltxv(steps, tokens, max_shift, base_shift, terminal if stretch else None)


@node("KarrasScheduler", category="sampling/custom_sampling/schedulers")
def karras_scheduler(
    *, steps: Steps = 20, sigma_max: Level = SIGMA_MAX, sigma_min: Level = SIGMA_MIN, rho: Curve = 7.0
) -> Sigmas:
    """Levels closer together where there is little noise, after Karras.

    rho: how much closer.
    """
    return schedules.karras(steps, sigma_min, sigma_max, rho)


@node("ExponentialScheduler", category="sampling/custom_sampling/schedulers")
def exponential_scheduler(*, steps: Steps = 20, sigma_max: Level = SIGMA_MAX, sigma_min: Level = SIGMA_MIN) -> Sigmas:
    """Levels whose ratios are equal."""
    return schedules.exponential(steps, sigma_min, sigma_max)


@node("PolyexponentialScheduler", category="sampling/custom_sampling/schedulers")
def polyexponential_scheduler(
    *, steps: Steps = 20, sigma_max: Level = SIGMA_MAX, sigma_min: Level = SIGMA_MIN, rho: Curve = 1.0
) -> Sigmas:
    """Levels whose logarithms follow a power.

    rho: the power; 1 is the exponential schedule.
    """
    return schedules.polyexponential(steps, sigma_min, sigma_max, rho)


@node("LaplaceScheduler", category="sampling/custom_sampling/schedulers")
def laplace_scheduler(
    *,
    steps: Steps = 20,
    sigma_max: Level = SIGMA_MAX,
    sigma_min: Level = SIGMA_MIN,
    mu: Annotated[float, Number(-10.0, 10.0, step=0.1, round=False)] = 0.0,
    beta: Annotated[float, Number(0.0, 10.0, step=0.1, round=False)] = 0.5,
) -> Sigmas:
    """Levels gathered around one noise level, as a Laplace distribution.

    mu: the logarithm of that level.
    beta: how widely they spread.
    """
    return schedules.laplace(steps, sigma_min, sigma_max, mu, beta)


@node("VPScheduler", category="sampling/custom_sampling/schedulers")
def vp_scheduler(
    *,
    steps: Steps = 20,
    beta_d: Level = 19.9,
    beta_min: Level = 0.1,
    eps_s: Annotated[float, Number(0.0, 1.0, step=0.0001, round=False)] = 0.001,
) -> Sigmas:
    """Equal times of the variance-preserving process."""
    return schedules.variance_preserving(steps, beta_d, beta_min, eps_s)


@node("SDTurboScheduler", category="sampling/custom_sampling/schedulers")
def sd_turbo_scheduler(
    *,
    model: Model,
    steps: Annotated[int, Number(1, 10)] = 1,
    denoise: Annotated[float, Number(0, 1.0, step=0.01)] = 1.0,
) -> Sigmas:
    """The levels that turbo models were distilled on."""
    return schedules.sd_turbo(process_of(model.prediction).levels, steps, denoise)


@node("BetaSamplingScheduler", category="sampling/custom_sampling/schedulers")
def beta_sampling_scheduler(
    *,
    model: Model,
    steps: Steps = 20,
    alpha: Annotated[float, Number(0.0, 50.0, step=0.01, round=False)] = 0.6,
    beta: Annotated[float, Number(0.0, 50.0, step=0.01, round=False)] = 0.6,
) -> Sigmas:
    """Levels closer together at both ends, as a Beta distribution says."""
    return schedules.beta(process_of(model.prediction).levels, steps, alpha, beta)


@node("AlignYourStepsScheduler", category="sampling/custom_sampling/schedulers", modern=True)
def align_your_steps_scheduler(
    *,
    model_type: Annotated[str, Choice(["SD1", "SDXL", "SVD"])],
    steps: Annotated[int, Number(1, 10000)] = 10,
    denoise: Share = 1.0,
) -> Sigmas:
    """Levels optimised for few steps, as published for each model line."""
    return schedules.align_your_steps(model_type, steps, denoise)


@node("SplitSigmas", category="sampling/custom_sampling/sigmas")
def split_sigmas(
    *, sigmas: Sigmas, step: Annotated[int, Number(0, 10000)] = 0
) -> tuple[Annotated[Sigmas, Out("high_sigmas")], Annotated[Sigmas, Out("low_sigmas")]]:
    """Cut a schedule at a step; the level there is in both parts."""
    return cutting.split(sigmas, step)


@node("SplitSigmasDenoise", category="sampling/custom_sampling/sigmas")
def split_sigmas_denoise(
    *, sigmas: Sigmas, denoise: Share = 1.0
) -> tuple[Annotated[Sigmas, Out("high_sigmas")], Annotated[Sigmas, Out("low_sigmas")]]:
    """Cut a schedule so that the second part has a share of the steps."""
    return cutting.split_by_denoise(sigmas, denoise)


@node("FlipSigmas", category="sampling/custom_sampling/sigmas")
def flip_sigmas(*, sigmas: Sigmas) -> Sigmas:
    """Turn a schedule around, to add noise instead of removing it."""
    return cutting.flip(sigmas)


@node("SetFirstSigma", category="sampling/custom_sampling/sigmas")
def set_first_sigma(
    *, sigmas: Sigmas, sigma: Annotated[float, Number(0.0, 20000.0, step=0.001, round=False)] = 136.0
) -> Sigmas:
    """Begin a schedule at another level."""
    return cutting.with_first(sigmas, sigma)


@node("ExtendIntermediateSigmas", category="sampling/custom_sampling/sigmas")
def extend_intermediate_sigmas(
    *,
    sigmas: Sigmas,
    steps: Annotated[int, Number(1, 100)] = 2,
    start_at_sigma: Annotated[float, Number(-1.0, 20000.0, step=0.01, round=False)] = -1.0,
    end_at_sigma: Annotated[float, Number(0.0, 20000.0, step=0.01, round=False)] = 12.0,
    spacing: Annotated[str, Choice(["linear", "cosine", "sine"])],
) -> Sigmas:
    """Divide the steps in a range of levels into smaller ones.

    start_at_sigma: -1 is no limit.
    """
    return cutting.extend(sigmas, steps, start_at_sigma, end_at_sigma, SPACINGS[spacing])


@node("SamplingPercentToSigma", category="sampling/custom_sampling/sigmas")
def sampling_percent_to_sigma(
    *,
    model: Model,
    sampling_percent: Annotated[float, Number(0.0, 1.0, step=0.0001)] = 0.0,
    return_actual_sigma: bool = False,
) -> Annotated[float, Out("sigma_value")]:
    """The noise level when a share of the sampling is done.

    return_actual_sigma: at 0 and 1, the model's own limits instead of a level beyond them.
    """
    return cutting.at_percent(process_of(model.prediction).levels, sampling_percent, actual=return_actual_sigma)
