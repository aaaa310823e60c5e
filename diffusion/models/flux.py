"""The transformer of Flux.1 (black-forest-labs/flux): blocks of two streams as in MMDiT, then blocks of one.

Positions turn queries and keys; an attention and an MLP run side by side in blocks of one stream (arXiv:2302.05442).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffusion.models.dit import FinalLayer, check_text, controlled, count, key_bias
from diffusion.models.embeddings import sinusoidal
from diffusion.models.modulation import EPSILON, gated, modulated
from diffusion.models.patches import PATCH, channels_first_tokens, from_channels_first, padded
from diffusion.models.rotary import Rotation, grid_positions, rotation
from diffusion.ops.attention import attend
from diffusion.ops.layers import Linear
from diffusion.ops.stored import compute_dtype
from diffusion.patches.hooks import NO_HOOKS, CallInfo, Control, Extra, ModelHooks, NetworkCall, Place, Streams, spread

TIME_WIDTH = 256
TIME_FACTOR = 1000.0
"""Times and guidance are embedded a thousandfold."""


@dataclass(frozen=True, slots=True)
class FluxConfig:
    in_channels: int
    """Latent channels and those joined to them."""
    out_channels: int
    width: int
    head_width: int
    mlp_width: int
    context_width: int
    vector_width: int | None
    double_blocks: int
    single_blocks: int
    guided: bool
    """Whether a guidance strength is one of the conditions (guidance distillation, arXiv:2210.03142)."""

    @property
    def heads(self) -> int:
        return self.width // self.head_width

    @property
    def axes(self) -> tuple[int, int, int]:
        """Features of a head that turn with the token's kind, its row and its column: (16, 56, 56) of 128."""
        kind = self.head_width // 8
        return kind, (self.head_width - kind) // 2, (self.head_width - kind) // 2


def read_flux_config(shapes: Mapping[str, tuple[int, ...]]) -> FluxConfig | None:
    """The configuration of the network whose tensors have these names and shapes; None if they are none."""
    first = "double_blocks.0.img_attn.norm.key_norm.scale"
    if first not in shapes or "img_in.weight" not in shapes or len(shapes["img_in.weight"]) != 2:
        return None
    width, features = shapes["img_in.weight"]
    vector = shapes.get("vector_in.in_layer.weight")
    return FluxConfig(
        in_channels=features // PATCH**2,
        out_channels=shapes["final_layer.linear.weight"][0] // PATCH**2,
        width=width,
        head_width=shapes[first][0],
        mlp_width=shapes["double_blocks.0.img_mlp.0.weight"][0],
        context_width=shapes["txt_in.weight"][1],
        vector_width=vector[1] if vector else None,
        double_blocks=count(shapes, "double_blocks."),
        single_blocks=count(shapes, "single_blocks."),
        guided="guidance_in.in_layer.weight" in shapes,
    )


class Embedder(nn.Module):
    """Two layers that make a vector a condition."""

    def __init__(self, in_width: int, width: int):
        super().__init__()
        self.in_layer = Linear(in_width, width)
        self.out_layer = Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.out_layer(F.silu(self.in_layer(x)))


class RMSNorm(nn.Module):
    """Root mean square norm (arXiv:1910.07467) whose weight is called scale."""

    def __init__(self, width: int):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.scale.shape, self.scale.to(x.dtype), eps=EPSILON)


