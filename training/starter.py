"""The starter model: the sizes of its parts, and the one file that holds them, laid out as Stable Diffusion 1.x."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from diffusion import latents
from diffusion.models.autoencoder import AutoencoderKL
from diffusion.models.unet import UNet
from diffusion.models.unet_config import UNetConfig
from diffusion.text.tokenise import END_ID
from training import autoencoder

TEXT_WIDTH = 128
UNET = UNetConfig(
    in_channels=4,
    out_channels=4,
    base_width=96,
    level_widths=(96, 96, 192),
    input_depths=((0,), (1,), (1,)),
    output_depths=((0, 0), (1, 1), (1, 0)),
    middle_residuals=2,
    middle_depth=1,
    context_width=TEXT_WIDTH,
    vector_width=None,
    linear_projection=False,
    heads=8,
)
PREFIXES = {
    "unet": "model.diffusion_model.",
    "text": "cond_stage_model.transformer.",
    "autoencoder": "first_stage_model.",
}
LIMIT = 40_000_000
"""Bytes that the file may have."""


class TextEncoder(nn.Module):
    """CLIP's text encoder (arXiv:2103.00020), 128 wide, with the whole published vocabulary."""

    def __init__(self, width: int = TEXT_WIDTH, layers: int = 3):
        from transformers import CLIPTextConfig, CLIPTextModelWithProjection

        super().__init__()
        config = CLIPTextConfig(
            hidden_size=width,
            intermediate_size=3 * width,
            projection_dim=width,
            num_hidden_layers=layers,
            num_attention_heads=max(1, width // 64),
            hidden_act="quick_gelu",
            eos_token_id=END_ID,
        )
        self.text_model: Any = CLIPTextModelWithProjection(config).text_model

    def forward(self, ids: Tensor) -> Tensor:
        """Tokens (B, 77) to the context (B, 77, D), the last state after its norm."""
        return self.text_model(input_ids=ids).last_hidden_state


class TextToImage(nn.Module):
    """What learns together: the words' encoder and the network that reads it."""

    def __init__(self, config: UNetConfig = UNET):
        super().__init__()
        self.text = TextEncoder(config.context_width)
        self.unet = UNet(config)
        self._begin_with_nothing()

    def forward(self, noisy: Tensor, timesteps: Tensor, ids: Tensor) -> Tensor:
        """noisy: (B, 4, H, W) in model scale. timesteps: (B,). ids: (B, 77). Returns the noise it sees."""
        return self.unet(noisy, timesteps, self.text(ids))

    def _begin_with_nothing(self) -> None:
        """Every branch adds nothing at first (arXiv:2112.10752 begins so): training is steadier and faster."""
        for name, module in self.unet.named_modules():
            if name.endswith(("out_layers.3", "proj_out", "out.2")):
                for parameter in module.parameters():
                    nn.init.zeros_(parameter)


@dataclass(frozen=True)
class Starter:
    """The finished parts, in float32, ready to be built upon."""

    autoencoder: AutoencoderKL
    text: TextEncoder
    unet: UNet

    @classmethod
    def load(cls, path: Path, device: torch.device) -> "Starter":
        tensors: dict[str, Tensor] = load_file(path)
        parts = cls(AutoencoderKL(autoencoder.CONFIG), TextEncoder(), UNet(UNET))
        for name, prefix in PREFIXES.items():
            part: nn.Module = getattr(parts, name)
            part.load_state_dict(
                {key.removeprefix(prefix): value.float() for key, value in tensors.items() if key.startswith(prefix)}
            )
            part.to(device).eval().requires_grad_(False)
        return parts


def save(path: Path, parts: Mapping[str, nn.Module], known: Tensor, metadata: Mapping[str, str]) -> int:
    """Write the file in float16; returns its bytes.

    parts: by the names of PREFIXES. known: ids of tokens that were trained. What was never trained says nothing: other
    rows of the vocabulary are zero.
    """
    tensors = {
        PREFIXES[name] + key: value.detach().to("cpu", torch.float16).contiguous()
        for name, part in parts.items()
        for key, value in part.state_dict().items()
    }
    words = tensors[f"{PREFIXES['text']}text_model.embeddings.token_embedding.weight"]
    trained = torch.zeros(len(words), dtype=torch.bool)
    trained[known.long()] = True
    words[~trained] = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, dict(metadata))
    size = path.stat().st_size
    if size > LIMIT:
        raise ValueError(f"{path} has {size:,} bytes, more than the {LIMIT:,} that a repository should carry")
    return size


@torch.no_grad()
def encode(network: AutoencoderKL, pixels: Tensor) -> Tensor:
    """(B, 3, 8H, 8W) in -1…1 to the mean of the latent, (B, 4, H, W) in model scale."""
    return latents.SD15.to_model(network.quant_conv(network.encoder(pixels)).chunk(2, dim=1)[0])
