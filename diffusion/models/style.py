"""Networks that turn what an image encoder saw into tokens beside those of a prompt.

The style adapter of T2I-Adapter (https://github.com/TencentARC/T2I-Adapter) and Flux Redux
(https://github.com/black-forest-labs/flux).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffusion.models.residual_attention import ResidualAttention
from diffusion.ops.layers import Linear

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class StyleConfig:
    width: int
    """Of the image encoder's tokens."""
    out_width: int
    tokens: int
    layers: int
    heads: int = 8
    """Shapes do not tell."""


def read_style_config(shapes: Shapes) -> StyleConfig | None:
    """None if these are not a style adapter's tensors."""
    tokens, projection = shapes.get("style_embedding"), shapes.get("proj")
    if tokens is None or projection is None:
        return None
    layers = {m[1] for name in shapes if (m := re.match(r"transformer_layes\.(\d+)\.", name))}
    return StyleConfig(projection[0], projection[1], tokens[1], len(layers))


class StyleAdapter(nn.Module):
    """A few learned tokens attend to those of a picture and become the style's."""

    def __init__(self, config: StyleConfig):
        super().__init__()
        self.config = config
        self.width = config.width
        self.style_embedding = nn.Parameter(torch.randn(1, config.tokens, config.width))
        # Spelled like this in the published file.
        self.transformer_layes = nn.Sequential(
            *(ResidualAttention(config.width, config.heads) for _ in range(config.layers))
        )
        self.ln_pre = nn.LayerNorm(config.width)
        self.ln_post = nn.LayerNorm(config.width)
        self.proj = nn.Parameter(torch.randn(config.width, config.out_width))

    def forward(self, seen: Tensor) -> Tensor:
        """seen: (B, T, width), an image encoder's last hidden state. Returns (B, tokens, out_width)."""
        joined = torch.cat([seen, self.style_embedding.expand(len(seen), -1, -1)], dim=1)
        style = self.transformer_layes(self.ln_pre(joined))[:, -self.config.tokens :]
        return self.ln_post(style) @ self.proj


@dataclass(frozen=True, slots=True)
class ReduxConfig:
    width: int
    hidden_width: int
    out_width: int


def read_redux_config(shapes: Shapes) -> ReduxConfig | None:
    """None if these are not Redux's tensors."""
    up, down = shapes.get("redux_up.weight"), shapes.get("redux_down.weight")
    return None if up is None or down is None else ReduxConfig(up[1], up[0], down[0])


class Redux(nn.Module):
    """Every token of a picture becomes one of a prompt."""

    def __init__(self, config: ReduxConfig):
        super().__init__()
        self.width = config.width
        self.redux_up = Linear(config.width, config.hidden_width)
        self.redux_down = Linear(config.hidden_width, config.out_width)

    def forward(self, seen: Tensor) -> Tensor:
        """seen: (B, T, width), an image encoder's last hidden state. Returns (B, T, out_width)."""
        return self.redux_down(F.silu(self.redux_up(seen)))
