"""MMDiT, the transformer of Stable Diffusion 3 (arXiv:2403.03206), and MMDiT-X, that of 3.5 medium.

Text and picture are two streams with weights of their own that meet in one attention.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffusion.models.dit import FinalLayer, check_text, controlled, key_bias
from diffusion.models.embeddings import sinusoidal
from diffusion.models.modulation import EPSILON, gated, modulated, normed, shifted
from diffusion.models.patches import PATCH, channels_first_tokens, from_channels_last, padded
from diffusion.ops.attention import attend
from diffusion.ops.layers import Conv2d, Linear, linear
from diffusion.ops.stored import compute_dtype
from diffusion.patches.hooks import (
    NO_HOOKS,
    CallInfo,
    Control,
    ModelHooks,
    NetworkCall,
    Place,
    Streams,
    spread,
)

TIME_WIDTH = 256
HEAD_WIDTH = 64


@dataclass(frozen=True, slots=True)
class MMDiTConfig:
    in_channels: int
    out_channels: int
    width: int
    depth: int
    mlp_width: int
    context_width: int
    vector_width: int
    table_side: int
    """Patches along each side of the table of positions."""
    dual_layers: tuple[int, ...]
    """Blocks in which the picture also attends to itself alone."""
    qk_norm: bool

    @property
    def heads(self) -> int:
        return self.width // HEAD_WIDTH


def read_mmdit_config(shapes: Mapping[str, tuple[int, ...]]) -> MMDiTConfig | None:
    """The configuration of the MMDiT whose tensors have these names and shapes; None if they are none."""
    patches, table = shapes.get("x_embedder.proj.weight"), shapes.get("pos_embed")
    first = "joint_blocks.0.x_block."
    if patches is None or table is None or f"{first}attn.qkv.weight" not in shapes:
        return None
    layers = {int(m[1]) for name in shapes if (m := re.match(r"joint_blocks\.(\d+)\.", name))}
    second = re.compile(r"joint_blocks\.(\d+)\.x_block\.attn2\.qkv\.weight")
    dual = sorted(int(m[1]) for name in shapes if (m := second.fullmatch(name)))
    return MMDiTConfig(
        in_channels=patches[1],
        out_channels=shapes["final_layer.linear.weight"][0] // PATCH**2,
        width=patches[0],
        depth=len(layers),
        mlp_width=shapes[f"{first}mlp.fc1.weight"][0],
        context_width=shapes["context_embedder.weight"][1],
        vector_width=shapes["y_embedder.mlp.0.weight"][1],
        table_side=round(table[1] ** 0.5),
        dual_layers=tuple(dual),
        qk_norm=f"{first}attn.ln_q.weight" in shapes,
    )


class Embedder(nn.Module):
    """Two layers that make a vector a condition."""

    def __init__(self, in_width: int, width: int):
        super().__init__()
        self.mlp = nn.Sequential(Linear(in_width, width), nn.SiLU(), Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(x)


class PatchEmbed(nn.Module):
    """A convolution whose windows do not overlap: a matrix product of the patches, and computed as one."""

    def __init__(self, in_channels: int, width: int):
        super().__init__()
        self.proj = Conv2d(in_channels, width, PATCH, stride=PATCH)

    def forward(self, latent: Tensor) -> Tensor:
        """(B, C, H, W) to (B, H W / 4, D)."""
        weight = self.proj.weight_in(latent.dtype).flatten(1)
        return linear(channels_first_tokens(latent), weight, self.proj.bias)


class SelfAttention(nn.Module):
    """The projections of one stream; the attention itself is the block's."""

    def __init__(self, width: int, *, qk_norm: bool, projected: bool = True):
        super().__init__()
        self.qkv = Linear(width, 3 * width)
        self.proj = Linear(width, width) if projected else None
        self.ln_q = nn.RMSNorm(HEAD_WIDTH, eps=EPSILON) if qk_norm else nn.Identity()
        self.ln_k = nn.RMSNorm(HEAD_WIDTH, eps=EPSILON) if qk_norm else nn.Identity()

    def heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T, D) to query, key and value, each (B, heads, T, D / heads)."""
        query, key, value = self.qkv(x).view(*x.shape[:2], 3, -1, HEAD_WIDTH).permute(2, 0, 3, 1, 4)
        return self.ln_q(query), self.ln_k(key), value


class Mlp(nn.Module):
    def __init__(self, width: int, inner: int):
        super().__init__()
        self.fc1 = Linear(width, inner)
        self.fc2 = Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class StreamBlock(nn.Module):
    """One stream's share of a block."""

    def __init__(self, config: MMDiTConfig, *, dual: bool = False, last: bool = False):
        """last: the stream ends here; it only lends the other one its keys and values."""
        super().__init__()
        width = config.width
        self.attn = SelfAttention(width, qk_norm=config.qk_norm, projected=not last)
        self.attn2 = SelfAttention(width, qk_norm=config.qk_norm) if dual else None
        self.mlp = None if last else Mlp(width, config.mlp_width)
        self.parts = 2 if last else 9 if dual else 6
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), Linear(width, self.parts * width))

    def modulation(self, condition: Tensor) -> tuple[Tensor, ...]:
        """(B, D) to `parts` times (B, 1, D): shift, scale and gate of attention, MLP and second attention."""
        return self.adaLN_modulation(condition)[:, None].chunk(self.parts, dim=2)

    def after(self, x: Tensor, attended: Tensor, parts: tuple[Tensor, ...], extra: Tensor | None = None) -> Tensor:
        """x with what attention found, and the MLP. extra: what is added with it."""
        assert self.attn.proj is not None
        assert self.mlp is not None
        _, _, gate, mlp_shift, mlp_scale, mlp_gate = parts[:6]
        x = gated(x, gate, self.attn.proj(attended))
        if extra is not None:
            x = x + extra
        return gated(x, mlp_gate, self.mlp(modulated(x, mlp_shift, mlp_scale)))


