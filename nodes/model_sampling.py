"""Another prediction or schedule for a model: menu `advanced/model`."""

from dataclasses import replace
from typing import Annotated

from diffusion import latents
from diffusion.sampling import process
from nodes.declare import node
from nodes.markers import Choice, Number
from nodes.wire import Model

Shift = Annotated[float, Number(0.0, 100.0, step=0.01)]
Sigma = Annotated[float, Number(0.0, 1000.0, step=0.001, round=False)]
Side = Annotated[int, Number(16, 16384, step=8)]
DISCRETE: dict[str, process.DiscreteKind] = {
    "eps": "eps",
    "v_prediction": "v_prediction",
    "lcm": "lcm",
    "x0": "x0",
    "img_to_img": "img_to_img",
}
CONTINUOUS: dict[str, process.ContinuousKind] = {
    "v_prediction": "v_prediction",
    "edm": "edm",
    "edm_playground_v2.5": "edm_playground_v2.5",
    "eps": "eps",
    "cosmos_rflow": "cosmos_rflow",
}
AURA_FLOW_CLOCK = 1.0


@node("ModelSamplingDiscrete", category="advanced/model")
def model_sampling_discrete(
    *, model: Model, sampling: Annotated[str, Choice(list(DISCRETE))], zsnr: bool = False
) -> Model:
    """Say what a model predicts, where its file does not.

    zsnr: the last timestep is pure noise, as in models trained for zero terminal SNR.
    """
    return model.with_prediction(process.discrete(model.prediction, DISCRETE[sampling], zero_terminal_snr=zsnr))


@node("ModelSamplingContinuousEDM", category="advanced/model")
def model_sampling_continuous_edm(
    *,
    model: Model,
    sampling: Annotated[str, Choice(list(CONTINUOUS))],
    sigma_max: Sigma = 120.0,
    sigma_min: Sigma = 0.002,
) -> Model:
    """Sample a model on continuous noise levels."""
    changed = model.with_prediction(process.continuous_edm(CONTINUOUS[sampling], sigma_max, sigma_min))
    return replace(changed, latent=latents.PLAYGROUND) if sampling == "edm_playground_v2.5" else changed


@node("ModelSamplingContinuousV", category="advanced/model")
def model_sampling_continuous_v(
    *,
    model: Model,
    sampling: Annotated[str, Choice(["v_prediction"])],
    sigma_max: Sigma = 500.0,
    sigma_min: Sigma = 0.03,
) -> Model:
    """Sample a v-predicting model on continuous noise levels."""
    return model.with_prediction(process.continuous_v(sigma_max, sigma_min))


@node("ModelSamplingStableCascade", category="advanced/model")
def model_sampling_stable_cascade(*, model: Model, shift: Shift = 2.0) -> Model:
    """The noise schedule of Stable Cascade.

    shift: higher stays longer at high noise.
    """
    return model.with_prediction(process.cascade(shift))


@node("ModelSamplingSD3", category="advanced/model")
def model_sampling_sd3(*, model: Model, shift: Shift = 3.0) -> Model:
    """The noise schedule of a flow model.

    shift: higher stays longer at high noise.
    """
    return model.with_prediction(process.flow(model.prediction, shift))


@node("ModelSamplingAuraFlow", category="advanced/model")
def model_sampling_aura_flow(*, model: Model, shift: Shift = 1.73) -> Model:
    """The noise schedule of a flow model whose clock runs from 0 to 1.

    shift: higher stays longer at high noise.
    """
    return model.with_prediction(process.flow(model.prediction, shift, AURA_FLOW_CLOCK))


@node("ModelSamplingFlux", category="advanced/model")
def model_sampling_flux(
    *,
    model: Model,
    max_shift: Shift = 1.15,
    base_shift: Shift = 0.5,
    width: Side = 1024,
    height: Side = 1024,
) -> Model:
    """The noise schedule of a flow model for a size of picture.

    max_shift: for a picture of 1024 × 1024 pixels.
    base_shift: for one of 256 × 256.
    """
    return model.with_prediction(process.flow_for_size(model.prediction, width, height, base_shift, max_shift))
