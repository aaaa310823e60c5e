"""ControlNet (arXiv:2302.05543): a copy of the UNet's input half that turns a hint into residuals for the UNet."""

from dataclasses import replace
from itertools import pairwise

from torch import Tensor, nn

from diffusion.models.unet import check_inputs, embed, vector_embedding
from diffusion.models.unet_blocks import UNetBuilder
from diffusion.models.unet_config import Shapes, UNetConfig, read_input_half
from diffusion.ops.layers import Conv2d
from diffusion.ops.stored import compute_dtype
from diffusion.patches.hooks import NO_HOOKS, BlockInfo, CallInfo, Control

_HINT_WIDTHS = (16, 16, 32, 32, 96, 96, 256)
"""After each convolution of the hint but the last; a width that grows comes with half the size."""


def read_controlnet_config(shapes: Shapes) -> UNetConfig | None:
    """The configuration of the UNet that a ControlNet was copied from; None if these are not a ControlNet's tensors.

    Names carry no prefix. Heads follow from the storage of the transformers' projections: of all UNets only those of
    SD 1.x store convolutions, and only they have a fixed number of heads.
    """
    config = read_input_half(shapes)
    if config is None or "input_hint_block.0.weight" not in shapes or "zero_convs.0.0.weight" not in shapes:
        return None
    if not config.linear_projection:
        return replace(config, heads=8)
    return replace(config, head_width=64, float32_scores=config.vector_width is None)


class ControlNet(nn.Module):
    def __init__(self, config: UNetConfig):
        super().__init__()
        self.config = config
        build = UNetBuilder(config)
        self.time_embed = build.embedding(config.base_width)
        self.label_emb = vector_embedding(config, build)
        self.input_blocks = nn.ModuleList(build.input_blocks())
        self.zero_convs = nn.ModuleList(nn.Sequential(Conv2d(width, width, 1)) for width in build.skips)
        self.input_hint_block = _hint_block(config.base_width)
        self.middle_block = build.middle_block()
        width = config.level_widths[-1]
        self.middle_block_out = nn.Sequential(Conv2d(width, width, 1))

    def forward(
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Tensor,
        y: Tensor | None,
        hint: Tensor,
        mode: int | None = None,
    ) -> Control:
        """Residuals for the skip connections and the middle of the UNet, in the precision of x.

        x, timesteps, context, y: as the UNet gets them. hint: (B or 1, 3, 8H, 8W) in 0…1. mode: what the hint is, for
        networks that know several kinds.
        """
        check_inputs(self.config, x, context, y)
        wanted, given = (8 * x.shape[3], 8 * x.shape[2]), (hint.shape[3], hint.shape[2])
        if given != wanted:
            raise ValueError("The hint must be {}x{} pixels for this latent, not {}x{}.".format(*wanted, *given))
        dtype = compute_dtype(self)
        call = CallInfo(x.shape, timesteps)
        h, context = x.to(dtype), context.to(dtype)
        emb = embed(self.time_embed, self.label_emb, self.config.base_width, timesteps, y) + self.type_embedding(mode)
        skips: list[Tensor] = []
        for i, (block, zero_conv) in enumerate(zip(self.input_blocks, self.zero_convs, strict=True)):
            h = block(h, emb, context, NO_HOOKS, BlockInfo(call, "input", i))
            if i == 0:
                h = h + self.hint_features(h, hint.to(dtype), mode)
            skips.append(zero_conv(h).to(x.dtype))
        h = self.middle_block(h, emb, context, NO_HOOKS, BlockInfo(call, "middle", 0))
        return Control(skips=tuple(skips), middle=self.middle_block_out(h).to(x.dtype))

    def type_embedding(self, mode: int | None) -> Tensor | float:
        """What the kind of the hint adds to the embedding of the time; nothing in a network that knows but one."""
        return 0.0

    def hint_features(self, hidden: Tensor, hint: Tensor, mode: int | None) -> Tensor:
        """What the hint adds to the first feature map, `hidden`."""
        return self.input_hint_block(hint)


def _hint_block(out_width: int) -> nn.Sequential:
    layers: list[nn.Module] = [Conv2d(3, _HINT_WIDTHS[0], 3, padding=1), nn.SiLU()]
    for before, after in pairwise(_HINT_WIDTHS):
        layers += [Conv2d(before, after, 3, padding=1, stride=1 if before == after else 2), nn.SiLU()]
    return nn.Sequential(*layers, Conv2d(_HINT_WIDTHS[-1], out_width, 3, padding=1))
