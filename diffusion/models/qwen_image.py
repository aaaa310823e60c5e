"""The transformer of Qwen-Image (arXiv:2508.02324): blocks of two streams.

Positions are counted from the picture's middle, and those of the text go on along the diagonal beyond its edge.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from diffusion.models.dit import check_text, controlled, count, key_bias
from diffusion.models.embeddings import sinusoidal
from diffusion.models.mmdit import TIME_WIDTH
from diffusion.models.modulation import EPSILON, gated, modulated
from diffusion.models.patches import PATCH, channels_first_tokens, from_channels_first, padded
from diffusion.models.rotary import Rotation, grid_positions, rotation
from diffusion.ops.attention import attend
from diffusion.ops.layers import Linear
from diffusion.ops.stored import compute_dtype
from diffusion.patches.hooks import NO_HOOKS, CallInfo, Control, ModelHooks, NetworkCall, Place, Streams, spread

TIME_FACTOR = 1000.0


@dataclass(frozen=True, slots=True)
class QwenImageConfig:
    in_channels: int
    out_channels: int
    width: int
    depth: int
    head_width: int
    mlp_width: int
    context_width: int

    @property
    def axes(self) -> tuple[int, int, int]:
        """Features of a head that turn with the picture's number, row and column: (16, 56, 56) of 128."""
        first = self.head_width // 8
        return first, (self.head_width - first) // 2, (self.head_width - first) // 2


def read_qwen_image_config(shapes: Mapping[str, tuple[int, ...]]) -> QwenImageConfig | None:
    """The configuration of the network whose tensors have these names and shapes; None if they are none."""
    if "txt_norm.weight" not in shapes or "transformer_blocks.0.img_mod.1.weight" not in shapes:
        return None
    width, features = shapes["img_in.weight"]
    return QwenImageConfig(
        in_channels=features // PATCH**2,
        out_channels=shapes["proj_out.weight"][0] // PATCH**2,
        width=width,
        depth=count(shapes, "transformer_blocks."),
        head_width=shapes["transformer_blocks.0.attn.norm_q.weight"][0],
        mlp_width=shapes["transformer_blocks.0.img_mlp.net.0.proj.weight"][0],
        context_width=shapes["txt_in.weight"][1],
    )


