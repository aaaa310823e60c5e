"""The transformer of AuraFlow (fal): a few blocks of two streams, many of one, without biases, with register tokens."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffusion.models.dit import check_text, controlled, count, key_bias
from diffusion.models.embeddings import sinusoidal
from diffusion.models.mmdit import TIME_WIDTH, Embedder
from diffusion.models.modulation import shifted
from diffusion.models.patches import PATCH, channels_first_tokens, from_channels_last, padded
from diffusion.ops.attention import attend
from diffusion.ops.layers import Linear
from diffusion.ops.stored import compute_dtype
from diffusion.patches.hooks import NO_HOOKS, CallInfo, Control, ModelHooks, NetworkCall, Place, Streams, spread

HEAD_WIDTH = 256
TIME_FACTOR = 1000.0
EPSILON = 1e-5


@dataclass(frozen=True, slots=True)
class AuraFlowConfig:
    in_channels: int
    width: int
    mlp_width: int
    context_width: int
    double_layers: int
    single_layers: int
    table_side: int
    """Patches along each side of the table of positions."""
    registers: int
    """Learned tokens before the text (arXiv:2309.16588)."""


def read_auraflow_config(shapes: Mapping[str, tuple[int, ...]]) -> AuraFlowConfig | None:
    """The configuration of the network whose tensors have these names and shapes; None if they are none."""
    if "double_layers.0.attn.w1q.weight" not in shapes:
        return None
    width, features = shapes["init_x_linear.weight"]
    return AuraFlowConfig(
        in_channels=features // PATCH**2,
        width=width,
        mlp_width=shapes["double_layers.0.mlpX.c_fc1.weight"][0],
        context_width=shapes["cond_seq_linear.weight"][1],
        double_layers=count(shapes, "double_layers."),
        single_layers=count(shapes, "single_layers."),
        table_side=round(shapes["positional_encoding"][1] ** 0.5),
        registers=shapes["register_tokens"][1],
    )


class FeedForward(nn.Module):
    """SwiGLU (arXiv:2002.05202)."""

    def __init__(self, config: AuraFlowConfig):
        super().__init__()
        self.c_fc1 = Linear(config.width, config.mlp_width, bias=False)
        self.c_fc2 = Linear(config.width, config.mlp_width, bias=False)
        self.c_proj = Linear(config.mlp_width, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(F.silu(self.c_fc1(x)) * self.c_fc2(x))


class Attention(nn.Module):
    """Projections of the text (w1), or of both streams once they are one, and of the picture (w2)."""

    def __init__(self, width: int, streams: int):
        super().__init__()
        for stream in range(1, streams + 1):
            for part in "qkvo":
                self.add_module(f"w{stream}{part}", Linear(width, width, bias=False))

    def heads(self, x: Tensor, stream: int) -> tuple[Tensor, Tensor, Tensor]:
        """Query, key and value of a stream, (B, heads, T, D / heads); queries and keys are normed without weights."""
        query, key, value = (
            self.get_submodule(f"w{stream}{part}")(x).view(*x.shape[:2], -1, HEAD_WIDTH).transpose(1, 2)
            for part in "qkv"
        )
        return _normed(query), _normed(key), value

    def out(self, attended: Tensor, stream: int) -> Tensor:
        return self.get_submodule(f"w{stream}o")(attended)


def modulation(width: int, parts: int) -> nn.Sequential:
    return nn.Sequential(nn.SiLU(), Linear(width, parts * width, bias=False))


def _normed(x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], eps=EPSILON)


def _after(x: Tensor, attended: Tensor, parts: tuple[Tensor, ...], mlp: nn.Module) -> Tensor:
    """What a block makes of a stream: the MLP sees what attention found, and alone is added to the stream."""
    _, _, gate, shift, scale, mlp_gate = parts
    return x + mlp_gate * mlp(shifted(_normed(x + gate * attended), shift, scale))


class DoubleLayer(nn.Module):
    def __init__(self, config: AuraFlowConfig):
        super().__init__()
        self.attn = Attention(config.width, streams=2)
        self.mlpC = FeedForward(config)
        self.mlpX = FeedForward(config)
        self.modC = modulation(config.width, 6)
        self.modX = modulation(config.width, 6)

    def forward(self, streams: Streams, condition: Tensor, bias: Tensor | None) -> Streams:
        """condition: (B, D). bias: see `dit.key_bias`."""
        image, text = streams.image, streams.text
        assert text is not None
        of_image = self.modX(condition)[:, None].chunk(6, dim=2)
        of_text = self.modC(condition)[:, None].chunk(6, dim=2)
        heads = zip(
            self.attn.heads(shifted(_normed(text), of_text[0], of_text[1]), 1),
            self.attn.heads(shifted(_normed(image), of_image[0], of_image[1]), 2),
            strict=True,
        )
        query, key, value = (torch.cat(pair, dim=2) for pair in heads)
        attended = attend(query, key, value, bias)
        tokens = text.shape[1]
        return Streams(
            _after(image, self.attn.out(attended[:, tokens:], 2), of_image, self.mlpX),
            _after(text, self.attn.out(attended[:, :tokens], 1), of_text, self.mlpC),
        )


class SingleLayer(nn.Module):
    def __init__(self, config: AuraFlowConfig):
        super().__init__()
        self.attn = Attention(config.width, streams=1)
        self.mlp = FeedForward(config)
        self.modCX = modulation(config.width, 6)

    def forward(self, x: Tensor, condition: Tensor, bias: Tensor | None) -> Tensor:
        """x: (B, T, D). condition: (B, D). bias: see `dit.key_bias`."""
        parts = self.modCX(condition)[:, None].chunk(6, dim=2)
        query, key, value = self.attn.heads(shifted(_normed(x), parts[0], parts[1]), 1)
        return _after(x, self.attn.out(attend(query, key, value, bias), 1), parts, self.mlp)


class AuraFlow(nn.Module):
    def __init__(self, config: AuraFlowConfig):
        super().__init__()
        self.config = config
        width = config.width
        self.init_x_linear = Linear(config.in_channels * PATCH**2, width)
        self.t_embedder = Embedder(TIME_WIDTH, width)
        self.cond_seq_linear = Linear(config.context_width, width, bias=False)
        self.positional_encoding = nn.Parameter(torch.zeros(1, config.table_side**2, width))
        self.register_tokens = nn.Parameter(torch.zeros(1, config.registers, width))
        self.double_layers = nn.ModuleList(DoubleLayer(config) for _ in range(config.double_layers))
        self.single_layers = nn.ModuleList(SingleLayer(config) for _ in range(config.single_layers))
        self.modF = modulation(width, 2)
        self.final_linear = Linear(width, config.in_channels * PATCH**2, bias=False)

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
        dtype = compute_dtype(self)
        latent = padded(call.x)
        height, width = latent.shape[2:]
        places = centred(self.positional_encoding, height // PATCH, width // PATCH)
        image = self.init_x_linear(channels_first_tokens(latent).to(dtype)) + places.to(dtype)
        condition = self.t_embedder(sinusoidal(call.timesteps * TIME_FACTOR, TIME_WIDTH).to(dtype))
        text = self.cond_seq_linear(call.context.to(dtype))
        text = torch.cat([self.register_tokens.to(dtype).expand(len(text), -1, -1), text], dim=1)
        bias = call.info.context_bias
        if bias is not None:
            bias = F.pad(bias, (self.config.registers, 0))
        joint_bias = key_bias(bias, image.shape[1], dtype)
        control = call.control or Control()
        double, single = (
            spread(control.double, self.config.double_layers),
            spread(control.single, self.config.single_layers),
        )
        streams = Streams(image, text)
        for i, layer in enumerate(self.double_layers):
            streams = call.hooks.run_block(
                Place("double", i), lambda s, b=layer: b(s, condition, joint_bias), streams, call.info
            )
            streams = controlled(streams, double, i)
        assert streams.text is not None
        streams = Streams(torch.cat([streams.text, streams.image], dim=1))
        for i, layer in enumerate(self.single_layers):
            streams = call.hooks.run_block(
                Place("single", i), lambda s, b=layer: Streams(b(s.image, condition, joint_bias)), streams, call.info
            )
            streams = controlled(streams, single, i, start=text.shape[1])
        shift, scale = self.modF(condition)[:, None].chunk(2, dim=2)
        tokens = self.final_linear(shifted(streams.image[:, text.shape[1] :], shift, scale))
        out = from_channels_last(tokens, height, width)
        return out[:, :, : call.x.shape[2], : call.x.shape[3]].to(call.x.dtype)


def centred(table: Tensor, rows: int, columns: int) -> Tensor:
    """The middle of a square table of positions (1, side², D), (1, rows * columns, D)."""
    side = round(table.shape[1] ** 0.5)
    if rows > side or columns > side:
        raise ValueError(
            f"This network knows pictures of up to {side * PATCH * 8} pixels a side, "
            f"not {columns * PATCH * 8}x{rows * PATCH * 8}."
        )
    top, left = side // 2 - rows // 2, side // 2 - columns // 2
    return table.view(1, side, side, -1)[:, top : top + rows, left : left + columns].flatten(1, 2)