class JointBlock(nn.Module):
    def __init__(self, config: MMDiTConfig, *, dual: bool = False, last: bool = False):
        super().__init__()
        self.context_block = StreamBlock(config, last=last)
        self.x_block = StreamBlock(config, dual=dual)
        self.last = last

    def forward(self, streams: Streams, condition: Tensor, bias: Tensor | None = None) -> Streams:
        """condition: (B, D). bias: see `dit.key_bias`."""
        image, text = streams.image, streams.text
        assert text is not None
        image_parts, text_parts = self.x_block.modulation(condition), self.context_block.modulation(condition)
        image_normed = normed(image)
        of_text = self.context_block.attn.heads(modulated(text, *text_parts[:2]))
        of_image = self.x_block.attn.heads(shifted(image_normed, *image_parts[:2]))
        query, key, value = (torch.cat(pair, dim=2) for pair in zip(of_text, of_image, strict=True))
        attended = attend(query, key, value, bias)
        of_text, of_image = attended[:, : text.shape[1]], attended[:, text.shape[1] :]
        extra = None
        if self.x_block.attn2 is not None and self.x_block.attn2.proj is not None:
            shift, scale, gate = image_parts[6:]
            alone = attend(*self.x_block.attn2.heads(shifted(image_normed, shift, scale)))
            extra = gate * self.x_block.attn2.proj(alone)
        image = self.x_block.after(image, of_image, image_parts, extra)
        return Streams(image, text if self.last else self.context_block.after(text, of_text, text_parts))


class MMDiT(nn.Module):
    def __init__(self, config: MMDiTConfig):
        super().__init__()
        self.config = config
        self.x_embedder = PatchEmbed(config.in_channels, config.width)
        self.t_embedder = Embedder(TIME_WIDTH, config.width)
        self.y_embedder = Embedder(config.vector_width, config.width)
        self.context_embedder = Linear(config.context_width, config.width)
        self.pos_embed = nn.Parameter(torch.zeros(1, config.table_side**2, config.width), requires_grad=False)
        last = config.depth - 1
        self.joint_blocks = nn.ModuleList(
            JointBlock(config, dual=i in config.dual_layers, last=i == last) for i in range(config.depth)
        )
        self.final_layer = FinalLayer(config.width, PATCH**2 * config.out_channels)

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

        x: (B, C, H, W). timesteps: (B,), 0…1000. context: (B, T, D). y: pooled text, (B, V). Returns (B, C, H, W).
        """
        check_text(self.config.context_width, self.config.vector_width, context, y)
        info = info or CallInfo(x.shape, timesteps)
        return hooks.run(self._forward, NetworkCall(x, timesteps, context, y, control, hooks, info))

    def _forward(self, call: NetworkCall) -> Tensor:
        dtype = compute_dtype(self)
        latent = padded(call.x).to(dtype)
        height, width = latent.shape[2:]
        image = self.x_embedder(latent) + positions(self.pos_embed, height, width).to(dtype)
        condition = embed(self.t_embedder, self.y_embedder, call.timesteps, call.y, dtype)
        streams = Streams(image, self.context_embedder(call.context.to(dtype)))
        bias = key_bias(call.info.context_bias, image.shape[1], dtype)
        # The last block is for reading out: control networks do not reach it.
        control = (*spread(call.control.double, len(self.joint_blocks))[:-1], None) if call.control else ()
        for i, block in enumerate(self.joint_blocks):
            streams = call.hooks.run_block(
                Place("double", i), lambda s, b=block: b(s, condition, bias), streams, call.info
            )
            streams = controlled(streams, control, i)
        out = from_channels_last(self.final_layer(streams.image, condition), height, width)
        return out[:, :, : call.x.shape[2], : call.x.shape[3]].to(call.x.dtype)


def embed(time: Embedder, vector: Embedder, timesteps: Tensor, y: Tensor | None, dtype: torch.dtype) -> Tensor:
    """Timesteps (B,) and pooled text (B, V) as one condition, (B, D)."""
    assert y is not None
    return time(sinusoidal(timesteps, TIME_WIDTH).to(dtype)) + vector(y.to(dtype))


def positions(table: Tensor, height: int, width: int) -> Tensor:
    """The middle of a square table (1, side², D), for a latent of this size: (1, T, D)."""
    side, rows, columns = round(table.shape[1] ** 0.5), height // PATCH, width // PATCH
    if rows > side or columns > side:
        raise ValueError(
            f"This network knows pictures of up to {side * PATCH * 8} pixels a side, not {width * 8}x{height * 8}."
        )
    top, left = (side - rows) // 2, (side - columns) // 2
    square = table.view(1, side, side, -1)
    return square[:, top : top + rows, left : left + columns].flatten(1, 2)
