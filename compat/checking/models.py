"""Small random models to try nodes with: UNet, text encoder and autoencoder in the shape of Stable Diffusion 1.x.

What they make is noise; that it has the right form is what counts.
"""

from dataclasses import replace
from functools import cache
from typing import Any

import torch
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from diffusion.families.sd15 import SD15
from diffusion.handles import Autoencoder, Model, TextEncoders
from diffusion.models.autoencoder import AutoencoderConfig, AutoencoderKL
from diffusion.models.unet_config import UNetConfig
from diffusion.text.clip import build_clip

WIDTH = 32
"""Of the text encoder, and so of every conditioning."""

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


@cache
def model() -> Model:
    variant = SD15.variant({})
    return Model(_drawn(SD15.build(UNET)), SD15, UNET, variant.prediction, variant.latent, source="small.safetensors")


@cache
def text_encoders() -> TextEncoders:
    (spec,) = (replace(spec, head_width=8) for spec in SD15.text_encoders)
    config = CLIPTextConfig(
        vocab_size=49408,
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=3,
        num_attention_heads=WIDTH // spec.head_width,
        hidden_act=spec.activation,
        bos_token_id=49406,
        eos_token_id=49407,
    )
    drawn = _drawn(CLIPTextModelWithProjection(config))
    tensors = {name: tensor.detach() for name, tensor in drawn.state_dict().items()}
    return TextEncoders({spec.name: build_clip(tensors, spec)}, replace(SD15, text_encoders=(spec,)))


@cache
def autoencoder() -> Autoencoder:
    network = AutoencoderKL(AutoencoderConfig(4, (32, 32, 32, 32), 1, quantised=True))
    return Autoencoder(_drawn(network), source="small.safetensors")


def _drawn(network: Any) -> Any:
    """With random weights that keep activations near one, the same every time."""
    generator = torch.Generator("cpu").manual_seed(0)
    for name, parameter in network.named_parameters():
        fan_in = parameter[0].numel() if parameter.dim() > 1 else 100
        drawn = torch.randn(parameter.shape, generator=generator) / fan_in**0.5
        parameter.data = drawn + 1 if "norm" in name and name.endswith("weight") else drawn
    return network.eval().requires_grad_(False)
