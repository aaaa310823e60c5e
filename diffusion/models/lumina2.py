"""The transformer of Lumina-Image 2.0 (arXiv:2503.21758): text and picture are refined apart, then run as one sequence.

Norms before and after each layer, heads of keys shared by several of queries (arXiv:2305.13245), gates through tanh.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffusion.models.dit import check_text, count, key_bias
from diffusion.models.embeddings import sinusoidal
from diffusion.models.mmdit import TIME_WIDTH
from diffusion.models.modulation import normed
from diffusion.models.patches import PATCH, channels_last_tokens, from_channels_last, padded
from diffusion.models.rotary import Rotation, grid_positions, rotation
from diffusion.ops.attention import attend
from diffusion.ops.layers import Linear
from diffusion.ops.stored import compute_dtype
from diffusion.patches.hooks import NO_HOOKS, CallInfo, Control, ModelHooks, NetworkCall, Place, Streams

EPSILON = 1e-5


@dataclass(frozen=True, slots=True)
class Lumina2Config:
    in_channels: int
    width: int
    depth: int
    refiners: int
    head_width: int
    heads: int
    key_heads: int
    mlp_width: int
    context_width: int
    time_width: int
    """Of the embedded time, from which blocks are modulated."""
    unused_norm: bool
    """Whether the file has a last norm, which nothing uses."""

    @property
    def axes(self) -> tuple[int, int, int]:
        """Features of a head that turn with place in the text, row and column."""
        third = self.head_width // 3
        return third, third, third


def read_lumina2_config(shapes: Mapping[str, tuple[int, ...]]) -> Lumina2Config | None:
    """The configuration of the network whose tensors have these names and shapes; None if they are none."""
    first = shapes.get("x_embedder.weight")
    if first is None or "layers.0.adaLN_modulation.1.weight" not in shapes or "cap_embedder.1.weight" not in shapes:
        return None
    return Lumina2Config(**body_sizes(shapes), unused_norm="norm_final.weight" in shapes)


def body_sizes(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """What this network and its relatives read off their shapes."""
    width, features = shapes["x_embedder.weight"]
    head_width = shapes["layers.0.attention.q_norm.weight"][0]
    rows = shapes["layers.0.attention.qkv.weight"][0]
    return {
        "in_channels": features // PATCH**2,
        "width": width,
        "depth": count(shapes, "layers."),
        "refiners": count(shapes, "noise_refiner."),
        "head_width": head_width,
        "heads": width // head_width,
        "key_heads": (rows - width) // 2 // head_width,
        "mlp_width": shapes["layers.0.feed_forward.w1.weight"][0],
        "context_width": shapes["cap_embedder.1.weight"][1],
        "time_width": shapes["t_embedder.mlp.2.weight"][0],
    }


class TimeEmbedder(nn.Module):
    def __init__(self, inner: int, width: int):
        super().__init__()
        self.mlp = nn.Sequential(Linear(TIME_WIDTH, inner), nn.SiLU(), Linear(inner, width))

    def forward(self, times: Tensor, dtype: torch.dtype) -> Tensor:
        """(B,) to (B, width)."""
        return self.mlp(sinusoidal(times, TIME_WIDTH).to(dtype))


class Attention(nn.Module):
    def __init__(self, width: int, head_width: int, heads: int, key_heads: int):
        super().__init__()
        self.split = (heads, key_heads, key_heads)
        self.head_width = head_width
        self.qkv = Linear(width, sum(self.split) * head_width, bias=False)
        self.out = Linear(width, width, bias=False)
        self.q_norm = nn.RMSNorm(head_width, eps=EPSILON)
        self.k_norm = nn.RMSNorm(head_width, eps=EPSILON)

    def forward(self, x: Tensor, rotate: Rotation, bias: Tensor | None) -> Tensor:
        heads = self.qkv(x).view(*x.shape[:2], -1, self.head_width).transpose(1, 2)
        query, key, value = heads.split(self.split, dim=1)
        query, key = rotate(self.q_norm(query)), rotate(self.k_norm(key))
        repeats = self.split[0] // self.split[1]
        key, value = (part.repeat_interleave(repeats, dim=1) if repeats > 1 else part for part in (key, value))
        return self.out(attend(query, key, value, bias))


class FeedForward(nn.Module):
    """SwiGLU (arXiv:2002.05202)."""

    def __init__(self, width: int, inner: int):
        super().__init__()
        self.w1 = Linear(width, inner, bias=False)
        self.w2 = Linear(inner, width, bias=False)
        self.w3 = Linear(width, inner, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class Block(nn.Module):
    """A layer, and what makes its scales and gates of the time; None for layers that do not know the time."""

    def __init__(
        self, width: int, head_width: int, heads: int, key_heads: int, mlp_width: int, modulation: nn.Sequential | None
    ):
        super().__init__()
        self.attention = Attention(width, head_width, heads, key_heads)
        self.feed_forward = FeedForward(width, mlp_width)
        self.attention_norm1 = nn.RMSNorm(width, eps=EPSILON)
        self.attention_norm2 = nn.RMSNorm(width, eps=EPSILON)
        self.ffn_norm1 = nn.RMSNorm(width, eps=EPSILON)
        self.ffn_norm2 = nn.RMSNorm(width, eps=EPSILON)
        self.adaLN_modulation = modulation

    def forward(self, x: Tensor, rotate: Rotation, time: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        """x: (B, T, D). time: (B, time_width). bias: see `dit.key_bias`."""
        if self.adaLN_modulation is None:
            x = x + self.attention_norm2(self.attention(self.attention_norm1(x), rotate, bias))
            return x + self.ffn_norm2(self.feed_forward(self.ffn_norm1(x)))
        scale, gate, mlp_scale, mlp_gate = self.adaLN_modulation(time)[:, None].chunk(4, dim=2)
        attended = self.attention(self.attention_norm1(x) * (1 + scale), rotate, bias)
        x = x + gate.tanh() * self.attention_norm2(attended)
        return x + mlp_gate.tanh() * self.ffn_norm2(self.feed_forward(self.ffn_norm1(x) * (1 + mlp_scale)))


class FinalLayer(nn.Module):
    def __init__(self, width: int, time_width: int, out_features: int):
        super().__init__()
        self.linear = Linear(width, out_features)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), Linear(time_width, width))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        return self.linear(normed(x) * (1 + self.adaLN_modulation(time)[:, None]))


class Lumina2(nn.Module):
    def __init__(self, config: Lumina2Config):
        super().__init__()
        self.config = config
        width = config.width

        def block(*, timed: bool = True) -> Block:
            modulation = nn.Sequential(nn.SiLU(), Linear(config.time_width, 4 * width)) if timed else None
            return Block(width, config.head_width, config.heads, config.key_heads, config.mlp_width, modulation)

        self.x_embedder = Linear(config.in_channels * PATCH**2, width)
        self.t_embedder = TimeEmbedder(config.time_width, config.time_width)
        self.cap_embedder = nn.Sequential(
            nn.RMSNorm(config.context_width, eps=EPSILON), Linear(config.context_width, width)
        )
        self.noise_refiner = nn.ModuleList(block() for _ in range(config.refiners))
        self.context_refiner = nn.ModuleList(block(timed=False) for _ in range(config.refiners))
        self.layers = nn.ModuleList(block() for _ in range(config.depth))
        if config.unused_norm:
            self.norm_final = nn.RMSNorm(width, eps=EPSILON)
        self.final_layer = FinalLayer(width, config.time_width, config.in_channels * PATCH**2)

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
        """Predicts a velocity, in the precision of x; any height and width.

        x: (B, C, H, W). timesteps: (B,), 0…1. context: (B, T, D). Returns (B, C, H, W).
        """
        check_text(self.config.context_width, None, context, y)
        info = info or CallInfo(x.shape, timesteps)
        return hooks.run(self._forward, NetworkCall(x, timesteps, context, y, control, hooks, info))

    def _forward(self, call: NetworkCall) -> Tensor:
        dtype, axes = compute_dtype(self), self.config.axes
        latent = padded(call.x)
        height, width = latent.shape[2:]
        # Its clock runs the other way: 0 is noise, 1 the picture; and so does its velocity.
        time = self.t_embedder(1 - call.timesteps, dtype)
        text = self.cap_embedder(call.context.to(dtype))
        image = self.x_embedder(channels_last_tokens(latent).to(dtype))
        length = text.shape[1]
        text_places = torch.zeros(length, 3, device=latent.device)
        text_places[:, 0] = torch.arange(length)
        image_places = grid_positions(height // PATCH, width // PATCH, latent.device, first=length)
        text_rotation, image_rotation = rotation(text_places, axes), rotation(image_places, axes)
        bias = call.info.context_bias
        for block in self.context_refiner:
            text = block(text, text_rotation, bias=key_bias(bias, 0, dtype))
        for block in self.noise_refiner:
            image = block(image, image_rotation, time)
        both = rotation(torch.cat([text_places, image_places]), axes)
        joint_bias = key_bias(bias, image.shape[1], dtype)
        streams = Streams(torch.cat([text, image], dim=1))
        for i, block in enumerate(self.layers):
            streams = call.hooks.run_block(
                Place("single", i), lambda s, b=block: Streams(b(s.image, both, time, joint_bias)), streams, call.info
            )
        out = from_channels_last(self.final_layer(streams.image[:, length:], time), height, width)
        return -out[:, :, : call.x.shape[2], : call.x.shape[3]].to(call.x.dtype)
