"""T2I-Adapter (arXiv:2302.08453): features of a hint, computed once, added after each level of a UNet's input half."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from diffusion.ops.layers import Conv2d
from diffusion.ops.stored import compute_dtype
from diffusion.patches.hooks import Control

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class T2IAdapterConfig:
    kind: Literal["full", "xl", "light"]
    hint_channels: int
    widths: tuple[int, ...]
    blocks: int
    """Residual blocks per level."""
    kernel: int = 1
    """Size of every second convolution."""

    @property
    def shrink(self) -> int:
        """Pixels along each side that become channels first of all."""
        return 16 if self.kind == "xl" else 8

    @property
    def places(self) -> tuple[int, ...]:
        """Input blocks of the UNet to which the features belong, by level; the fourth of SDXL is its middle."""
        return (3, 5, 8) if self.kind == "xl" else (2, 5, 8, 11)


def read_t2i_adapter_config(shapes: Shapes) -> T2IAdapterConfig | None:
    """From names without prefix, in the authors' layout; None if these are not an adapter's tensors."""
    blocks = {int(m[1]) for name in shapes if (m := re.match(r"body\.(\d+)\.", name))}
    if not blocks:
        return None
    if "body.0.body.0.block1.weight" in shapes:
        inner = {int(m[1]) for name in shapes if (m := re.match(r"body\.0\.body\.(\d+)\.", name))}
        widths = tuple(shapes[f"body.{i}.out_conv.weight"][0] for i in sorted(blocks))
        channels = shapes["body.0.in_conv.weight"][1]
        return T2IAdapterConfig("light", channels // 64, widths, len(inner))
    if "conv_in.weight" not in shapes or "body.0.block1.weight" not in shapes:
        return None
    widths = tuple(shapes[f"body.{i}.block1.weight"][0] for i in range(0, len(blocks), len(blocks) // 4))
    channels = shapes["conv_in.weight"][1]
    kind = "xl" if channels % 256 == 0 else "full"
    kernel = shapes["body.0.block2.weight"][2]
    return T2IAdapterConfig(kind, channels // (256 if kind == "xl" else 64), widths, len(blocks) // 4, kernel)


def adapter_from_diffusers(shapes: Shapes) -> Mapping[str, str] | None:
    """diffusers' name -> ours for an adapter's tensors; None if the file is in another layout."""
    if not any(name.startswith("adapter.body.") for name in shapes):
        return None
    counts = [int(m[1]) for name in shapes if (m := re.match(r"adapter\.body\.0\.resnets\.(\d+)\.", name))]
    per_level = 1 + max(counts, default=0)

    def renamed(name: str) -> str:
        name = name.removeprefix("adapter.")
        if m := re.fullmatch(r"body\.(\d+)\.resnets\.(\d+)\.(.*)", name):
            light = "adapter.body.0.out_conv.weight" in shapes
            if light:
                return f"body.{m[1]}.body.{m[2]}.{m[3]}"
            return f"body.{int(m[1]) * per_level + int(m[2])}.{m[3]}"
        if (m := re.fullmatch(r"body\.(\d+)\.in_conv\.(.*)", name)) and "adapter.conv_in.weight" in shapes:
            return f"body.{int(m[1]) * per_level}.in_conv.{m[2]}"
        return name

    return {name: renamed(name) for name in shapes}


class AdapterBlock(nn.Module):
    def __init__(self, in_width: int, out_width: int, *, down: bool, kernel: int = 1):
        super().__init__()
        self.down = down
        self.in_conv = nn.Identity() if in_width == out_width else Conv2d(in_width, out_width, kernel, padding="same")
        self.block1 = Conv2d(out_width, out_width, 3, padding=1)
        self.block2 = Conv2d(out_width, out_width, kernel, padding="same")

    def forward(self, x: Tensor) -> Tensor:
        x = self.in_conv(_halved(x) if self.down else x)
        return x + self.block2(F.relu(self.block1(x)))


class LightResidual(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.block1 = Conv2d(width, width, 3, padding=1)
        self.block2 = Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block2(F.relu(self.block1(x)))


class LightLevel(nn.Module):
    """Residual blocks at a quarter of the level's width."""

    def __init__(self, in_width: int, out_width: int, blocks: int, *, down: bool):
        super().__init__()
        self.down = down
        self.in_conv = Conv2d(in_width, out_width // 4, 1)
        self.body = nn.Sequential(*(LightResidual(out_width // 4) for _ in range(blocks)))
        self.out_conv = Conv2d(out_width // 4, out_width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out_conv(self.body(self.in_conv(_halved(x) if self.down else x)))


class T2IAdapter(nn.Module):
    def __init__(self, config: T2IAdapterConfig):
        super().__init__()
        self.config = config
        before = config.hint_channels * config.shrink**2
        if config.kind == "light":
            self.conv_in = nn.Identity()
        else:
            self.conv_in = Conv2d(before, config.widths[0], 3, padding=1)
            before = config.widths[0]
        body: list[nn.Module] = []
        for level, width in enumerate(config.widths):
            down = level == 2 if config.kind == "xl" else level > 0
            if config.kind == "light":
                body.append(LightLevel(before, width, config.blocks, down=down))
            else:
                body.append(AdapterBlock(before, width, down=down, kernel=config.kernel))
                body += [AdapterBlock(width, width, down=False, kernel=config.kernel) for _ in range(config.blocks - 1)]
            before = width
        self.body = nn.ModuleList(body)

    def forward(self, hint: Tensor) -> Control:
        """Features to add within the UNet, in the precision of hint. hint: (B, hint_channels, 8H, 8W) in 0…1."""
        levels = self.features(hint)
        inputs: list[Tensor | None] = [None] * (1 + max(self.config.places))
        for place, feature in zip(self.config.places, levels, strict=False):
            inputs[place] = feature
        return Control(inputs=tuple(inputs), middle=levels[3] if len(levels) > len(self.config.places) else None)

    def features(self, hint: Tensor) -> list[Tensor]:
        """One feature map per level."""
        x = self.conv_in(F.pixel_unshuffle(hint.to(compute_dtype(self)), self.config.shrink))
        found: list[Tensor] = []
        per_level = len(self.body) // len(self.config.widths)
        for i, block in enumerate(self.body):
            x = block(x)
            if (i + 1) % per_level == 0:
                found.append(x.to(hint.dtype))
        return found


def _halved(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 2, ceil_mode=True)
