"""Changes to how predictions are guided, carried by the model: menus `advanced/guidance`, `advanced/model`, …"""

from typing import Annotated

from diffusion.sampling.guidance.apg import with_apg
from diffusion.sampling.guidance.by_frame import with_linear_cfg, with_triangle_cfg
from diffusion.sampling.guidance.epsilon_scaling import with_epsilon_scaling
from diffusion.sampling.guidance.fresca import with_fresca
from diffusion.sampling.guidance.mahiro import with_mahiro
from diffusion.sampling.guidance.norm import with_cfg_norm
from diffusion.sampling.guidance.operation import with_operation
from diffusion.sampling.guidance.perp_neg import with_perp_neg
from diffusion.sampling.guidance.renorm import with_renormalised_cfg
from diffusion.sampling.guidance.rescale import with_rescaled_cfg
from diffusion.sampling.guidance.tangential import with_tangential_damping
from diffusion.sampling.guidance.zero_star import with_cfg_zero_star
from diffusion.sampling.inpaint import with_differential_diffusion
from nodes.declare import node
from nodes.markers import OPTIONAL, Number, Out
from nodes.wire import Conditioning, LatentOperation, Model, conditions

Patched = Annotated[Model, Out("patched_model")]


@node("RescaleCFG", category="advanced/model")
def rescale_cfg(*, model: Model, multiplier: Annotated[float, Number(0.0, 1.0, step=0.01)] = 0.7) -> Model:
    """Keep high cfg from burning pictures, for models that predict v.

    multiplier: 0 changes nothing.
    """
    return with_rescaled_cfg(model, multiplier)


@node("CFGNorm", category="advanced/guidance", modern=True, experimental=True)
def cfg_norm(*, model: Model, strength: Annotated[float, Number(0.0, 100.0, step=0.01)] = 1.0) -> Patched:
    """Keep guided predictions from growing longer than those of the prompt alone."""
    return with_cfg_norm(model, strength)


@node("CFGZeroStar", category="advanced/guidance", modern=True)
def cfg_zero_star(*, model: Model) -> Patched:
    """Scale the prediction without prompt to fit the one with it, for flow models."""
    return with_cfg_zero_star(model)


@node(
    "PerpNeg",
    category="_for_testing",
    title="Perp-Neg (DEPRECATED by PerpNegGuider)",
    modern=True,
    deprecated=True,
    experimental=True,
)
def perp_neg(
    *,
    model: Model,
    empty_conditioning: Conditioning,
    neg_scale: Annotated[float, Number(0.0, 100.0, step=0.01)] = 1.0,
) -> Model:
    """Lead away from only that part of a negative prompt which the positive one does not share."""
    return with_perp_neg(model, conditions(empty_conditioning), neg_scale)


@node("LatentApplyOperationCFG", category="latent/advanced/operations", modern=True, experimental=True)
def latent_apply_operation_cfg(*, model: Model, operation: LatentOperation) -> Model:
    """Apply an operation to what guidance adds in each step."""
    return with_operation(model, operation)


@node("DifferentialDiffusion", category="_for_testing", title="Differential Diffusion", modern=True, experimental=True)
def differential_diffusion(
    *, model: Model, strength: Annotated[float, Number(0.0, 1.0, step=0.01), OPTIONAL] = 1.0
) -> Model:
    """Let shades of a noise mask say how much each place may change."""
    return with_differential_diffusion(model, strength)


@node("APG", category="sampling/custom_sampling", title="Adaptive Projected Guidance", modern=True)
def adaptive_projected_guidance(
    *,
    model: Model,
    eta: Annotated[float, Number(-10.0, 10.0, step=0.01)] = 1.0,
    norm_threshold: Annotated[float, Number(0.0, 50.0, step=0.1)] = 5.0,
    momentum: Annotated[float, Number(-5.0, 1.0, step=0.01)] = 0.0,
) -> Model:
    """Guide without oversaturation at high cfg.

    eta: strength of the part along the prediction; 1 is ordinary guidance.
    norm_threshold: longest step that guidance may make; 0 is no limit.
    """
    return with_apg(model, eta, norm_threshold, momentum)


@node(
    "Mahiro",
    category="_for_testing",
    title="Mahiro is so cute that she deserves a better guidance function!! (。・ω・。)",
    modern=True,
    experimental=True,
)
def mahiro(*, model: Model) -> Patched:
    """Guide closer to the prompt where guidance and prompt disagree."""
    return with_mahiro(model)


@node("Epsilon Scaling", category="model_patches/unet", modern=True)
def epsilon_scaling(
    *, model: Model, scaling_factor: Annotated[float, Number(0.5, 1.5, step=0.001, display="number")] = 1.005
) -> Model:
    """Take a little less noise away in each step than the model says, which sharpens pictures.

    scaling_factor: what the predicted noise is divided by.
    """
    return with_epsilon_scaling(model, scaling_factor)


@node("FreSca", category="_for_testing", title="FreSca", modern=True, experimental=True)
def fre_sca(
    *,
    model: Model,
    scale_low: Annotated[float, Number(0, 10, step=0.01)] = 1.0,
    scale_high: Annotated[float, Number(0, 10, step=0.01)] = 1.25,
    freq_cutoff: Annotated[int, Number(1, 10000, step=1)] = 20,
) -> Model:
    """Guide coarse and fine detail by different strengths.

    freq_cutoff: how many frequencies count as coarse.
    """
    return with_fresca(model, scale_low, scale_high, freq_cutoff)


@node("TCFG", category="advanced/guidance", title="Tangential Damping CFG", modern=True)
def tcfg(*, model: Model) -> Patched:
    """Keep of the prediction without prompt only what it shares with the one with it."""
    return with_tangential_damping(model)


@node("RenormCFG", category="advanced/model", modern=True)
def renorm_cfg(
    *,
    model: Model,
    cfg_trunc: Annotated[float, Number(0.0, 100.0, step=0.01)] = 100,
    renorm_cfg: Annotated[float, Number(0.0, 100.0, step=0.01)] = 1.0,
) -> Model:
    """Guide as Lumina 2 was made for: below a noise level only, and not further than the prediction is long.

    cfg_trunc: that noise level.
    renorm_cfg: how many times as long; 0 is no limit.
    """
    return with_renormalised_cfg(model, cfg_trunc, renorm_cfg)


MinCfg = Annotated[float, Number(0.0, 100.0, step=0.5, round=0.01)]


@node("VideoLinearCFGGuidance", category="sampling/video_models", title="VideoLinearCFGGuidance")
def video_linear_cfg_guidance(*, model: Model, min_cfg: MinCfg = 1.0) -> Model:
    """Guide the frames of a video more and more, from this scale up to that of the sampler."""
    return with_linear_cfg(model, min_cfg)


@node("VideoTriangleCFGGuidance", category="sampling/video_models", title="VideoTriangleCFGGuidance")
def video_triangle_cfg_guidance(*, model: Model, min_cfg: MinCfg = 1.0) -> Model:
    """Guide the frames in the middle of a video most, the first and the last by this scale."""
    return with_triangle_cfg(model, min_cfg)
