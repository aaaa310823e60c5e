"""Changes inside a diffusion network: menus `model_patches/unet`, `_for_testing/attention_experiments`, …"""

from typing import Annotated, Literal

from diffusion.patches.attention_multiply import with_scaled_attention, with_scaled_text_attention
from diffusion.patches.compute import COMPUTE_DTYPES, compiled, computing_in
from diffusion.patches.deep_shrink import with_deep_shrink
from diffusion.patches.freeu import with_freeu, with_freeu_v2
from diffusion.patches.hypertile import with_hypertile
from diffusion.patches.pag import with_perturbed_attention
from diffusion.patches.sag import with_self_attention_guidance
from diffusion.patches.tome import with_token_merging
from nodes.declare import node
from nodes.markers import Choice, Number
from nodes.wire import Clip, Model

Factor = Annotated[float, Number(0.0, 10.0, step=0.01)]
Percent = Annotated[float, Number(0.0, 1.0, step=0.001)]
Method = Annotated[str, Choice(["bicubic", "nearest-exact", "bilinear", "area", "bislerp"])]
SELF: Literal["attn1"] = "attn1"
CROSS: Literal["attn2"] = "attn2"


@node("FreeU", category="model_patches/unet", modern=True, title="FreeU")
def free_u(*, model: Model, b1: Factor = 1.1, b2: Factor = 1.2, s1: Factor = 0.9, s2: Factor = 0.2) -> Model:
    """Strengthen what the network has understood over what it copies.

    b1: factor on the deepest features.
    s1: factor on the coarse part of what is copied there.
    """
    return with_freeu(model, b1, b2, s1, s2)


@node("FreeU_V2", category="model_patches/unet", modern=True, title="FreeU_V2")
def free_u_v2(*, model: Model, b1: Factor = 1.3, b2: Factor = 1.4, s1: Factor = 0.9, s2: Factor = 0.2) -> Model:
    """FreeU with factors that follow the picture.

    b1: factor on the deepest features.
    s1: factor on the coarse part of what is copied there.
    """
    return with_freeu_v2(model, b1, b2, s1, s2)


@node("HyperTile", category="model_patches/unet", modern=True)
def hyper_tile(
    *,
    model: Model,
    tile_size: Annotated[int, Number(1, 2048)] = 256,
    swap_size: Annotated[int, Number(1, 128)] = 2,
    max_depth: Annotated[int, Number(0, 10)] = 0,
    scale_depth: bool = False,
) -> Model:
    """Let self-attention see tiles only, which is much faster for large pictures.

    tile_size: in pixels.
    max_depth: on how many halvings of the picture too.
    """
    return with_hypertile(model, tile_size, swap_size, max_depth, scale_depth=scale_depth)


@node(
    "PatchModelAddDownscale",
    category="model_patches/unet",
    modern=True,
    title="PatchModelAddDownscale (Kohya Deep Shrink)",
)
def patch_model_add_downscale(
    *,
    model: Model,
    block_number: Annotated[int, Number(1, 32, step=1)] = 3,
    downscale_factor: Annotated[float, Number(0.1, 9.0, step=0.001)] = 2.0,
    start_percent: Percent = 0.0,
    end_percent: Percent = 0.35,
    downscale_after_skip: bool = True,
    downscale_method: Method,
    upscale_method: Method,
) -> Model:
    """Work on a smaller picture in the first steps, so that large pictures do not show things twice.

    end_percent: when in the sampling the full size takes over.
    """
    return with_deep_shrink(
        model,
        block_number,
        downscale_factor,
        start_percent,
        end_percent,
        after_skip=downscale_after_skip,
        downscale_method=downscale_method,
        upscale_method=upscale_method,
    )


@node("PerturbedAttentionGuidance", category="model_patches/unet", modern=True)
def perturbed_attention_guidance(
    *, model: Model, scale: Annotated[float, Number(0.0, 100.0, step=0.01, round=0.01)] = 3.0
) -> Model:
    """Guide away from what the network makes when its attention is impaired; works without a prompt too."""
    return with_perturbed_attention(model, scale)


@node("TomePatchModel", category="model_patches/unet", modern=True)
def tome_patch_model(*, model: Model, ratio: Annotated[float, Number(0.0, 1.0, step=0.01)] = 0.3) -> Model:
    """Merge places of the picture that look alike, for speed.

    ratio: the share that is merged.
    """
    return with_token_merging(model, ratio)


@node("SelfAttentionGuidance", category="_for_testing", title="Self-Attention Guidance", modern=True, experimental=True)
def self_attention_guidance(
    *,
    model: Model,
    scale: Annotated[float, Number(-2.0, 5.0, step=0.01)] = 0.5,
    blur_sigma: Annotated[float, Number(0.0, 10.0, step=0.1)] = 2.0,
) -> Model:
    """Guide away from a picture blurred where the network looks most."""
    return with_self_attention_guidance(model, scale, blur_sigma)


@node("UNetSelfAttentionMultiply", category="_for_testing/attention_experiments", modern=True, experimental=True)
def unet_self_attention_multiply(
    *, model: Model, q: Factor = 1.0, k: Factor = 1.0, v: Factor = 1.0, out: Factor = 1.0
) -> Model:
    """Scale the projections of self-attention."""
    return with_scaled_attention(model, SELF, q, k, v, out)


@node("UNetCrossAttentionMultiply", category="_for_testing/attention_experiments", modern=True, experimental=True)
def unet_cross_attention_multiply(
    *, model: Model, q: Factor = 1.0, k: Factor = 1.0, v: Factor = 1.0, out: Factor = 1.0
) -> Model:
    """Scale the projections of the attention to the prompt."""
    return with_scaled_attention(model, CROSS, q, k, v, out)


@node("UNetTemporalAttentionMultiply", category="_for_testing/attention_experiments", modern=True, experimental=True)
def unet_temporal_attention_multiply(
    *,
    model: Model,
    self_structural: Factor = 1.0,
    self_temporal: Factor = 1.0,
    cross_structural: Factor = 1.0,
    cross_temporal: Factor = 1.0,
) -> Model:
    """Scale what attention adds within pictures. The temporal factors are for video networks with layers along time.

    self_temporal: no model that can be loaded has such layers.
    cross_temporal: no model that can be loaded has such layers.
    """
    model = with_scaled_attention(model, SELF, 1.0, 1.0, 1.0, self_structural)
    return with_scaled_attention(model, CROSS, 1.0, 1.0, 1.0, cross_structural)


@node("CLIPAttentionMultiply", category="_for_testing/attention_experiments", modern=True, experimental=True)
def clip_attention_multiply(
    *, clip: Clip, q: Factor = 1.0, k: Factor = 1.0, v: Factor = 1.0, out: Factor = 1.0
) -> Clip:
    """Scale the projections of the text encoders' attention."""
    return with_scaled_text_attention(clip, q, k, v, out)


@node("ModelComputeDtype", category="advanced/debug/model")
def model_compute_dtype(*, model: Model, dtype: Annotated[str, Choice(["default", *COMPUTE_DTYPES])]) -> Model:
    """Choose the number format a network computes in; its weights are held as they are."""
    return model if dtype == "default" else computing_in(model, COMPUTE_DTYPES[dtype])


@node("TorchCompileModel", category="_for_testing", modern=True, experimental=True)
def torch_compile_model(*, model: Model, backend: Annotated[str, Choice(["inductor", "cudagraphs"])]) -> Model:
    """Compile a network: the first step takes a minute, the others are faster. LoRAs go before this node."""
    return compiled(model, backend)
