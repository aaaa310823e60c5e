"""Small random models for nodes that need one, of the architectures people have."""

from dataclasses import replace
from typing import Any

import torch

from diffusion.families.family import Family
from diffusion.families.sd15 import SD15
from diffusion.families.sdxl import SDXL
from diffusion.handles import Autoencoder, ControlNet, Model, TextEncoders
from diffusion.models.autoencoder import AutoencoderConfig, AutoencoderKL
from diffusion.models.clip_vision import ClipVisionConfig, build_clip_vision
from diffusion.models.controlnet import ControlNet as ControlNetwork
from diffusion.models.gligen import Gligen, GligenConfig
from diffusion.models.rrdb import RRDBConfig, RRDBNet
from diffusion.models.siglip import SiglipConfig, build_siglip
from diffusion.models.style import StyleAdapter, StyleConfig
from diffusion.models.unet_config import UNetConfig
from tests.diffusion.models.oracle import randomised
from tests.diffusion.text.encoders import WIDTH, handle, reference

UNET = UNetConfig(
    in_channels=4,
    out_channels=4,
    base_width=32,
    level_widths=(32, 64),
    input_depths=((1,), (1,)),
    output_depths=((1, 1), (1, 1)),
    middle_residuals=2,
    middle_depth=1,
    context_width=WIDTH,
    vector_width=None,
    linear_projection=False,
    heads=4,
)


def text_encoders(family: Family[UNetConfig] = SD15) -> TextEncoders:
    specs = tuple(replace(spec, head_width=8) for spec in family.text_encoders)
    models = {spec.name: reference(spec, seed) for seed, spec in enumerate(specs)}
    return handle(replace(family, text_encoders=specs), models)


def sdxl_text_encoders() -> TextEncoders:
    return text_encoders(SDXL)


def model(in_channels: int = 4) -> Model:
    config = replace(UNET, in_channels=in_channels)
    network = randomised(SD15.build(config))
    variant = SD15.variant({})
    return Model(network, SD15, config, variant.prediction, variant.latent, source="tiny.safetensors")


def autoencoder() -> Autoencoder:
    network = AutoencoderKL(AutoencoderConfig(4, (32, 32, 32, 32), 1, quantised=True))
    return Autoencoder(randomised(network), source="tiny.safetensors")


def upscaler() -> RRDBNet:
    network = RRDBNet(RRDBConfig(3, 3, 8, 4, 1, doublings=1))
    randomised(network)
    return network


def clip_vision() -> Any:
    torch.manual_seed(0)
    return build_clip_vision(ClipVisionConfig(width=32, mlp_width=64, layers=3, patch=14, size=28, projection=24))


def siglip() -> Any:
    return randomised(build_siglip(SiglipConfig(32, 48, layers=2, patch=14, side=2)))


def gligen() -> Any:
    return randomised(Gligen(GligenConfig(WIDTH, 16, 24, {"input_1_0": 32, "middle_0_0": 64})))


def style_model() -> Any:
    """For what `clip_vision` saw."""
    return randomised(StyleAdapter(StyleConfig(32, WIDTH, tokens=4, layers=1)))


def close(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Equal but for rounding; the values that these models make are in the hundreds."""
    return bool((a - b).norm() < 1e-4 * b.norm())


def control_net() -> ControlNet:
    return ControlNet(randomised(ControlNetwork(UNET)), SD15)


def prompt(seed: int = 0) -> list[list[Any]]:
    """A conditioning as CLIPTextEncode makes it."""
    generator = torch.Generator().manual_seed(seed)
    return [
        [torch.randn(1, 77, WIDTH, generator=generator), {"pooled_output": torch.randn(1, WIDTH, generator=generator)}]
    ]
