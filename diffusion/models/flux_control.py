"""ControlNets for Flux: as InstantX trained them, on latents, and as XLabs did, on pictures."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from diffusion.models.dit import check_text
from diffusion.models.flux import FluxBody, FluxConfig, Pictures, read_flux_config
from diffusion.models.patches import channels_first_tokens, padded
from diffusion.models.rotary import rotation
from diffusion.ops.layers import Conv2d, Linear
from diffusion.ops.stored import compute_dtype
from diffusion.patches.hooks import Control, Streams

_HINT_WIDTH = 16
_HINT_STRIDES = (1, 2, 1, 2, 1, 2)
CONTROLLED_BLOCKS = 19
"""Double blocks of the published network. XLabs' residuals go round over them."""


MODES = {"canny/lineart/anime_lineart/mlsd": 0, "tile": 1, "depth": 2, "openpose": 4}
"""Of hints, by number, in InstantX's network for several kinds; 3 is blur, 5 grey, 6 low quality."""


@dataclass(frozen=True, slots=True)
class FluxControlConfig:
    base: FluxConfig
    hint_features: int
    sees_pictures: bool
    """Whether hints are pictures rather than latents."""
    modes: int = 0
    """Kinds of hints that one network for all of them tells apart."""


def read_flux_control_config(shapes: Mapping[str, tuple[int, ...]]) -> FluxControlConfig | None:
    """The configuration of the ControlNet whose tensors have these names and shapes; None if they are none."""
    hint = shapes.get("controlnet_x_embedder.weight")
    base = read_flux_config({**shapes, "final_layer.linear.weight": (0, 0)})
    if hint is None or base is None or "controlnet_blocks.0.weight" not in shapes:
        return None
    modes = shapes.get("controlnet_mode_embedder.weight", (0,))[0]
    return FluxControlConfig(base, hint[1], "input_hint_block.0.weight" in shapes, modes)


class FluxControl(FluxBody):
    def __init__(self, config: FluxControlConfig):
        super().__init__(config.base)
        self.control_config = config
        width = config.base.width
        self.input_hint_block = _hint_block() if config.sees_pictures else None
        self.controlnet_x_embedder = Linear(config.hint_features, width)
        self.controlnet_mode_embedder = nn.Embedding(config.modes, width) if config.modes else None
        self.controlnet_blocks = nn.ModuleList(Linear(width, width) for _ in self.double_blocks)
        if config.base.single_blocks:
            self.controlnet_single_blocks = nn.ModuleList(Linear(width, width) for _ in self.single_blocks)

    @property
    def modes(self) -> Mapping[str, int]:
        """Number of each kind of hint that the network knows."""
        return {name: i for name, i in MODES.items() if i < self.control_config.modes}

    def forward(
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Tensor,
        y: Tensor | None,
        hint: Tensor,
        mode: int | None = None,
        **extra: Tensor | tuple[Tensor, ...],
    ) -> Control:
        """Residuals for double and single blocks, in the precision of x.

        x, timesteps, context, y, extra: as the network gets them. hint: a latent of x's size, or a picture in 0…1,
        (B, 3, 8H, 8W). mode: which kind of hint it is, for networks that tell kinds apart.
        """
        check_text(self.config.context_width, self.config.vector_width, context, y)
        dtype = compute_dtype(self)
        pictures = Pictures.of(x, {})
        text = self.txt_in(context.to(dtype))
        if self.controlnet_mode_embedder is not None and mode is not None:
            kinds = torch.full((len(x), 1), mode, device=x.device)
            text = torch.cat([self.controlnet_mode_embedder(kinds).to(dtype), text], dim=1)
        condition = self.condition(timesteps, y, extra.get("guidance"), dtype)
        rotate = rotation(pictures.positions(text.shape[1]), self.config.axes)
        tokens = self.img_in(pictures.tokens.to(dtype)) + self.controlnet_x_embedder(self._hint(hint.to(dtype)))
        streams = Streams(tokens, text)
        double: list[Tensor] = []
        for block, out in zip(self.double_blocks, self.controlnet_blocks, strict=True):
            streams = block(streams, condition, rotate)
            double.append(out(streams.image).to(x.dtype))
        if self.control_config.sees_pictures:
            double = [double[i % len(double)] for i in range(CONTROLLED_BLOCKS)]
        if not self.config.single_blocks:
            return Control(double=tuple(double))
        assert streams.text is not None
        joined = torch.cat([streams.text, streams.image], dim=1)
        single: list[Tensor] = []
        for block, out in zip(self.single_blocks, self.controlnet_single_blocks, strict=True):
            joined = block(joined, condition, rotate)
            single.append(out(joined[:, text.shape[1] :]).to(x.dtype))
        return Control(double=tuple(double), single=tuple(single))

    def _hint(self, hint: Tensor) -> Tensor:
        """As tokens, (B, T, hint_features)."""
        if self.input_hint_block is not None:
            hint = self.input_hint_block(hint * 2 - 1)
        return channels_first_tokens(padded(hint))


def _hint_block() -> nn.Sequential:
    layers: list[nn.Module] = [Conv2d(3, _HINT_WIDTH, 3, padding=1), nn.SiLU()]
    for stride in _HINT_STRIDES:
        layers += [Conv2d(_HINT_WIDTH, _HINT_WIDTH, 3, padding=1, stride=stride), nn.SiLU()]
    return nn.Sequential(*layers, Conv2d(_HINT_WIDTH, _HINT_WIDTH, 3, padding=1))