class QKNorm(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.query_norm = RMSNorm(width)
        self.key_norm = RMSNorm(width)

    def forward(self, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
        return self.query_norm(query), self.key_norm(key)


class SelfAttention(nn.Module):
    """The projections of one stream; the attention itself is the block's."""

    def __init__(self, config: FluxConfig):
        super().__init__()
        self.head_width = config.head_width
        self.qkv = Linear(config.width, 3 * config.width)
        self.norm = QKNorm(config.head_width)
        self.proj = Linear(config.width, config.width)

    def heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T, D) to query, key and value, each (B, heads, T, D / heads)."""
        query, key, value = split_heads(self.qkv(x), self.head_width)
        return *self.norm(query, key), value


def split_heads(qkv: Tensor, head_width: int) -> tuple[Tensor, Tensor, Tensor]:
    """(B, T, 3 D) to three times (B, heads, T, D / heads)."""
    query, key, value = qkv.view(*qkv.shape[:2], 3, -1, head_width).permute(2, 0, 3, 1, 4)
    return query, key, value


class Modulation(nn.Module):
    """The condition as shifts, scales and gates."""

    def __init__(self, width: int, parts: int):
        super().__init__()
        self.parts = parts
        self.lin = Linear(width, parts * width)

    def forward(self, condition: Tensor) -> tuple[Tensor, ...]:
        """(B, D) to `parts` times (B, 1, D)."""
        return self.lin(F.silu(condition))[:, None].chunk(self.parts, dim=2)


def mlp(config: FluxConfig) -> nn.Sequential:
    return nn.Sequential(
        Linear(config.width, config.mlp_width), nn.GELU(approximate="tanh"), Linear(config.mlp_width, config.width)
    )


class DoubleStream(nn.Module):
    """A block of two streams, given its modulation: six parts each for the picture and the text."""

    def __init__(self, config: FluxConfig):
        super().__init__()
        self.img_attn = SelfAttention(config)
        self.img_mlp = mlp(config)
        self.txt_attn = SelfAttention(config)
        self.txt_mlp = mlp(config)

    def run(
        self,
        streams: Streams,
        image: Sequence[Tensor],
        text: Sequence[Tensor],
        rotate: Rotation,
        bias: Tensor | None = None,
    ) -> Streams:
        """image, text: shift, scale and gate of the attention, then of the MLP; each (B, 1, D).

        bias: see `dit.key_bias`.
        """
        assert streams.text is not None
        of_text = self.txt_attn.heads(modulated(streams.text, text[0], text[1]))
        of_image = self.img_attn.heads(modulated(streams.image, image[0], image[1]))
        query, key, value = (torch.cat(pair, dim=2) for pair in zip(of_text, of_image, strict=True))
        attended = attend(rotate(query), rotate(key), value, bias)
        tokens = streams.text.shape[1]
        image_out = gated(streams.image, image[2], self.img_attn.proj(attended[:, tokens:]))
        image_out = gated(image_out, image[5], self.img_mlp(modulated(image_out, image[3], image[4])))
        text_out = gated(streams.text, text[2], self.txt_attn.proj(attended[:, :tokens]))
        text_out = gated(text_out, text[5], self.txt_mlp(modulated(text_out, text[3], text[4])))
        return Streams(image_out, text_out)


class DoubleBlock(DoubleStream):
    """A block of two streams that makes its own modulation of the condition."""

    def __init__(self, config: FluxConfig):
        super().__init__(config)
        self.img_mod = Modulation(config.width, 6)
        self.txt_mod = Modulation(config.width, 6)

    def forward(self, streams: Streams, condition: Tensor, rotate: Rotation, bias: Tensor | None = None) -> Streams:
        return self.run(streams, self.img_mod(condition), self.txt_mod(condition), rotate, bias)


class SingleStream(nn.Module):
    """A block of one stream, given its modulation: shift, scale and gate."""

    def __init__(self, config: FluxConfig):
        super().__init__()
        self.widths = (3 * config.width, config.mlp_width)
        self.head_width = config.head_width
        self.linear1 = Linear(config.width, sum(self.widths))
        self.linear2 = Linear(config.width + config.mlp_width, config.width)
        self.norm = QKNorm(config.head_width)

    def run(self, x: Tensor, parts: Sequence[Tensor], rotate: Rotation, bias: Tensor | None = None) -> Tensor:
        """x: (B, T, D). parts: each (B, 1, D). bias: see `dit.key_bias`."""
        shift, scale, gate = parts
        qkv, inner = self.linear1(modulated(x, shift, scale)).split(self.widths, dim=2)
        query, key, value = split_heads(qkv, self.head_width)
        query, key = self.norm(query, key)
        attended = attend(rotate(query), rotate(key), value, bias)
        return gated(x, gate, self.linear2(torch.cat([attended, F.gelu(inner, approximate="tanh")], dim=2)))


class SingleBlock(SingleStream):
    """A block of one stream that makes its own modulation of the condition."""

    def __init__(self, config: FluxConfig):
        super().__init__(config)
        self.modulation = Modulation(config.width, 3)

    def forward(self, x: Tensor, condition: Tensor, rotate: Rotation, bias: Tensor | None = None) -> Tensor:
        return self.run(x, self.modulation(condition), rotate, bias)


class FluxBody(nn.Module):
    """All but what is made of the last tokens."""

    def __init__(self, config: FluxConfig):
        super().__init__()
        assert config.vector_width is not None
        self.config = config
        self.img_in = Linear(config.in_channels * PATCH**2, config.width)
        self.time_in = Embedder(TIME_WIDTH, config.width)
        self.vector_in = Embedder(config.vector_width, config.width)
        self.guidance_in = Embedder(TIME_WIDTH, config.width) if config.guided else None
        self.txt_in = Linear(config.context_width, config.width)
        self.double_blocks = nn.ModuleList(DoubleBlock(config) for _ in range(config.double_blocks))
        self.single_blocks = nn.ModuleList(SingleBlock(config) for _ in range(config.single_blocks))

    def condition(
        self, timesteps: Tensor, y: Tensor | None, guidance: Tensor | tuple[Tensor, ...] | None, dtype: torch.dtype
    ) -> Tensor:
        """Time (B,), pooled text (B, V) and guidance (B,) as one condition, (B, D); None tells no guidance."""
        assert y is not None
        condition = self.time_in(sinusoidal(timesteps * TIME_FACTOR, TIME_WIDTH).to(dtype))
        if self.guidance_in is not None and isinstance(guidance, Tensor):
            condition = condition + self.guidance_in(sinusoidal(guidance * TIME_FACTOR, TIME_WIDTH).to(dtype))
        return condition + self.vector_in(y.to(dtype))


class Flux(FluxBody):
    def __init__(self, config: FluxConfig):
        super().__init__(config)
        self.final_layer = FinalLayer(config.width, config.out_channels * PATCH**2)

    def forward(
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Tensor,
        y: Tensor | None = None,
        control: Control | None = None,
        hooks: ModelHooks = NO_HOOKS,
        info: CallInfo | None = None,
        **extra: Tensor | tuple[Tensor, ...],
    ) -> Tensor:
        """Predicts a velocity, in the precision of x; any height and width.

        x: (B, C, H, W). timesteps: (B,), 0…1. context: (B, T, D). y: pooled text, (B, V).
        extra: guidance (B,), and what `Pictures` knows. Returns (B, out_channels, H, W).
        """
        check_text(self.config.context_width, self.config.vector_width, context, y)
        info = info or CallInfo(x.shape, timesteps)
        return hooks.run(self._forward, NetworkCall(x, timesteps, context, y, control, hooks, info, extra))

    def _forward(self, call: NetworkCall) -> Tensor:
        dtype = compute_dtype(self)
        pictures = Pictures.of(call.x, call.extra)
        text = self.txt_in(call.context.to(dtype))
        condition = self.condition(call.timesteps, call.y, call.extra.get("guidance"), dtype)
        rotate = rotation(pictures.positions(text.shape[1]), self.config.axes)
        streams = Streams(self.img_in(pictures.tokens.to(dtype)), text)
        bias = key_bias(call.info.context_bias, pictures.tokens.shape[1], dtype)
        control = call.control or Control()
        double = spread(control.double, len(self.double_blocks))
        single = spread(control.single, len(self.single_blocks))

        for i, block in enumerate(self.double_blocks):
            streams = call.hooks.run_block(
                Place("double", i), lambda s, b=block: b(s, condition, rotate, bias), streams, call.info
            )
            streams = controlled(streams, double, i)
        assert streams.text is not None
        streams = Streams(torch.cat([streams.text, streams.image], dim=1))
        for i, block in enumerate(self.single_blocks):
            streams = call.hooks.run_block(
                Place("single", i), lambda s, b=block: Streams(b(s.image, condition, rotate, bias)), streams, call.info
            )
            streams = controlled(streams, single, i, start=text.shape[1])
        tokens = streams.image[:, text.shape[1] : text.shape[1] + pictures.own]
        return pictures.latent(self.final_layer(tokens, condition)).to(call.x.dtype)


@dataclass(frozen=True)
class Pictures:
    """The noisy latent, and latents it is to follow, as tokens with positions."""

    tokens: Tensor
    """(B, T, C p²)"""
    places: Tensor
    """(T, 3): which picture, row, column; counted in patches."""
    own: int
    """The first so many tokens are the noisy latent's."""
    size: tuple[int, int]
    """Of the noisy latent, padded to whole patches."""
    wanted: tuple[int, int]

    @classmethod
    def of(cls, x: Tensor, extra: Extra) -> "Pictures":
        """x: (B, C, H, W). `extra` may hold references, (B, C, h, w) in model scale each, and their places (B, 3)."""
        latent = padded(x)
        height, width = latent.shape[2:]
        tokens = [channels_first_tokens(latent)]
        places = [grid_positions(height // PATCH, width // PATCH, x.device)]
        references, where = extra.get("references", ()), extra.get("reference_places", ())
        for reference, place in zip(references, where, strict=True):
            reference = padded(reference)
            rows, columns = (side // PATCH for side in reference.shape[2:])
            first, top, left = (float(number) for number in place[0])
            tokens.append(channels_first_tokens(reference))
            places.append(grid_positions(rows, columns, x.device, first=first, top=top, left=left))
        own = tokens[0].shape[1]
        size, wanted = (height, width), (x.shape[2], x.shape[3])
        return cls(torch.cat(tokens, dim=1), torch.cat(places), own, size, wanted)

    def positions(self, text_tokens: int) -> Tensor:
        """With those of the text before them, which are all zero: (S + T, 3)."""
        return torch.cat([self.places.new_zeros(text_tokens, 3), self.places])

    def latent(self, tokens: Tensor) -> Tensor:
        """The noisy latent's tokens (B, own, C p²) as (B, C, H, W)."""
        return from_channels_first(tokens, *self.size)[:, :, : self.wanted[0], : self.wanted[1]]
