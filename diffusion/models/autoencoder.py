"""The KL autoencoder of latent diffusion (arXiv:2112.10752), with 4 (SD, SDXL) or 16 (SD3, Flux) latent channels."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from diffusion.ops.attention import attention
from diffusion.ops.layers import Conv2d


@dataclass(frozen=True, slots=True)
class AutoencoderConfig:
    latent_channels: int
    widths: tuple[int, ...]
    """Of each level, from pixels inward; between two levels the picture halves."""
    blocks: int
    """Residual blocks per level of the encoder; the decoder has one more."""
    quantised: bool
    """Whether 1x1 convolutions lie between the networks and the latent."""
    image_channels: int = 3

    @property
    def downscale(self) -> int:
        return int(2 ** (len(self.widths) - 1))


def read_autoencoder_config(shapes: Mapping[str, tuple[int, ...]]) -> AutoencoderConfig | None:
    """The configuration of the autoencoder whose tensors have these names and shapes; None if they are none."""
    conv_in, conv_out = shapes.get("decoder.conv_in.weight"), shapes.get("encoder.conv_in.weight")
    if conv_in is None or conv_out is None or len(conv_in) != 4 or "encoder.down.0.block.0.conv1.weight" not in shapes:
        return None
    pattern = re.compile(r"encoder\.down\.(\d+)\.block\.(\d+)\.conv1\.weight")
    found = {(int(m[1]), int(m[2])): shape[0] for name, shape in shapes.items() if (m := pattern.fullmatch(name))}
    return AutoencoderConfig(
        latent_channels=conv_in[1],
        widths=tuple(found[level, 0] for level in sorted({level for level, _ in found})),
        blocks=1 + max(block for _, block in found),
        quantised="post_quant_conv.weight" in shapes,
        image_channels=conv_out[1],
    )


class ResnetBlock(nn.Module):
    def __init__(self, in_width: int, out_width: int):
        super().__init__()
        self.norm1 = _norm(in_width)
        self.conv1 = Conv2d(in_width, out_width, 3, padding=1)
        self.norm2 = _norm(out_width)
        self.conv2 = Conv2d(out_width, out_width, 3, padding=1)
        self.nin_shortcut = nn.Identity() if in_width == out_width else Conv2d(in_width, out_width, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return self.nin_shortcut(x) + h


class AttnBlock(nn.Module):
    """Single-head attention over all positions; its projections are stored as 1x1 convolutions."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = _norm(width)
        self.q = Conv2d(width, width, 1)
        self.k = Conv2d(width, width, 1)
        self.v = Conv2d(width, width, 1)
        self.proj_out = Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        q, k, v = (layer(h).flatten(2).transpose(1, 2) for layer in (self.q, self.k, self.v))
        h = attention(q, k, v, heads=1).transpose(1, 2).reshape(x.shape)
        return x + self.proj_out(h)


class Downsample(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.conv = Conv2d(width, width, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        # Only right and bottom are padded, unlike in the UNet.
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.conv = Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Level(nn.Module):
    """Residual blocks at one size, then perhaps a change of size."""

    def __init__(self, widths: tuple[int, ...], **resample: nn.Module):
        """widths: before the first and after each block. resample: at most one, by its published name."""
        super().__init__()
        self.block = nn.ModuleList(ResnetBlock(before, after) for before, after in pairwise(widths))
        for name, module in resample.items():
            self.add_module(name, module)
        self._resample = tuple(resample)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.block:
            x = block(x)
        for name in self._resample:
            x = self.get_submodule(name)(x)
        return x


class Middle(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.block_1 = ResnetBlock(width, width)
        self.attn_1 = AttnBlock(width)
        self.block_2 = ResnetBlock(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.block_2(self.attn_1(self.block_1(x)))


class Encoder(nn.Module):
    def __init__(self, config: AutoencoderConfig):
        super().__init__()
        widths = config.widths
        self.conv_in = Conv2d(config.image_channels, widths[0], 3, padding=1)
        self.down = nn.ModuleList()
        before = widths[0]
        for i, width in enumerate(widths):
            resample = {"downsample": Downsample(width)} if i + 1 < len(widths) else {}
            self.down.append(Level((before, *[width] * config.blocks), **resample))
            before = width
        self.mid = Middle(widths[-1])
        self.norm_out = _norm(widths[-1])
        self.conv_out = Conv2d(widths[-1], 2 * config.latent_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for level in self.down:
            x = level(x)
        return self.conv_out(F.silu(self.norm_out(self.mid(x))))


class Decoder(nn.Module):
    def __init__(self, config: AutoencoderConfig):
        super().__init__()
        widths = config.widths
        self.conv_in = Conv2d(config.latent_channels, widths[-1], 3, padding=1)
        self.mid = Middle(widths[-1])
        # Numbered like the encoder's levels, so run from the last to the first.
        levels: list[Level] = []
        for i, width in enumerate(widths):
            before = widths[min(i + 1, len(widths) - 1)]
            resample = {"upsample": Upsample(width)} if i > 0 else {}
            levels.append(Level((before, *[width] * (config.blocks + 1)), **resample))
        self.up = nn.ModuleList(levels)
        self.norm_out = _norm(widths[0])
        self.conv_out = Conv2d(widths[0], config.image_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mid(self.conv_in(x))
        for level in reversed(self.up):
            x = level(x)
        return self.conv_out(F.silu(self.norm_out(x)))


class AutoencoderKL(nn.Module):
    def __init__(self, config: AutoencoderConfig):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        channels = config.latent_channels
        if config.quantised:
            self.quant_conv = Conv2d(2 * channels, 2 * channels, 1)
            self.post_quant_conv = Conv2d(channels, channels, 1)

    def encode(self, pixels: Tensor) -> Tensor:
        """The mean of the posterior: (B, 3, 8H, 8W) in -1…1 to (B, C, H, W) in VAE scale."""
        moments = self.encoder(pixels)
        if self.config.quantised:
            moments = self.quant_conv(moments)
        return moments[:, : self.config.latent_channels]

    def decode(self, latent: Tensor) -> Tensor:
        """(B, C, H, W) in VAE scale to (B, 3, 8H, 8W), about -1…1."""
        if self.config.quantised:
            latent = self.post_quant_conv(latent)
        return self.decoder(latent)


def _norm(width: int) -> nn.GroupNorm:
    return nn.GroupNorm(32, width, eps=1e-6)
