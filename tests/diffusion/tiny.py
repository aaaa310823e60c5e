"""Whole checkpoints of every supported kind with tiny random networks, in the layout in which they are published."""

import re
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from diffusion.checkpoints.layouts.clip import clip_table
from diffusion.checkpoints.rename import revert
from diffusion.families.family import Family
from diffusion.families.sd2 import SD2
from diffusion.families.sd15 import SD15
from diffusion.families.sdxl import SDXL, SDXL_REFINER
from diffusion.families.text_encoders import TextEncoderSpec
from diffusion.models.autoencoder import AutoencoderConfig, AutoencoderKL
from diffusion.models.unet import UNet
from diffusion.models.unet_config import UNetConfig
from tests.diffusion import inventory

WIDTH = 64
"""Of a text encoder: one head."""
LAYERS = 3

AUTOENCODER = AutoencoderConfig(latent_channels=4, widths=(32, 32, 32, 32), blocks=1, quantised=True)


def unet_config(family: Family[Any]) -> UNetConfig:
    """Two levels of one block each; attention on the first only in SD 1.x and 2.x, as published."""
    first = 1 if family in (SD15, SD2) else 0
    base = 64 if family is SD2 else 32
    contexts = {SD15: WIDTH, SD2: WIDTH, SDXL: 2 * WIDTH, SDXL_REFINER: WIDTH}
    vectors = {SDXL: WIDTH + 6 * 256, SDXL_REFINER: WIDTH + 5 * 256}
    return UNetConfig(
        in_channels=4,
        out_channels=4,
        base_width=base,
        level_widths=(base, 64),
        input_depths=((first,), (1,)),
        output_depths=((first, first), (1, 1)),
        middle_residuals=2,
        middle_depth=1,
        context_width=contexts[family],
        vector_width=vectors.get(family),
        linear_projection=family is not SD15,
        heads=8 if family is SD15 else None,
        head_width=None if family is SD15 else 64,
        float32_scores=family is SD2,
    )


def randomised(network: nn.Module, seed: int) -> nn.Module:
    """With weights of a size that keeps activations near one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            fan_in = parameter[0].numel() if parameter.ndim > 1 else 100
            values = torch.randn(parameter.shape, generator=generator) / fan_in**0.5
            parameter.copy_(values + 1 if "norm" in name and name.endswith("weight") else values)
    return network


def text_encoder(spec: TextEncoderSpec, seed: int) -> dict[str, Tensor]:
    """In the names of published transformers files, with a projection."""
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=49408,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=WIDTH // spec.head_width,
        hidden_act=spec.activation,
    )
    return tensors_of(randomised(CLIPTextModelWithProjection(config), seed))


def openclip(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same text encoder as OpenCLIP names it, with the fused projections."""
    names = inventory.shapes("te_clip_g_openclip")
    kept = {name: () for name in names if int((re.findall(r"resblocks\.(\d+)\.", name) or [0])[0]) < LAYERS}
    kept["transformer.resblocks.0.ln_1.weight"] = ()
    return revert(tensors, clip_table(kept), {})


def tensors_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone().contiguous() for name, tensor in network.state_dict().items()}


@dataclass(frozen=True)
class Tiny:
    """The parts of a checkpoint, each without prefix and in our names."""

    family: Family[Any]
    network: dict[str, Tensor]
    text_encoders: dict[str, dict[str, Tensor]]
    autoencoder: dict[str, Tensor]

    def checkpoint(self) -> dict[str, Tensor]:
        """As published: OpenCLIP layout where the published file has it."""
        file = {f"model.diffusion_model.{name}": tensor for name, tensor in self.network.items()}
        for spec in self.family.text_encoders:
            prefix, tensors = spec.prefixes[0], self.text_encoders[spec.name]
            if prefix.endswith(".model."):
                tensors = openclip(tensors)
            file |= {
                prefix + name: tensor for name, tensor in tensors.items() if not name.startswith("text_projection.w")
            }
        return file | {f"first_stage_model.{name}": tensor for name, tensor in self.autoencoder.items()}


def tiny(family: Family[Any], seed: int = 0) -> Tiny:
    return Tiny(
        family,
        tensors_of(randomised(UNet(unet_config(family)), seed)),
        {spec.name: text_encoder(spec, seed + number) for number, spec in enumerate(family.text_encoders, 1)},
        tensors_of(randomised(AutoencoderKL(AUTOENCODER), seed + 9)),
    )
