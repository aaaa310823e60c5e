"""The transformer of Z-Image (arXiv:2511.22699): Lumina 2's layers, on sequences filled up with learned tokens."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from diffusion.models.dit import check_text, key_bias
from diffusion.models.lumina2 import EPSILON, Block, FinalLayer, TimeEmbedder, body_sizes
from diffusion.models.patches import PATCH, channels_last_tokens, from_channels_last, padded
from diffusion.models.rotary import grid_positions, rotation
from diffusion.ops.layers import Linear
from diffusion.ops.stored import compute_dtype
from diffusion.patches.hooks import NO_HOOKS, CallInfo, Control, ModelHooks, NetworkCall, Place, Streams

MULTIPLE = 32
"""Text and picture are each filled up to a multiple of so many tokens."""
THETA = 256.0
TIME_FACTOR = 1000.0


@dataclass(frozen=True, slots=True)
class ZImageConfig:
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
    time_inner: int

    @property
    def axes(self) -> tuple[int, int, int]:
        """Features of a head that turn with place in the text, row and column: (32, 48, 48) of 128."""
        first = self.head_width // 4
        return first, (self.head_width - first) // 2, (self.head_width - first) // 2


def read_z_image_config(shapes: Mapping[str, tuple[int, ...]]) -> ZImageConfig | None:
    """The configuration of the network whose tensors have these names and shapes; None if they are none."""
    if (
        "x_pad_token" not in shapes
        or "x_embedder.weight" not in shapes
        or "layers.0.adaLN_modulation.0.weight" not in shapes
    ):
        return None
    return ZImageConfig(**body_sizes(shapes), time_inner=shapes["t_embedder.mlp.0.weight"][0])


class ZImage(nn.Module):
    def __init__(self, config: ZImageConfig):
        super().__init__()
        self.config = config
        width = config.width

        def block(*, timed: bool = True) -> Block:
            modulation = nn.Sequential(Linear(config.time_width, 4 * width)) if timed else None
            return Block(width, config.head_width, config.heads, config.key_heads, config.mlp_width, modulation)

        self.x_embedder = Linear(config.in_channels * PATCH**2, width)
        self.t_embedder = TimeEmbedder(config.time_inner, config.time_width)
        self.cap_embedder = nn.Sequential(
            nn.RMSNorm(config.context_width, eps=EPSILON), Linear(config.context_width, width)
        )
        self.x_pad_token = nn.Parameter(torch.zeros(1, width))
        self.cap_pad_token = nn.Parameter(torch.zeros(1, width))
        self.noise_refiner = nn.ModuleList(block() for _ in range(config.refiners))
        self.context_refiner = nn.ModuleList(block(timed=False) for _ in range(config.refiners))
        self.layers = nn.ModuleList(block() for _ in range(config.depth))
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
        time = self.t_embedder((1 - call.timesteps) * TIME_FACTOR, dtype)
        text = filled(self.cap_embedder(call.context.to(dtype)), self.cap_pad_token)
        tokens = self.x_embedder(channels_last_tokens(latent).to(dtype))
        own, image = tokens.shape[1], filled(tokens, self.x_pad_token)

        text_places = torch.zeros(text.shape[1], 3, device=latent.device)
        text_places[:, 0] = torch.arange(1, text.shape[1] + 1)
        places = grid_positions(height // PATCH, width // PATCH, latent.device, first=text.shape[1] + 1)
        image_places = torch.cat([places, places.new_zeros(image.shape[1] - own, 3)])
        text_rotation, image_rotation = rotation(text_places, axes, THETA), rotation(image_places, axes, THETA)
        both = rotation(torch.cat([image_places, text_places]), axes, THETA)
        bias = call.info.context_bias
        if bias is not None:
            bias = torch.nn.functional.pad(bias, (0, text.shape[1] - bias.shape[1]))
        for block in self.context_refiner:
            text = block(text, text_rotation, bias=key_bias(bias, 0, dtype))
        for block in self.noise_refiner:
            image = block(image, image_rotation, time)
        # The picture comes before the text here.
        joint_bias = None if bias is None else key_bias(bias, image.shape[1], dtype)
        if joint_bias is not None:
            joint_bias = joint_bias.roll(image.shape[1], dims=-1)
        streams = Streams(torch.cat([image, text], dim=1))
        for i, block in enumerate(self.layers):
            streams = call.hooks.run_block(
                Place("single", i), lambda s, b=block: Streams(b(s.image, both, time, joint_bias)), streams, call.info
            )
        out = from_channels_last(self.final_layer(streams.image[:, :own], time), height, width)
        return -out[:, :, : call.x.shape[2], : call.x.shape[3]].to(call.x.dtype)


def filled(tokens: Tensor, token: Tensor) -> Tensor:
    """(B, T, D) with a learned token (1, D) repeated at the end, up to a multiple of MULTIPLE; it takes part."""
    missing = -tokens.shape[1] % MULTIPLE
    return torch.cat([tokens, token.to(tokens).expand(len(tokens), missing, -1)], dim=1) if missing else tokens
