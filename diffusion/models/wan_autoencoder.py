"""The autoencoder of Wan 2.1 (arXiv:2503.20314), which Qwen-Image uses too, for single pictures.

It is made for video: its convolutions are causal along time. Of a single frame each sees that frame alone, before which
there is nothing, so only the last slice of its weights along time takes part, and layers between frames do nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffusion.ops.attention import attention

Shapes = Mapping[str, tuple[int, ...]]
MARKER = "decoder.middle.0.residual.0.gamma"


@dataclass(frozen=True, slots=True)
class Step:
    """One layer of a half: a residual block, or where the size changes."""

    in_width: int
    out_width: int
    resamples: bool
    between_frames: bool = False


@dataclass(frozen=True, slots=True)
class WanAutoencoderConfig:
    latent_channels: int
    down: tuple[Step, ...]
    up: tuple[Step, ...]
    image_channels: int = 3

    @property
    def downscale(self) -> int:
        return int(2 ** sum(step.resamples for step in self.down))


def read_wan_autoencoder_config(shapes: Shapes) -> WanAutoencoderConfig | None:
    """The configuration of the autoencoder whose tensors have these names and shapes; None if they are none."""
    if MARKER not in shapes or "encoder.conv1.weight" not in shapes:
        return None
    return WanAutoencoderConfig(
        latent_channels=shapes["decoder.conv1.weight"][1],
        down=_steps(shapes, "encoder.downsamples."),
        up=_steps(shapes, "decoder.upsamples."),
        image_channels=shapes["encoder.conv1.weight"][1],
    )


def _steps(shapes: Shapes, prefix: str) -> tuple[Step, ...]:
    pattern = re.compile(re.escape(prefix) + r"(\d+)\.(residual\.2|resample\.1)\.weight")
    found = {int(m[1]): (m[2], shape) for name, shape in shapes.items() if (m := pattern.fullmatch(name))}
    return tuple(
        Step(shape[1], shape[0], kind == "resample.1", f"{prefix}{i}.time_conv.weight" in shapes)
        for i, (kind, shape) in sorted(found.items())
    )


class FrameConv(nn.Conv3d):
    """A convolution over frames, as a single frame meets it: (B, C, H, W) to (B, C', H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(input, self.weight[:, :, -1], self.bias, padding=self.kernel_size[-1] // 2)


class Norm(nn.Module):
    """Root mean square norm along the channels (arXiv:1910.07467)."""

    def __init__(self, width: int, dimensions: int = 3):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width, *[1] * dimensions))

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x, dim=1) * x.shape[1] ** 0.5 * self.gamma.view(-1, 1, 1)


class Residual(nn.Module):
    def __init__(self, in_width: int, out_width: int):
        super().__init__()
        self.residual = nn.Sequential(
            *(Norm(in_width), nn.SiLU(), FrameConv(in_width, out_width, 3, padding=1)),
            *(Norm(out_width), nn.SiLU(), nn.Identity(), FrameConv(out_width, out_width, 3, padding=1)),
        )
        self.shortcut = FrameConv(in_width, out_width, 1) if in_width != out_width else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.residual(x)


class Attention(nn.Module):
    """One head over all positions."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = Norm(width, dimensions=2)
        self.to_qkv = nn.Conv2d(width, 3 * width, 1)
        self.proj = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.to_qkv(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, dim=2)
        return x + self.proj(attention(query, key, value, 1).transpose(1, 2).reshape(x.shape))


class _RightAndBelow(nn.Module):
    """Zeros beyond the right and the lower edge."""

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, (0, 1, 0, 1))


class Resample(nn.Module):
    def __init__(self, step: Step, *, up: bool):
        super().__init__()
        width = step.in_width
        if up:
            doubled = nn.Upsample(scale_factor=2.0, mode="nearest-exact")
            self.resample = nn.Sequential(doubled, nn.Conv2d(width, step.out_width, 3, padding=1))
        else:
            self.resample = nn.Sequential(_RightAndBelow(), nn.Conv2d(width, step.out_width, 3, stride=2))
        if step.between_frames:
            # Not for single pictures; it is here so that the file stays whole.
            self.time_conv = nn.Conv3d(width, 2 * width if up else width, (3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.resample(x)


def _middle(width: int) -> nn.Sequential:
    return nn.Sequential(Residual(width, width), Attention(width), Residual(width, width))


def _layers(steps: tuple[Step, ...], *, up: bool) -> nn.Sequential:
    return nn.Sequential(*(Resample(s, up=up) if s.resamples else Residual(s.in_width, s.out_width) for s in steps))


def _head(width: int, out_width: int) -> nn.Sequential:
    return nn.Sequential(Norm(width), nn.SiLU(), FrameConv(width, out_width, 3, padding=1))


class Encoder(nn.Module):
    def __init__(self, config: WanAutoencoderConfig):
        super().__init__()
        last = config.down[-1].out_width
        self.conv1 = FrameConv(config.image_channels, config.down[0].in_width, 3, padding=1)
        self.downsamples = _layers(config.down, up=False)
        self.middle = _middle(last)
        self.head = _head(last, 2 * config.latent_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.middle(self.downsamples(self.conv1(x))))


class Decoder(nn.Module):
    def __init__(self, config: WanAutoencoderConfig):
        super().__init__()
        first = config.up[0].in_width
        self.conv1 = FrameConv(config.latent_channels, first, 3, padding=1)
        self.middle = _middle(first)
        self.upsamples = _layers(config.up, up=True)
        self.head = _head(config.up[-1].out_width, config.image_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.upsamples(self.middle(self.conv1(x))))


class WanAutoencoder(nn.Module):
    def __init__(self, config: WanAutoencoderConfig):
        super().__init__()
        self.config = config
        channels = config.latent_channels
        self.encoder = Encoder(config)
        self.conv1 = FrameConv(2 * channels, 2 * channels, 1)
        self.conv2 = FrameConv(channels, channels, 1)
        self.decoder = Decoder(config)

    def encode(self, pixels: Tensor) -> Tensor:
        """(B, 3, 8H, 8W) in -1…1 to (B, C, H, W) in VAE scale: the mean of the posterior."""
        return self.conv1(self.encoder(pixels)).chunk(2, dim=1)[0]

    def decode(self, latent: Tensor) -> Tensor:
        """(B, C, H, W) in VAE scale to (B, 3, 8H, 8W) in -1…1."""
        return self.decoder(self.conv2(latent)).clamp(-1, 1)
