"""SDXL and its refiner (arXiv:2307.01952), and the networks distilled from SDXL, which differ only in depths."""

from dataclasses import replace

from torch import Tensor

from diffusion import latents
from diffusion.families.family import Family, Tensors, Variant, always
from diffusion.families.prediction import BetaSchedule, EdmSchedule, PredictionSpec
from diffusion.families.size_vector import SIZE_WIDTH, refiner_vector, sdxl_vector
from diffusion.families.text_encoders import TextEncoderSpec
from diffusion.families.unet import DIFFUSERS, EPS, V, attends_on_first_level, recognise_unet
from diffusion.models.unet import UNet
from diffusion.models.unet_config import UNetConfig

_CLIP_L = TextEncoderSpec(
    "clip_l", ("conditioner.embedders.0.transformer.",), width=768, hidden_state=-2, final_norm=False
)
_CLIP_G = TextEncoderSpec(
    "clip_g",
    ("conditioner.embedders.1.model.", "conditioner.embedders.1.transformer."),
    width=1280,
    hidden_state=-2,
    final_norm=False,
    pooled="projected",
    pad_token=0,
    activation="gelu",
)
_REFINER_CLIP_G = replace(_CLIP_G, prefixes=("conditioner.embedders.0.model.",))


def _variant(tensors: Tensors) -> Variant:
    """Fine-tunes on another objective say so by marker tensors beside the network."""
    if "edm_mean" in tensors and "edm_std" in tensors:
        mean, std = _floats(tensors["edm_mean"]), _floats(tensors["edm_std"])
        latent = latents.PLAYGROUND
        if mean and std:  # some files carry empty markers
            latent = replace(latent, shift=mean, scale=tuple(0.5 / s for s in std))
        return Variant(PredictionSpec("edm", EdmSchedule(), sigma_data=0.5), latent)
    if "edm_vpred.sigma_max" in tensors:
        sigma_min = _number(tensors, "edm_vpred.sigma_min", 0.002)
        sigma_max = _number(tensors, "edm_vpred.sigma_max", 120.0)
        schedule = EdmSchedule(sigma_min, sigma_max)
        return Variant(PredictionSpec("v", schedule), latents.SDXL)
    if "v_pred" in tensors:
        return Variant(replace(V, schedule=BetaSchedule(zero_terminal_snr="ztsnr" in tensors)), latents.SDXL)
    return Variant(EPS, latents.SDXL)


def _floats(tensor: Tensor) -> tuple[float, ...]:
    return tuple(value.item() for value in tensor.double().flatten())


def _number(tensors: Tensors, name: str, default: float) -> float:
    tensor = tensors.get(name)
    return default if tensor is None or tensor.numel() != 1 else float(tensor.item())


def _is_refiner(config: UNetConfig) -> bool:
    """One text encoder: the pooled text in the vector condition is as wide as the context."""
    return config.vector_width == config.context_width + 5 * SIZE_WIDTH and not attends_on_first_level(config)


def _is_sdxl(config: UNetConfig, in_channels: int) -> bool:
    """Two text encoders: the pooled text comes from one of them and is narrower than the context."""
    if config.vector_width is None or _is_refiner(config) or attends_on_first_level(config):
        return False
    pooled = config.vector_width - 6 * SIZE_WIDTH
    return config.in_channels == in_channels and 0 < pooled < config.context_width


def _sdxl(name: str, in_channels: int) -> Family[UNetConfig]:
    return Family(
        name=name,
        recognise=recognise_unet(lambda config: _is_sdxl(config, in_channels), head_width=64),
        build=UNet,
        variant=_variant,
        text_encoders=(_CLIP_L, _CLIP_G),
        vector=sdxl_vector,
        layouts=(DIFFUSERS,),
        activation_factor=0.8,
    )


SDXL = _sdxl("SDXL", 4)
SDXL_INPAINT = _sdxl("SDXL inpainting", 9)
SDXL_INSTRUCT_PIX2PIX = _sdxl("SDXL InstructPix2Pix", 8)

SDXL_REFINER = Family(
    name="SDXL refiner",
    recognise=recognise_unet(_is_refiner, head_width=64),
    build=UNet,
    variant=always(EPS, latents.SDXL),
    text_encoders=(_REFINER_CLIP_G,),
    vector=refiner_vector,
    layouts=(DIFFUSERS,),
)
"""For the last fifth or so of the steps."""
