"""Flux.1 of Black Forest Labs: dev, schnell, fill, canny, depth and Kontext."""

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from diffusion import latents
from diffusion.checkpoints.joins import Joins, Piece, joins_of, table
from diffusion.families.family import Family, InputsWanted, Layout, Shapes, Tensors, Variant
from diffusion.families.prediction import FlowSchedule, PredictionSpec
from diffusion.families.references import references
from diffusion.families.sd3 import CLIP_L as SD3_CLIP_L
from diffusion.families.sd3 import T5XXL as SD3_T5XXL
from diffusion.families.size_vector import pooled_alone
from diffusion.families.text_encoders import Encoded, TextEncoderSpec, TextStates
from diffusion.images.batch import repeat_to
from diffusion.images.resize import resize
from diffusion.models.flux import Flux, FluxConfig, read_flux_config
from diffusion.patches.hooks import Extra

_MU = 1.15
"""Exponent of the shift: that of 1024 x 1024 pixels, used at every size unless a graph says otherwise."""
DEV = PredictionSpec("flow", FlowSchedule(shift=math.exp(_MU), multiplier=1.0, steps=10_000))
SCHNELL = PredictionSpec("flow", FlowSchedule(shift=1.0, multiplier=1.0))
GUIDANCE = 3.5
MASK_CHANNELS = 64

CLIP_L = TextEncoderSpec("clip_l", SD3_CLIP_L.prefixes, width=768, pooled="plain")
T5XXL = replace(SD3_T5XXL, least_tokens=256)

_TIME = "time_text_embed."
_DOUBLE, _THEIR_DOUBLE = "double_blocks.{i}.", "transformer_blocks.{i}."
_SINGLE, _THEIR_SINGLE = "single_blocks.{i}.", "single_transformer_blocks.{i}."
BODY = table(
    {
        "img_in": "x_embedder",
        "txt_in": "context_embedder",
        **{
            f"{ours}.{layer}_layer": f"{_TIME}{theirs}.linear_{i}"
            for ours, theirs in (
                ("time_in", "timestep_embedder"),
                ("guidance_in", "guidance_embedder"),
                ("vector_in", "text_embedder"),
            )
            for i, layer in enumerate(("in", "out"), start=1)
        },
        f"{_DOUBLE}img_mod.lin": f"{_THEIR_DOUBLE}norm1.linear",
        f"{_DOUBLE}txt_mod.lin": f"{_THEIR_DOUBLE}norm1_context.linear",
        f"{_DOUBLE}img_attn.qkv": [f"{_THEIR_DOUBLE}attn.to_{q}" for q in "qkv"],
        f"{_DOUBLE}txt_attn.qkv": [f"{_THEIR_DOUBLE}attn.add_{q}_proj" for q in "qkv"],
        f"{_DOUBLE}img_attn.proj": f"{_THEIR_DOUBLE}attn.to_out.0",
        f"{_DOUBLE}txt_attn.proj": f"{_THEIR_DOUBLE}attn.to_add_out",
        f"{_DOUBLE}img_attn.norm.query_norm.scale": f"{_THEIR_DOUBLE}attn.norm_q.weight",
        f"{_DOUBLE}img_attn.norm.key_norm.scale": f"{_THEIR_DOUBLE}attn.norm_k.weight",
        f"{_DOUBLE}txt_attn.norm.query_norm.scale": f"{_THEIR_DOUBLE}attn.norm_added_q.weight",
        f"{_DOUBLE}txt_attn.norm.key_norm.scale": f"{_THEIR_DOUBLE}attn.norm_added_k.weight",
        f"{_DOUBLE}img_mlp.0": f"{_THEIR_DOUBLE}ff.net.0.proj",
        f"{_DOUBLE}img_mlp.2": f"{_THEIR_DOUBLE}ff.net.2",
        f"{_DOUBLE}txt_mlp.0": f"{_THEIR_DOUBLE}ff_context.net.0.proj",
        f"{_DOUBLE}txt_mlp.2": f"{_THEIR_DOUBLE}ff_context.net.2",
        f"{_SINGLE}modulation.lin": f"{_THEIR_SINGLE}norm.linear",
        f"{_SINGLE}linear1": [
            *(f"{_THEIR_SINGLE}attn.to_{q}" for q in "qkv"),
            Piece(f"{_THEIR_SINGLE}proj_mlp", share=4),
        ],
        f"{_SINGLE}linear2": f"{_THEIR_SINGLE}proj_out",
        f"{_SINGLE}norm.query_norm.scale": f"{_THEIR_SINGLE}attn.norm_q.weight",
        f"{_SINGLE}norm.key_norm.scale": f"{_THEIR_SINGLE}attn.norm_k.weight",
    }
)
"""Our modules -> diffusers', of all that control networks have too."""
MODULES = BODY | table(
    {
        # They say scale and shift where the published network says shift and scale.
        "final_layer.adaLN_modulation.1": (Piece("norm_out.linear", half=1), Piece("norm_out.linear", half=0)),
        "final_layer.linear": "proj_out",
    }
)


