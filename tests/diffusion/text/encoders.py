"""Tiny random text encoders, as transformers would build them, and handles around their weights."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from diffusion.families.family import Family
from diffusion.families.text_encoders import TextEncoderSpec
from diffusion.handles import TextEncoders
from diffusion.text.clip import build_clip

WIDTH, LAYERS = 32, 4


def reference(spec: TextEncoderSpec, seed: int = 0, width: int = WIDTH, layers: int = LAYERS) -> Any:
    """transformers' own model with random weights, heads `spec.head_width` wide."""
    config = CLIPTextConfig(
        vocab_size=49408,
        hidden_size=width,
        intermediate_size=4 * width,
        projection_dim=width,
        num_hidden_layers=layers,
        num_attention_heads=width // spec.head_width,
        hidden_act=spec.activation,
        bos_token_id=49406,
        eos_token_id=49407,
    )
    torch.manual_seed(seed)
    model = CLIPTextModelWithProjection(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def tensors(model: Any) -> dict[str, Tensor]:
    return {name: tensor.detach() for name, tensor in model.state_dict().items()}


def handle(family: Family[Any], models: Mapping[str, Any]) -> TextEncoders:
    networks = {spec.name: build_clip(tensors(models[spec.name]), spec) for spec in family.text_encoders}
    return TextEncoders(networks, family)
