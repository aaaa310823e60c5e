"""RRDB upscalers: ESRGAN (arXiv:1809.00219) and Real-ESRGAN (arXiv:2107.10833)."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffusion.ops.layers import Conv2d

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class RRDBConfig:
    in_channels: int
    """Of the picture."""
    out_channels: int
    width: int
    growth: int
    blocks: int
    doublings: int
    shrink: int = 1
    """Pixels along each side that become channels first of all."""

    @property
    def scale(self) -> int:
        return int(2**self.doublings) // self.shrink


def read_rrdb_config(shapes: Shapes) -> RRDBConfig | None:
    """From names as in BasicSR; None if these are not an RRDB network's tensors."""
    first, last = shapes.get("conv_first.weight"), shapes.get("conv_last.weight")
    growth = shapes.get("body.0.rdb1.conv1.weight")
    if first is None or last is None or growth is None:
        return None
    blocks = {m[1] for name in shapes if (m := re.match(r"body\.(\d+)\.rdb1\.", name))}
    doublings = sum(name.startswith("conv_up") and name.endswith(".weight") for name in shapes)
    shrink = math.isqrt(first[1] // last[0])
    return RRDBConfig(first[1] // shrink**2, last[0], first[0], growth[0], len(blocks), doublings, shrink)


def rrdb_names(shapes: Shapes) -> Mapping[str, str] | None:
    """Names of ESRGAN's two older layouts -> names as in BasicSR; None if the file is in neither."""
    if "model.0.weight" in shapes and "model.1.sub.0.RDB1.conv1.0.weight" in shapes:
        return _from_sequential(shapes)
    if "RRDB_trunk.0.RDB1.conv1.weight" in shapes:
        new = {
            "RRDB_trunk.": "body.",
            "RDB": "rdb",
            "trunk_conv.": "conv_body.",
            "upconv": "conv_up",
            "HRconv": "conv_hr",
        }
        return {name: _replaced(name, new) for name in shapes}
    return None


def _from_sequential(shapes: Shapes) -> dict[str, str]:
    """The whole network was one sequence: first convolution, blocks, one per doubling, two last ones."""
    positions = sorted({int(m[1]) for name in shapes if (m := re.fullmatch(r"model\.(\d+)\.weight", name))})
    *ups, hr, last = positions[1:]
    trunk = max(int(m[1]) for name in shapes if (m := re.match(r"model\.1\.sub\.(\d+)\.", name)))
    new = {
        "model.0.": "conv_first.",
        f"model.1.sub.{trunk}.": "conv_body.",
        "model.1.sub.": "body.",
        f"model.{hr}.": "conv_hr.",
        f"model.{last}.": "conv_last.",
        **{f"model.{position}.": f"conv_up{i + 1}." for i, position in enumerate(ups)},
        **{f".RDB{i}.": f".rdb{i}." for i in (1, 2, 3)},
        **{f".conv{i}.0.": f".conv{i}." for i in range(1, 6)},
    }
    return {name: _replaced(name, new) for name in shapes}


def _replaced(name: str, new: Mapping[str, str]) -> str:
    for old, replacement in new.items():
        name = name.replace(old, replacement, 1)
    return name


class DenseBlock(nn.Module):
    """Convolutions that each see the results of all earlier ones."""

    def __init__(self, width: int, growth: int):
        super().__init__()
        self.conv1 = Conv2d(width, growth, 3, padding=1)
        self.conv2 = Conv2d(width + growth, growth, 3, padding=1)
        self.conv3 = Conv2d(width + 2 * growth, growth, 3, padding=1)
        self.conv4 = Conv2d(width + 3 * growth, growth, 3, padding=1)
        self.conv5 = Conv2d(width + 4 * growth, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        seen = x
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            seen = torch.cat([seen, _leaky(conv(seen))], dim=1)
        return x + 0.2 * self.conv5(seen)


class RRDB(nn.Module):
    """A residual of residual dense blocks."""

    def __init__(self, width: int, growth: int):
        super().__init__()
        self.rdb1 = DenseBlock(width, growth)
        self.rdb2 = DenseBlock(width, growth)
        self.rdb3 = DenseBlock(width, growth)

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.2 * self.rdb3(self.rdb2(self.rdb1(x)))


class RRDBNet(nn.Module):
    def __init__(self, config: RRDBConfig):
        super().__init__()
        self.config = config
        width = config.width
        self.conv_first = Conv2d(config.in_channels * config.shrink**2, width, 3, padding=1)
        self.body = nn.Sequential(*(RRDB(width, config.growth) for _ in range(config.blocks)))
        self.conv_body = Conv2d(width, width, 3, padding=1)
        for i in range(config.doublings):
            self.add_module(f"conv_up{i + 1}", Conv2d(width, width, 3, padding=1))
        self.conv_hr = Conv2d(width, width, 3, padding=1)
        self.conv_last = Conv2d(width, config.out_channels, 3, padding=1)

    @property
    def scale(self) -> int:
        return self.config.scale

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) in 0…1 to (B, 3, scale * H, scale * W); H and W multiples of `config.shrink`."""
        x = self.conv_first(F.pixel_unshuffle(pixels, self.config.shrink))
        x = x + self.conv_body(self.body(x))
        for i in range(self.config.doublings):
            doubled = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = _leaky(self.get_submodule(f"conv_up{i + 1}")(doubled))
        return self.conv_last(_leaky(self.conv_hr(x)))


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)