class TimeEmbedder(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.timestep_embedder = nn.Module()
        self.timestep_embedder.add_module("linear_1", Linear(TIME_WIDTH, width))
        self.timestep_embedder.add_module("linear_2", Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        first, second = (self.timestep_embedder.get_submodule(f"linear_{i}") for i in (1, 2))
        return second(nn.functional.silu(first(x)))


class Attention(nn.Module):
    """The projections of both streams; added ones are the text's."""

    def __init__(self, config: QwenImageConfig):
        super().__init__()
        width, self.head_width = config.width, config.head_width
        self.to_q, self.to_k, self.to_v = (Linear(width, width) for _ in range(3))
        self.add_q_proj, self.add_k_proj, self.add_v_proj = (Linear(width, width) for _ in range(3))
        self.to_out = nn.Sequential(Linear(width, width))
        self.to_add_out = Linear(width, width)
        self.norm_q, self.norm_k = (nn.RMSNorm(self.head_width, eps=EPSILON) for _ in range(2))
        self.norm_added_q, self.norm_added_k = (nn.RMSNorm(self.head_width, eps=EPSILON) for _ in range(2))

    def forward(self, image: Tensor, text: Tensor, rotate: Rotation, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """image: (B, T, D), text: (B, S, D). rotate: of the text's tokens, then the picture's."""
        queries = self.norm_added_q(self._split(self.add_q_proj(text))), self.norm_q(self._split(self.to_q(image)))
        keys = self.norm_added_k(self._split(self.add_k_proj(text))), self.norm_k(self._split(self.to_k(image)))
        values = self._split(self.add_v_proj(text)), self._split(self.to_v(image))
        query, key, value = (torch.cat(pair, dim=2) for pair in (queries, keys, values))
        attended = attend(rotate(query), rotate(key), value, bias)
        tokens = text.shape[1]
        return self.to_out(attended[:, tokens:]), self.to_add_out(attended[:, :tokens])

    def _split(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, heads, T, D / heads)."""
        return x.view(*x.shape[:2], -1, self.head_width).transpose(1, 2)


class Up(nn.Module):
    """A layer and its activation, as diffusers names them."""

    def __init__(self, width: int, inner: int):
        super().__init__()
        self.proj = Linear(width, inner)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.gelu(self.proj(x), approximate="tanh")


class FeedForward(nn.Module):
    def __init__(self, width: int, inner: int):
        super().__init__()
        # net.1 was dropout in training.
        self.net = nn.Sequential(Up(width, inner), nn.Identity(), Linear(inner, width))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class Block(nn.Module):
    def __init__(self, config: QwenImageConfig):
        super().__init__()
        width = config.width
        self.img_mod = nn.Sequential(nn.SiLU(), Linear(width, 6 * width))
        self.txt_mod = nn.Sequential(nn.SiLU(), Linear(width, 6 * width))
        self.attn = Attention(config)
        self.img_mlp = FeedForward(width, config.mlp_width)
        self.txt_mlp = FeedForward(width, config.mlp_width)

    def forward(self, streams: Streams, condition: Tensor, rotate: Rotation, bias: Tensor | None) -> Streams:
        """condition: (B, D). bias: see `dit.key_bias`."""
        image, text = streams.image, streams.text
        assert text is not None
        of_image = self.img_mod(condition)[:, None].chunk(6, dim=2)
        of_text = self.txt_mod(condition)[:, None].chunk(6, dim=2)
        found, found_text = self.attn(
            modulated(image, of_image[0], of_image[1]), modulated(text, of_text[0], of_text[1]), rotate, bias
        )
        image, text = gated(image, of_image[2], found), gated(text, of_text[2], found_text)
        image = gated(image, of_image[5], self.img_mlp(modulated(image, of_image[3], of_image[4])))
        text = gated(text, of_text[5], self.txt_mlp(modulated(text, of_text[3], of_text[4])))
        return Streams(image, text)


class LastNorm(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.linear = Linear(width, 2 * width)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.linear(nn.functional.silu(condition))[:, None].chunk(2, dim=2)
        return modulated(x, shift, scale)


class QwenImage(nn.Module):
    def __init__(self, config: QwenImageConfig):
        super().__init__()
        self.config = config
        self.img_in = Linear(config.in_channels * PATCH**2, config.width)
        self.txt_norm = nn.RMSNorm(config.context_width, eps=EPSILON)
        self.txt_in = Linear(config.context_width, config.width)
        self.time_text_embed = TimeEmbedder(config.width)
        self.transformer_blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm_out = LastNorm(config.width)
        self.proj_out = Linear(config.width, config.out_channels * PATCH**2)

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

        x: (B, C, H, W). timesteps: (B,), 0…1. context: (B, T, D). Returns (B, out_channels, H, W).
        """
        check_text(self.config.context_width, None, context, y)
        info = info or CallInfo(x.shape, timesteps)
        return hooks.run(self._forward, NetworkCall(x, timesteps, context, y, control, hooks, info))

    def _forward(self, call: NetworkCall) -> Tensor:
        dtype = compute_dtype(self)
        latent = padded(call.x)
        height, width = latent.shape[2:]
        image = self.img_in(channels_first_tokens(latent).to(dtype))
        text = self.txt_in(self.txt_norm(call.context.to(dtype)))
        condition = self.time_text_embed(sinusoidal(call.timesteps * TIME_FACTOR, TIME_WIDTH).to(dtype))
        places = positions(height // PATCH, width // PATCH, text.shape[1], latent.device)
        rotate = rotation(places, self.config.axes)
        bias = key_bias(call.info.context_bias, image.shape[1], dtype)
        residuals = spread((call.control or Control()).double, self.config.depth)
        streams = Streams(image, text)
        for i, block in enumerate(self.transformer_blocks):
            streams = call.hooks.run_block(
                Place("double", i), lambda s, b=block: b(s, condition, rotate, bias), streams, call.info
            )
            streams = controlled(streams, residuals, i)
        out = from_channels_first(self.proj_out(self.norm_out(streams.image, condition)), height, width)
        return out[:, :, : call.x.shape[2], : call.x.shape[3]].to(call.x.dtype)


def positions(rows: int, columns: int, text_tokens: int, device: torch.device) -> Tensor:
    """(S + T, 3): of the text's tokens, then of the picture's patches."""
    picture = grid_positions(rows, columns, device, top=rows // 2 - rows, left=columns // 2 - columns)
    text = torch.arange(text_tokens, device=device, dtype=torch.float32) + max(rows // 2, columns // 2)
    return torch.cat([text[:, None].expand(-1, 3), picture])
