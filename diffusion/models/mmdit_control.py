"""ControlNets for SD3 as InstantX trained them: the first blocks of an MMDiT, which see a hint beside the latent."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from diffusion.models.dit import check_text
from diffusion.models.mmdit import (
    TIME_WIDTH,
    Embedder,
    JointBlock,
    MMDiTConfig,
    PatchEmbed,
    embed,
    positions,
    read_mmdit_config,
)
from diffusion.models.patches import padded
from diffusion.ops.layers import Linear
from diffusion.ops.stored import compute_dtype
from diffusion.patches.hooks import Control, Streams


@dataclass(frozen=True, slots=True)
class MMDiTControlConfig:
    base: MMDiTConfig
    hint_channels: int


def read_mmdit_control_config(shapes: Mapping[str, tuple[int, ...]]) -> MMDiTControlConfig | None:
    """The configuration of the ControlNet whose tensors have these names and shapes; None if they are none."""
    hint = shapes.get("pos_embed_input.proj.weight")
    if hint is None or "controlnet_blocks.0.weight" not in shapes or "context_embedder.weight" not in shapes:
        return None
    config = read_mmdit_config({**shapes, "final_layer.linear.weight": (0, 0)})
    return None if config is None else MMDiTControlConfig(replace(config, out_channels=0), hint[1])


class MMDiTControl(nn.Module):
    def __init__(self, config: MMDiTControlConfig):
        super().__init__()
        self.config = config
        base = config.base
        self.x_embedder = PatchEmbed(base.in_channels, base.width)
        self.t_embedder = Embedder(TIME_WIDTH, base.width)
        self.y_embedder = Embedder(base.vector_width, base.width)
        self.context_embedder = Linear(base.context_width, base.width)
        self.pos_embed = nn.Parameter(torch.zeros(1, base.table_side**2, base.width), requires_grad=False)
        self.pos_embed_input = PatchEmbed(config.hint_channels, base.width)
        self.joint_blocks = nn.ModuleList(JointBlock(base, dual=i in base.dual_layers) for i in range(base.depth))
        self.controlnet_blocks = nn.ModuleList(Linear(base.width, base.width) for _ in range(base.depth))

    def forward(
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Tensor,
        y: Tensor | None,
        hint: Tensor,
        **extra: Tensor | tuple[Tensor, ...],
    ) -> Control:
        """Residuals for the double blocks, in the precision of x.

        x, timesteps, context, y: as the MMDiT gets them. hint: a latent of x's size, (B, hint_channels, H, W).
        """
        base = self.config.base
        check_text(base.context_width, base.vector_width, context, y)
        dtype = compute_dtype(self)
        latent = padded(x).to(dtype)
        image = self.x_embedder(latent) + positions(self.pos_embed, *latent.shape[2:]).to(dtype)
        image = image + self.pos_embed_input(padded(hint).to(dtype))
        # These networks were trained without the pooled text.
        condition = embed(
            self.t_embedder, self.y_embedder, timesteps, torch.zeros_like(y) if y is not None else y, dtype
        )
        streams = Streams(image, self.context_embedder(context.to(dtype)))
        residuals: list[Tensor] = []
        for block, out in zip(self.joint_blocks, self.controlnet_blocks, strict=True):
            streams = block(streams, condition)
            residuals.append(out(streams.image).to(x.dtype))
        return Control(double=tuple(residuals))
