"""The diffusion process of a model: its prediction and its noise levels, made from the family's plain data.

Also the changes that nodes make to it: another prediction, another schedule, another shift.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from diffusion.families.prediction import (
    BetaSchedule,
    CosineSchedule,
    EdmSchedule,
    FlowSchedule,
    NoiseSchedule,
    PredictionKind,
    PredictionSpec,
)
from diffusion.sampling import levels, prediction
from diffusion.sampling.levels import Levels
from diffusion.sampling.prediction import Prediction


@dataclass(frozen=True, slots=True)
class Process:
    prediction: Prediction
    levels: Levels


@lru_cache(maxsize=32)
def process_of(spec: PredictionSpec) -> Process:
    """The arithmetic of what a network was trained for. Its tensors are on the CPU."""
    return Process(_prediction(spec), _levels(spec.schedule))


def _prediction(spec: PredictionSpec) -> Prediction:
    match spec.kind:
        case "eps":
            return prediction.Eps()
        case "v":
            return prediction.Velocity(spec.sigma_data)
        case "edm":
            return prediction.Edm(spec.sigma_data)
        case "x0":
            return prediction.Sample()
        case "flow":
            return prediction.Flow()
        case "lcm":
            return prediction.Consistency()
        case "img2img":
            return prediction.ImageToImage()
        case "cosmos_flow":
            return prediction.CosmosFlow()


def _levels(schedule: NoiseSchedule) -> Levels:
    match schedule:
        case BetaSchedule():
            scaled = schedule.spacing == "scaled_linear"
            table = levels.beta_sigmas(schedule.start, schedule.end, schedule.steps, scaled=scaled)
            if schedule.zero_terminal_snr:
                table = levels.zero_terminal_snr(table)
            if schedule.kept is not None:
                return levels.DistilledLevels(table, schedule.kept)
            return levels.DiscreteLevels(table)
        case EdmSchedule(sigma_min, sigma_max, clock):
            kinds = {
                "log": levels.ContinuousLevels,
                "tangent": levels.TangentLevels,
                "flow": levels.CosmosFlowLevels,
            }
            return kinds[clock](sigma_min, sigma_max)
        case FlowSchedule(shift, multiplier, steps):
            return levels.FlowLevels(shift, multiplier, steps)
        case CosineSchedule(shift):
            return levels.CosineLevels(shift)


DiscreteKind = Literal["eps", "v_prediction", "lcm", "x0", "img_to_img"]
ContinuousKind = Literal["v_prediction", "edm", "edm_playground_v2.5", "eps", "cosmos_rflow"]

_KINDS: dict[str, PredictionKind] = {
    "eps": "eps",
    "v_prediction": "v",
    "lcm": "lcm",
    "x0": "x0",
    "img_to_img": "img2img",
    "edm": "edm",
    "edm_playground_v2.5": "edm",
    "cosmos_rflow": "cosmos_flow",
}


def discrete(spec: PredictionSpec, kind: DiscreteKind, *, zero_terminal_snr: bool = False) -> PredictionSpec:
    """Another prediction on the model's own betas, or on the usual ones if it has none.

    "lcm" is a distilled model that knows 50 of the timesteps. zero_terminal_snr: see `levels.zero_terminal_snr`.
    """
    base = spec.schedule if isinstance(spec.schedule, BetaSchedule) else BetaSchedule()
    schedule = replace(base, zero_terminal_snr=zero_terminal_snr, kept=50 if kind == "lcm" else None)
    return PredictionSpec(_KINDS[kind], schedule)


def continuous_edm(kind: ContinuousKind, sigma_max: float, sigma_min: float) -> PredictionSpec:
    """Log-spaced levels with the given prediction; only the EDM kinds have sigma_data 0.5.

    "edm_playground_v2.5" also has a latent format of its own, `latents.PLAYGROUND`, which the caller sets.
    """
    clock = "flow" if kind == "cosmos_rflow" else "log"
    sigma_data = 0.5 if kind.startswith("edm") else 1.0
    return PredictionSpec(_KINDS[kind], _edm(sigma_min, sigma_max, clock), sigma_data)


def continuous_v(sigma_max: float, sigma_min: float) -> PredictionSpec:
    """v-prediction on the tangent clock."""
    return PredictionSpec("v", _edm(sigma_min, sigma_max, "tangent"))


def flow(spec: PredictionSpec, shift: float, multiplier: float = 1000.0) -> PredictionSpec:
    """Rectified flow with a linear shift; the network's time is sigma * multiplier (SD3: 1000, AuraFlow: 1).

    The network's clock stays as it is where `spec` is a flow already.
    """
    clock = spec.schedule.multiplier if isinstance(spec.schedule, FlowSchedule) else multiplier
    return PredictionSpec("flow", FlowSchedule(shift, clock))


def flow_for_size(
    spec: PredictionSpec, width: int, height: int, base_shift: float = 0.5, max_shift: float = 1.15
) -> PredictionSpec:
    """Rectified flow with the exponential shift of Flux for a picture of width x height pixels.

    The network's clock stays as it is where `spec` is a flow already.
    """
    mu = levels.flow_mu(width * height / 256, base_shift, max_shift)
    multiplier = spec.schedule.multiplier if isinstance(spec.schedule, FlowSchedule) else 1.0
    return PredictionSpec("flow", FlowSchedule(math.exp(mu), multiplier, steps=10_000))


def cascade(shift: float) -> PredictionSpec:
    """eps on the cosine schedule of Stable Cascade, shifted."""
    return PredictionSpec("eps", CosineSchedule(shift))


def _edm(sigma_min: float, sigma_max: float, clock: Literal["log", "tangent", "flow"]) -> EdmSchedule:
    if not 0 < sigma_min < sigma_max:
        raise ValueError(f"sigma_min has to be above 0 and below sigma_max; got {sigma_min:g} and {sigma_max:g}")
    return EdmSchedule(sigma_min, sigma_max, clock)
