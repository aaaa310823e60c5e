"""GLIGEN (arXiv:2301.07093): boxes with phrases, attended to by gated layers between the attentions of a UNet.

The layers come in a file of their own and act through hooks, so the UNet they were trained with need not know them.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from diffusion.models.transformer import Attention, FeedForward
from diffusion.ops.layers import Linear
from diffusion.patches.hooks import NO_HOOKS, BlockInfo

MAX_BOXES = 30
"""The layers were trained with so many, those that are not used being null."""
_FREQUENCIES = 8
_FUSER = re.compile(
    r"(?P<kind>input|middle|output)_blocks?\.((?P<index>\d+)\.)?1\.transformer_blocks\.(?P<layer>\d+)\.fuser\.(?P<rest>.+)"
)


@dataclass(frozen=True, slots=True)
class GligenConfig:
    phrase_width: int
    hidden_width: int
    out_width: int
    fusers: Mapping[str, int]
    """Name of each gated layer, as kind, number and transformer layer of its block, and its width."""
    heads: int = 8
    """As in SD 1.x, the one line that has such layers; shapes do not tell."""


def gligen_names(names: Iterable[str]) -> dict[str, str]:
    """Names in a published file, which may also hold the whole UNet -> ours; what is not GLIGEN's is left out."""
    found: dict[str, str] = {}
    for name in names:
        if name.startswith("position_net."):
            found[name] = name
        elif m := _FUSER.fullmatch(name):
            found[name] = f"fusers.{m['kind']}_{m['index'] or 0}_{m['layer']}.{m['rest']}"
    return found


def read_gligen_config(shapes: Mapping[str, tuple[int, ...]]) -> GligenConfig | None:
    """From our names; None if these are not GLIGEN's tensors, or those of its kinds that see pictures."""
    phrase, first = shapes.get("position_net.null_positive_feature"), shapes.get("position_net.linears.0.weight")
    last = shapes.get("position_net.linears.4.weight")
    fusers = {m[1]: s[0] for name, s in shapes.items() if (m := re.fullmatch(r"fusers\.(\w+)\.linear\.weight", name))}
    if phrase is None or first is None or last is None or not fusers:
        return None
    return GligenConfig(phrase[0], first[0], last[0], fusers)


class PositionNet(nn.Module):
    """Phrases and boxes to grounding tokens."""

    def __init__(self, config: GligenConfig):
        super().__init__()
        self.null_positive_feature = nn.Parameter(torch.zeros(config.phrase_width))
        self.null_position_feature = nn.Parameter(torch.zeros(2 * 4 * _FREQUENCIES))
        self.linears = nn.Sequential(
            Linear(config.phrase_width + 2 * 4 * _FREQUENCIES, config.hidden_width),
            nn.SiLU(),
            Linear(config.hidden_width, config.hidden_width),
            nn.SiLU(),
            Linear(config.hidden_width, config.out_width),
        )

    def forward(self, phrases: Tensor, boxes: Tensor, used: Tensor) -> Tensor:
        """phrases: (B, N, P). boxes: (B, N, 4), left, top, right, bottom in 0…1. used: (B, N), 0 for null ones."""
        used = used[..., None]
        phrases = used * phrases + (1 - used) * self.null_positive_feature
        places = used * waves(boxes) + (1 - used) * self.null_position_feature
        return self.linears(torch.cat([phrases, places], dim=-1))


def waves(boxes: Tensor) -> Tensor:
    """Sines, then cosines, of the four numbers at each of eight frequencies; (B, N, 4) to (B, N, 64)."""
    frequencies = 100 ** (torch.arange(_FREQUENCIES, device=boxes.device) / _FREQUENCIES)
    angles = frequencies[:, None] * boxes[..., None, :]
    return torch.stack([angles.sin(), angles.cos()], dim=-2).flatten(2)


class GatedAttention(nn.Module):
    """Picture tokens attend to themselves and to the grounding tokens, as far as two learned gates are open."""

    def __init__(self, width: int, grounding_width: int, heads: int):
        super().__init__()
        self.linear = Linear(grounding_width, width)
        self.attn = Attention(width, width, heads, float32_scores=False)
        self.ff = FeedForward(width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.alpha_attn = nn.Parameter(torch.zeros(()))
        self.alpha_dense = nn.Parameter(torch.zeros(()))

    def forward(self, tokens: Tensor, grounding: Tensor, info: BlockInfo) -> Tensor:
        """tokens: (B, T, D). grounding: (B, N, G)."""
        joined = self.norm1(torch.cat([tokens, self.linear(grounding)], dim=1))
        attended = self.attn("attn1", joined, joined, NO_HOOKS, info)[:, : tokens.shape[1]]
        tokens = tokens + self.alpha_attn.tanh() * attended
        return tokens + self.alpha_dense.tanh() * self.ff(self.norm2(tokens))


class Gligen(nn.Module):
    def __init__(self, config: GligenConfig):
        super().__init__()
        self.config = config
        self.position_net = PositionNet(config)
        self.fusers = nn.ModuleDict(
            {name: GatedAttention(width, config.out_width, config.heads) for name, width in config.fusers.items()}
        )

    def forward(self, tokens: Tensor, grounding: Tensor, info: BlockInfo) -> Tensor:
        """Tokens of a transformer layer, (B, T, D), with what the layer's gated attention adds, if it has one."""
        name = f"{info.kind}_{info.index}_{info.transformer}"
        return self.fusers[name](tokens, grounding, info) if name in self.fusers else tokens
