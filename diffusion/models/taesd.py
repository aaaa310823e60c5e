"""TAESD: tiny autoencoders for the latent spaces of larger ones (Ollin Boer Bohan, github.com/madebyollin/taesd)."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffusion.ops.layers import Conv2d

WIDTH = 64
DOWNSCALE = 8


@dataclass(frozen=True, slots=True)
class TaesdConfig:
    latent_channels: int
    width: int = WIDTH


def read_taesd_config(shapes: Mapping[str, tuple[int, ...]]) -> TaesdConfig | None:
    """From the shapes of a file that holds both halves, or the decoder, under their names; None if it does not.

    The halves are also published alone and without a name: read such a decoder with the prefix `taesd_decoder.`.
    """
    first = shapes.get("taesd_decoder.1.weight")
    if first is None or "taesd_decoder.3.conv.0.weight" not in shapes:
        return None
    return TaesdConfig(latent_channels=first[1], width=first[0])


class Block(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.conv = nn.Sequential(
            *(Conv2d(width, width, 3, padding=1), nn.ReLU()),
            *(Conv2d(width, width, 3, padding=1), nn.ReLU()),
            Conv2d(width, width, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv(x) + x)


class Clamp(nn.Module):
    """Softly to -3…3, the range of latents in model scale."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x / 3) * 3


def encoder(config: TaesdConfig) -> nn.Sequential:
    """(B, 3, 8H, 8W) in 0…1 to (B, C, H, W) in model scale."""
    width = config.width

    def halved() -> list[nn.Module]:
        down = Conv2d(width, width, 3, padding=1, stride=2, bias=False)
        return [down, Block(width), Block(width), Block(width)]

    first = [Conv2d(3, width, 3, padding=1), Block(width)]
    last = Conv2d(width, config.latent_channels, 3, padding=1)
    return nn.Sequential(*first, *halved(), *halved(), *halved(), last)


def decoder(config: TaesdConfig) -> nn.Sequential:
    """(B, C, H, W) in model scale to (B, 3, 8H, 8W), about 0…1."""
    width = config.width

    def doubled() -> list[nn.Module]:
        up = [nn.Upsample(scale_factor=2.0), Conv2d(width, width, 3, padding=1, bias=False)]
        return [Block(width), Block(width), Block(width), *up]

    first = [Clamp(), Conv2d(config.latent_channels, width, 3, padding=1), nn.ReLU()]
    last = [Block(width), Conv2d(width, 3, 3, padding=1)]
    return nn.Sequential(*first, *doubled(), *doubled(), *doubled(), *last)


class TinyAutoencoder(nn.Module):
    """Both halves, between pixels and latents in the scale of the large autoencoder they stand for."""

    def __init__(self, config: TaesdConfig, scale: float = 1.0, shift: float = 0.0):
        """scale, shift: of the latent format, unless weights that are loaded bring their own."""
        super().__init__()
        self.config = config
        self.taesd_encoder = encoder(config)
        self.taesd_decoder = decoder(config)
        self.vae_scale = nn.Parameter(torch.tensor(scale), requires_grad=False)
        self.vae_shift = nn.Parameter(torch.tensor(shift), requires_grad=False)

    def encode(self, pixels: Tensor) -> Tensor:
        """(B, 3, 8H, 8W) in -1…1 to (B, C, H, W) in VAE scale."""
        return self.taesd_encoder((pixels + 1) / 2) / self.vae_scale + self.vae_shift

    def decode(self, latent: Tensor) -> Tensor:
        """(B, C, H, W) in VAE scale to (B, 3, 8H, 8W), about -1…1."""
        return self.taesd_decoder((latent - self.vae_shift) * self.vae_scale) * 2 - 1
