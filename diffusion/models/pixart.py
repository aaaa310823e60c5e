"""PixArt (arXiv:2310.00426, arXiv:2403.04692): a transformer that attends to the text across, modulated by one table
for all blocks and a small one for each."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffusion.models.dit import check_text, count
from diffusion.models.embeddings import sinusoidal
from diffusion.models.mmdit import TIME_WIDTH, Embedder, Mlp, PatchEmbed
from diffusion.models.modulation import gated, modulated
from diffusion.models.patches import PATCH, from_channels_last, padded
from diffusion.ops.attention import attention
from diffusion.ops.layers import Linear
from diffusion.ops.stored import compute_dtype
from diffusion.patches.hooks import NO_HOOKS, CallInfo, Control, ModelHooks, NetworkCall, Place, Streams

HEAD_WIDTH = 72
SPAN = 32.0
"""Rows and columns are counted so that every picture, whatever its size, is this high and wide."""


@dataclass(frozen=True, slots=True)
class PixArtConfig:
    in_channels: int
    out_channels: int
    """Twice those of the latent: the second half is a variance."""
    width: int
    depth: int
    mlp_width: int
    context_width: int
    null_tokens: int
    """Length of a learned text that stood for none in training; 0 where the file lacks it. It is not used."""

    @property
    def heads(self) -> int:
        return self.width // HEAD_WIDTH


def read_pixart_config(shapes: Mapping[str, tuple[int, ...]]) -> PixArtConfig | None:
    """The configuration of the network whose tensors have these names and shapes; None if they are none."""
    patches = shapes.get("x_embedder.proj.weight")
    if patches is None or "t_block.1.weight" not in shapes or "ar_embedder.mlp.0.weight" in shapes:
        return None
    return PixArtConfig(
        in_channels=patches[1],
        out_channels=shapes["final_layer.linear.weight"][0] // PATCH**2,
        width=patches[0],
        depth=count(shapes, "blocks."),
        mlp_width=shapes["blocks.0.mlp.fc1.weight"][0],
        context_width=shapes["y_embedder.y_proj.fc1.weight"][1],
        null_tokens=shapes.get("y_embedder.y_embedding", (0,))[0],
    )


class SelfAttention(nn.Module):
    def __init__(self, config: PixArtConfig):
        super().__init__()
        self.heads = config.heads
        self.qkv = Linear(config.width, 3 * config.width)
        self.proj = Linear(config.width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.qkv(x).chunk(3, dim=2)
        return self.proj(attention(query, key, value, self.heads))


class CrossAttention(nn.Module):
    def __init__(self, config: PixArtConfig):
        super().__init__()
        self.heads = config.heads
        self.q_linear = Linear(config.width, config.width)
        self.kv_linear = Linear(config.width, 2 * config.width)
        self.proj = Linear(config.width, config.width)

    def forward(self, x: Tensor, text: Tensor) -> Tensor:
        key, value = self.kv_linear(text).chunk(2, dim=2)
        return self.proj(attention(self.q_linear(x), key, value, self.heads))


class Block(nn.Module):
    def __init__(self, config: PixArtConfig):
        super().__init__()
        self.attn = SelfAttention(config)
        self.cross_attn = CrossAttention(config)
        self.mlp = Mlp(config.width, config.mlp_width)
        self.scale_shift_table = nn.Parameter(torch.zeros(6, config.width))

    def forward(self, x: Tensor, text: Tensor, condition: Tensor) -> Tensor:
        """x: (B, T, D). text: (B, S, D). condition: (B, 6, D), of the time."""
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = (self.scale_shift_table + condition).chunk(6, dim=1)
        x = gated(x, gate, self.attn(modulated(x, shift, scale)))
        x = x + self.cross_attn(x, text)
        return gated(x, mlp_gate, self.mlp(modulated(x, mlp_shift, mlp_scale)))


class FinalLayer(nn.Module):
    def __init__(self, config: PixArtConfig):
        super().__init__()
        self.linear = Linear(config.width, config.out_channels * PATCH**2)
        self.scale_shift_table = nn.Parameter(torch.zeros(2, config.width))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """x: (B, T, D). time: (B, D)."""
        shift, scale = (self.scale_shift_table + time[:, None]).chunk(2, dim=1)
        return self.linear(modulated(x, shift, scale))


class TextProjection(nn.Module):
    def __init__(self, context_width: int, width: int):
        super().__init__()
        self.fc1 = Linear(context_width, width)
        self.fc2 = Linear(width, width)

    def forward(self, text: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(text), approximate="tanh"))


class TextEmbedder(nn.Module):
    def __init__(self, config: PixArtConfig):
        super().__init__()
        self.y_proj = TextProjection(config.context_width, config.width)
        if config.null_tokens:
            self.y_embedding = nn.Parameter(torch.zeros(config.null_tokens, config.context_width))

    def forward(self, text: Tensor) -> Tensor:
        return self.y_proj(text)


class PixArt(nn.Module):
    def __init__(self, config: PixArtConfig):
        super().__init__()
        self.config = config
        self.x_embedder = PatchEmbed(config.in_channels, config.width)
        self.t_embedder = Embedder(TIME_WIDTH, config.width)
        self.t_block = nn.Sequential(nn.SiLU(), Linear(config.width, 6 * config.width))
        self.y_embedder = TextEmbedder(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.final_layer = FinalLayer(config)

    def forward(
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Tensor,
        y: Tensor | None = None,
        control: Control | None = None,
        hooks: ModelHooks = NO_HOOKS,
        info: CallInfo | None = None,
    ) -> Tensor:
        """Predicts the noise and a variance, in the precision of x; any height and width.

        x: (B, C, H, W). timesteps: (B,), 0…999. context: (B, T, D). Returns (B, 2 C, H, W).
        """
        check_text(self.config.context_width, None, context, y)
        info = info or CallInfo(x.shape, timesteps)
        return hooks.run(self._forward, NetworkCall(x, timesteps, context, y, control, hooks, info))

    def _forward(self, call: NetworkCall) -> Tensor:
        dtype = compute_dtype(self)
        latent = padded(call.x).to(dtype)
        height, width = latent.shape[2:]
        places = grid_sinusoids(height // PATCH, width // PATCH, self.config.width, latent.device)
        x = self.x_embedder(latent) + places.to(dtype)
        time = self.t_embedder(sinusoidal(call.timesteps, TIME_WIDTH).to(dtype))
        condition = self.t_block(time).view(len(time), 6, -1)
        text = self.y_embedder(call.context.to(dtype))
        streams = Streams(x)
        for i, block in enumerate(self.blocks):
            streams = call.hooks.run_block(
                Place("single", i), lambda s, b=block: Streams(b(s.image, text, condition)), streams, call.info
            )
        out = from_channels_last(self.final_layer(streams.image, time), height, width)
        return out[:, :, : call.x.shape[2], : call.x.shape[3]].to(call.x.dtype)


def grid_sinusoids(rows: int, columns: int, width: int, device: torch.device) -> Tensor:
    """Positions of patches as sines and cosines, (rows * columns, width): the column's, then the row's."""

    def along(count: int) -> Tensor:
        cosines, sines = sinusoidal(torch.arange(count, device=device) * (SPAN / count), width // 2).chunk(2, dim=1)
        return torch.cat([sines, cosines], dim=1)

    column, row = along(columns), along(rows)
    return torch.cat([column.repeat(rows, 1), row.repeat_interleave(columns, dim=0)], dim=1)
