"""The transformer of Chroma (lodestones): Flux's blocks, all modulated by one small network in place of their own."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from diffusion.models.dit import check_text, controlled, count, key_bias
from diffusion.models.embeddings import sinusoidal
from diffusion.models.flux import (
    TIME_FACTOR,
    DoubleStream,
    Embedder,
    FluxConfig,
    Pictures,
    RMSNorm,
    SingleStream,
    read_flux_config,
)
from diffusion.models.modulation import modulated
from diffusion.models.patches import PATCH
from diffusion.models.rotary import rotation
from diffusion.ops.layers import Linear
from diffusion.ops.stored import compute_dtype
from diffusion.patches.hooks import NO_HOOKS, CallInfo, Control, ModelHooks, NetworkCall, Place, Streams, spread

_PREFIX = "distilled_guidance_layer."


@dataclass(frozen=True, slots=True)
class ChromaConfig:
    body: FluxConfig
    in_features: int
    """Of the network that makes the modulation."""
    inner_width: int
    layers: int

    @property
    def in_channels(self) -> int:
        return self.body.in_channels


def read_chroma_config(shapes: Mapping[str, tuple[int, ...]]) -> ChromaConfig | None:
    """The configuration of the network whose tensors have these names and shapes; None if they are none."""
    body, first = read_flux_config(shapes), shapes.get(f"{_PREFIX}in_proj.weight")
    if body is None or first is None:
        return None
    return ChromaConfig(body, in_features=first[1], inner_width=first[0], layers=count(shapes, f"{_PREFIX}layers."))


class Approximator(nn.Module):
    """Makes every part of every block's modulation of the time and the part's number."""

    def __init__(self, config: ChromaConfig):
        super().__init__()
        inner = config.inner_width
        self.in_proj = Linear(config.in_features, inner)
        self.layers = nn.ModuleList(Embedder(inner, inner) for _ in range(config.layers))
        self.norms = nn.ModuleList(RMSNorm(inner) for _ in range(config.layers))
        self.out_proj = Linear(inner, config.body.width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, parts, in_features) to (B, parts, D)."""
        x = self.in_proj(x)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = x + layer(norm(x))
        return self.out_proj(x)


class FinalLayer(nn.Module):
    def __init__(self, width: int, out_features: int):
        super().__init__()
        self.linear = Linear(width, out_features)


class Chroma(nn.Module):
    def __init__(self, config: ChromaConfig):
        super().__init__()
        self.config = config
        body = config.body
        self.img_in = Linear(body.in_channels * PATCH**2, body.width)
        self.txt_in = Linear(body.context_width, body.width)
        self.distilled_guidance_layer = Approximator(config)
        self.double_blocks = nn.ModuleList(DoubleStream(body) for _ in range(body.double_blocks))
        self.single_blocks = nn.ModuleList(SingleStream(body) for _ in range(body.single_blocks))
        self.final_layer = FinalLayer(body.width, body.out_channels * PATCH**2)

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

        x: (B, C, H, W). timesteps: (B,), 0…1. context: (B, T, D). extra: what `flux.Pictures` knows.
        Returns (B, C, H, W).
        """
        check_text(self.config.body.context_width, None, context, y)
        info = info or CallInfo(x.shape, timesteps)
        return hooks.run(self._forward, NetworkCall(x, timesteps, context, y, control, hooks, info, extra))

    def _forward(self, call: NetworkCall) -> Tensor:
        dtype, body = compute_dtype(self), self.config.body
        pictures = Pictures.of(call.x, call.extra)
        text = self.txt_in(call.context.to(dtype))
        parts = self._modulation(call.timesteps, dtype)
        singles = [_taken(parts, 3) for _ in self.single_blocks]
        of_image = [_taken(parts, 6) for _ in self.double_blocks]
        of_text = [_taken(parts, 6) for _ in self.double_blocks]
        shift, scale = _taken(parts, 2)

        rotate = rotation(pictures.positions(text.shape[1]), body.axes)
        bias = key_bias(call.info.context_bias, pictures.tokens.shape[1], dtype)
        control = call.control or Control()
        double, single = spread(control.double, body.double_blocks), spread(control.single, body.single_blocks)
        streams = Streams(self.img_in(pictures.tokens.to(dtype)), text)
        for i, block in enumerate(cast(Sequence[DoubleStream], self.double_blocks)):
            streams = call.hooks.run_block(
                Place("double", i),
                lambda s, b=block, i=i: b.run(s, of_image[i], of_text[i], rotate, bias),
                streams,
                call.info,
            )
            streams = controlled(streams, double, i)
        assert streams.text is not None
        streams = Streams(torch.cat([streams.text, streams.image], dim=1))
        for i, block in enumerate(cast(Sequence[SingleStream], self.single_blocks)):
            streams = call.hooks.run_block(
                Place("single", i),
                lambda s, b=block, i=i: Streams(b.run(s.image, singles[i], rotate, bias)),
                streams,
                call.info,
            )
            streams = controlled(streams, single, i, start=text.shape[1])
        tokens = streams.image[:, text.shape[1] : text.shape[1] + pictures.own]
        return pictures.latent(self.final_layer.linear(modulated(tokens, shift, scale))).to(call.x.dtype)

    def _modulation(self, timesteps: Tensor, dtype: torch.dtype) -> Iterator[Tensor]:
        """The parts in order, (B, 1, D) each: of single blocks, of pictures and of texts in double ones, the last two.

        The network was distilled with a guidance, which is 0 since.
        """
        body, quarter = self.config.body, self.config.in_features // 4
        total = 3 * body.single_blocks + 12 * body.double_blocks + 2
        time = sinusoidal(timesteps * TIME_FACTOR, quarter)
        told = torch.cat([time, sinusoidal(torch.zeros_like(timesteps), quarter)], dim=1)
        numbers = sinusoidal(torch.arange(total, device=timesteps.device) * TIME_FACTOR, 2 * quarter)
        batch = len(timesteps)
        x = torch.cat([told[:, None].expand(-1, total, -1), numbers.expand(batch, -1, -1)], dim=2)
        return iter(self.distilled_guidance_layer(x.to(dtype)).split(1, dim=1))


def _taken(parts: Iterator[Tensor], count: int) -> tuple[Tensor, ...]:
    return tuple(next(parts) for _ in range(count))
