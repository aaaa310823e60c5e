"""The compact upscaler of Real-ESRGAN (arXiv:2107.10833, SRVGGNetCompact): convolutions at the small size only."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from diffusion.ops.layers import Conv2d


@dataclass(frozen=True, slots=True)
class SRVGGConfig:
    channels: int
    width: int
    convolutions: int
    """Between the first and the last one."""
    scale: int


def read_srvgg_config(shapes: Mapping[str, tuple[int, ...]]) -> SRVGGConfig | None:
    """None if these are not such a network's tensors. Upscalers whose activation has no weights are not known."""
    first, activation = shapes.get("body.0.weight"), shapes.get("body.1.weight")
    if first is None or activation is None or len(first) != 4 or len(activation) != 1:
        return None
    last = max(int(m[1]) for name in shapes if (m := re.match(r"body\.(\d+)\.", name)))
    scale = math.isqrt(shapes[f"body.{last}.weight"][0] // first[1])
    return SRVGGConfig(first[1], first[0], last // 2 - 1, scale)


class SRVGG(nn.Module):
    def __init__(self, config: SRVGGConfig):
        super().__init__()
        self.config = config
        width = config.width
        layers: list[nn.Module] = [Conv2d(config.channels, width, 3, padding=1), nn.PReLU(width)]
        for _ in range(config.convolutions):
            layers += [Conv2d(width, width, 3, padding=1), nn.PReLU(width)]
        self.body = nn.Sequential(*layers, Conv2d(width, config.channels * config.scale**2, 3, padding=1))

    @property
    def scale(self) -> int:
        return self.config.scale

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) in 0…1 to (B, 3, scale * H, scale * W): what it adds to the picture enlarged plainly."""
        enlarged = F.interpolate(pixels, scale_factor=float(self.scale), mode="nearest")
        return enlarged + F.pixel_shuffle(self.body(pixels), self.scale)
