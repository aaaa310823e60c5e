"""Stable Diffusion 2.x: the 1.x network with another text encoder and heads of fixed width; also inpainting, depth."""

from dataclasses import replace

import torch

from diffusion import latents
from diffusion.families.family import Family, Tensors, Variant, always
from diffusion.families.image_vector import ImageStatistics
from diffusion.families.text_encoders import TextEncoderSpec
from diffusion.families.unet import DIFFUSERS, EPS, V, attends_on_first_level, recognise_unet
from diffusion.models.unet import UNet
from diffusion.models.unet_config import UNetConfig

TEXT_ENCODERS = (
    TextEncoderSpec(
        "clip_h",
        ("cond_stage_model.model.", "cond_stage_model.transformer."),
        width=1024,
        hidden_state=-2,
        pad_token=0,
        activation="gelu",
    ),
)

_TELLTALE = "output_blocks.11.1.transformer_blocks.0.norm1.bias"
_V_ABOVE = 0.09


def _eps_or_v(tensors: Tensors) -> Variant:
    """Models for 512 and for 768 pixels have identical names and shapes but predict eps and v.

    One bias spreads further in networks trained to predict v; no exception is known.
    """
    bias = tensors.get(_TELLTALE)
    predicts_v = bias is not None and bias.float().std(correction=0).item() > _V_ABOVE
    return Variant(V if predicts_v else EPS, latents.SD15)


def _seeing(tensors: Tensors) -> Variant:
    """Whole checkpoints say what the image embeddings they were trained with are like."""
    mean, deviation = tensors.get("noise_augmentor.data_mean"), tensors.get("noise_augmentor.data_std")
    if mean is None or deviation is None:
        width = tensors["label_emb.0.0.weight"].shape[1] // 2
        mean, deviation = torch.zeros(width), torch.ones(width)
    statistics = ImageStatistics(mean.float().flatten(), deviation.float().flatten())
    return replace(_eps_or_v(tensors), images=statistics)


def _fits(config: UNetConfig, in_channels: int, sees: bool = False) -> bool:
    return (
        config.linear_projection
        and (config.vector_width is not None) == sees
        and attends_on_first_level(config)
        and config.in_channels == in_channels
    )


SD2 = Family(
    name="SD 2.x",
    recognise=recognise_unet(lambda config: _fits(config, 4), head_width=64, float32_scores=True),
    build=UNet,
    variant=_eps_or_v,
    text_encoders=TEXT_ENCODERS,
    layouts=(DIFFUSERS,),
)

SD2_INPAINT = Family(
    name="SD 2.x inpainting",
    recognise=recognise_unet(lambda config: _fits(config, 9), head_width=64, float32_scores=True),
    build=UNet,
    variant=always(EPS, latents.SD15),
    text_encoders=TEXT_ENCODERS,
    layouts=(DIFFUSERS,),
)

SD2_DEPTH = Family(
    name="SD 2.0 depth",
    recognise=recognise_unet(lambda config: _fits(config, 5), head_width=64, float32_scores=True),
    build=UNet,
    variant=always(EPS, latents.SD15),
    text_encoders=TEXT_ENCODERS,
    layouts=(DIFFUSERS,),
)
"""The network also sees a depth map: [noisy latent 4, depth 1 in -1…1]."""

SD2_UNCLIP = Family(
    name="SD 2.1 unCLIP",
    recognise=recognise_unet(lambda config: _fits(config, 4, sees=True), head_width=64, float32_scores=True),
    build=UNet,
    variant=_seeing,
    text_encoders=TEXT_ENCODERS,
    layouts=(DIFFUSERS,),
)
"""The network is also told what CLIP saw in pictures."""
