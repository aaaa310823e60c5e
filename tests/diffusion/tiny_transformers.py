"""Whole checkpoints of diffusion transformers with tiny random networks, in the layout in which they are published."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from diffusion.families.family import Family
from diffusion.families.flux import FLUX
from diffusion.families.sd3 import SD3
from diffusion.models.autoencoder import AutoencoderConfig, AutoencoderKL
from diffusion.models.flux import FluxConfig
from diffusion.models.mmdit import MMDiTConfig
from tests.diffusion.text.sentencepieces import model as sentencepiece_model
from tests.diffusion.tiny import WIDTH, randomised, tensors_of, text_encoder

T5_WIDTH = 2 * WIDTH
AUTOENCODER = AutoencoderConfig(latent_channels=16, widths=(32, 32, 32, 32), blocks=1, quantised=False)

SD3_CONFIG = MMDiTConfig(
    in_channels=16,
    out_channels=16,
    width=128,
    depth=3,
    mlp_width=256,
    context_width=T5_WIDTH,
    vector_width=2 * WIDTH,
    table_side=16,
    dual_layers=(0,),
    qk_norm=True,
)
FLUX_CONFIG = FluxConfig(
    in_channels=16,
    out_channels=16,
    width=64,
    head_width=32,
    mlp_width=256,
    context_width=T5_WIDTH,
    vector_width=WIDTH,
    double_blocks=2,
    single_blocks=2,
    guided=True,
)
CONFIGS: dict[str, Any] = {"SD3": SD3_CONFIG, "Flux": FLUX_CONFIG}
AUTOENCODER_PREFIXES = {"SD3": "first_stage_model.", "Flux": "vae."}


def t5(seed: int) -> dict[str, Tensor]:
    """In the names of published files, with its tokeniser."""
    from transformers import T5Config, T5EncoderModel

    config = T5Config(
        vocab_size=96, d_model=T5_WIDTH, d_kv=16, d_ff=64, num_layers=2, num_heads=4, feed_forward_proj="gated-gelu"
    )
    tensors = tensors_of(randomised(T5EncoderModel(config), seed))
    del tensors["encoder.embed_tokens.weight"]
    return tensors


def tokeniser() -> Tensor:
    return torch.frombuffer(bytearray(sentencepiece_model()), dtype=torch.uint8)


@dataclass(frozen=True)
class TinyTransformer:
    """The parts of a checkpoint, each without prefix and in our names."""

    family: Family[Any]
    config: Any
    network: dict[str, Tensor]
    text_encoders: dict[str, dict[str, Tensor]]
    autoencoder: dict[str, Tensor]

    def checkpoint(self) -> dict[str, Tensor]:
        """All in one."""
        file = {f"model.diffusion_model.{name}": tensor for name, tensor in self.network.items()}
        for name, tensors in self.text_encoders.items():
            file |= {f"text_encoders.{name}.transformer.{key}": tensor for key, tensor in tensors.items()}
        prefix = AUTOENCODER_PREFIXES[self.family.name]
        return file | {f"{prefix}{name}": tensor for name, tensor in self.autoencoder.items()}


def tiny_transformer(family: Family[Any], seed: int = 0) -> TinyTransformer:
    config = CONFIGS[family.name]
    encoders = {
        spec.name: t5(seed + i) | {"spiece_model": tokeniser()} if spec.kind == "t5" else text_encoder(spec, seed + i)
        for i, spec in enumerate(family.text_encoders, start=1)
    }
    network = tensors_of(randomised(family.build(config), seed))
    return TinyTransformer(
        family, config, network, encoders, tensors_of(randomised(AutoencoderKL(AUTOENCODER), seed + 9))
    )


FAMILIES = (SD3, FLUX)