def _from_diffusers(shapes: Shapes) -> Joins | None:
    known = "x_embedder.weight" in shapes and "single_transformer_blocks.0.proj_mlp.weight" in shapes
    return joins_of(MODULES, shapes) if known and "proj_out.weight" in shapes else None


def _recognise(shapes: Shapes) -> FluxConfig | None:
    if any(name.startswith("distilled_guidance_layer.") for name in shapes):
        return None  # Chroma
    config = read_flux_config(shapes)
    return None if config is None or config.vector_width is None else config


def _variant(tensors: Tensors) -> Variant:
    """dev and what was made of it are distilled with guidance; schnell is not, and was trained without shift."""
    return Variant(DEV if "guidance_in.in_layer.weight" in tensors else SCHNELL, latents.FLUX)


def flux_text(states: Mapping[str, TextStates], specs: Mapping[str, TextEncoderSpec]) -> Encoded:
    """T5 says what is to be seen; of CLIP only the pooled vector counts."""
    clip, t5 = states.get("clip_l"), states.get("t5xxl")
    context = torch.zeros(1, specs["t5xxl"].least_tokens, specs["t5xxl"].width) if t5 is None else t5.hidden
    nothing = torch.zeros(1, specs["clip_l"].width)
    return Encoded(context, nothing if clip is None or clip.pooled is None else clip.pooled)


def _extra(wanted: InputsWanted) -> Extra:
    """How strongly to follow the prompt, and latents to follow (Kontext)."""
    guidance = wanted.options.get("guidance", GUIDANCE)
    told = {} if guidance is None or not wanted.config.guided else {"guidance": torch.tensor([float(guidance)])}
    return {**told, **references(wanted)}


def _joined(wanted: InputsWanted, channels: int) -> Tensor:
    """Fill: the masked picture's latent and the mask, 8 x 8 pixels of it as 64 channels. Canny, depth: a latent."""
    image, given = wanted.image, wanted.options.get("concat_latent_image")
    picture = torch.zeros_like(image[:1]) if given is None else wanted.latent.to_model(given)
    if channels != wanted.latent.channels + MASK_CHANNELS:
        return picture
    mask = wanted.options.get("concat_mask", wanted.mask)
    height, width = image.shape[2:]
    if mask is None:
        return torch.cat([picture, picture.new_ones(len(picture), MASK_CHANNELS, height, width)], dim=1)
    mask = mask.float().reshape(-1, 1, *mask.shape[-2:])
    mask = resize(mask, 8 * width, 8 * height, "bilinear", crop=True).round()
    fitted = resize(picture, width, height, "bilinear", crop=True)
    batch = max(len(mask), len(fitted))
    unshuffled = F.pixel_unshuffle(mask, 8).to(fitted)
    return torch.cat([repeat_to(fitted, batch), repeat_to(unshuffled, batch)], dim=1)


FLUX = Family(
    name="Flux",
    recognise=_recognise,
    build=Flux,
    variant=_variant,
    text_encoders=(CLIP_L, T5XXL),
    some_text_encoders=True,
    combine=flux_text,
    loader_types=("flux",),
    vector=pooled_alone,
    extra=_extra,
    joined=_joined,
    attends_jointly=True,
    fits_float16=False,
    layouts=(Layout("diffusers", joins=_from_diffusers),),
    modules=MODULES,
    activation_factor=3.1,
)
