"""The UNet of latent diffusion (arXiv:2112.10752): Stable Diffusion 1.x, 2.x and SDXL (arXiv:2307.01952)."""

import torch
from torch import Tensor, nn

from diffusion.models.embeddings import sinusoidal
from diffusion.models.unet_blocks import UNetBuilder
from diffusion.models.unet_config import UNetConfig
from diffusion.ops.layers import Conv2d
from diffusion.ops.stored import compute_dtype
from diffusion.patches.hooks import NO_HOOKS, BlockInfo, CallInfo, Control, ModelHooks, NetworkCall


class UNet(nn.Module):
    """Predicts from a noisy latent, a time and a context what the model line's prediction type says."""

    def __init__(self, config: UNetConfig):
        super().__init__()
        self.config = config
        build = UNetBuilder(config)
        self.time_embed = build.embedding(config.base_width)
        self.label_emb = vector_embedding(config, build)
        self.input_blocks = nn.ModuleList(build.input_blocks())
        self.middle_block = build.middle_block()
        self.output_blocks = nn.ModuleList(build.output_blocks())
        self.out = nn.Sequential(
            nn.GroupNorm(32, config.base_width),
            nn.SiLU(),
            Conv2d(config.base_width, config.out_channels, 3, padding=1),
        )

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
        """Computes in the precision of its weights and answers in that of x; takes any height and width.

        x: (B, C, H, W). timesteps: (B,), 0…999. context: (B, T, D). y: (B, V), for networks with a vector condition.
        Returns (B, C_out, H, W).
        """
        check_inputs(self.config, x, context, y)
        info = info or CallInfo(x.shape, timesteps)
        return hooks.run(self._forward, NetworkCall(x, timesteps, context, y, control, hooks, info))

    def _forward(self, call: NetworkCall) -> Tensor:
        hooks, control = call.hooks, call.control or Control()
        dtype = compute_dtype(self)
        h, context = call.x.to(dtype), call.context.to(dtype)
        emb = embed(self.time_embed, self.label_emb, self.config.base_width, call.timesteps, call.y)
        for emb_hook in hooks.emb:
            emb = emb_hook(emb, self.config.base_width, call.info)

        skips: list[Tensor] = []
        for i, block in enumerate(self.input_blocks):
            info = BlockInfo(call.info, "input", i)
            h = _added(block(h, emb, context, hooks, info), control.inputs, i)
            for hook in hooks.input_blocks:
                h = hook(h, info)
            skips.append(h)
            for hook in hooks.input_blocks_after_skip:
                h = hook(h, info)

        info = BlockInfo(call.info, "middle", 0)
        h = _added(self.middle_block(h, emb, context, hooks, info), (control.middle,), 0)
        for hook in hooks.middle_block:
            h = hook(h, info)

        for i, block in enumerate(self.output_blocks):
            info = BlockInfo(call.info, "output", i)
            skip = skips.pop()
            skip = _added(skip, control.skips, len(skips))
            for output_hook in hooks.output_blocks:
                h, skip = output_hook(h, skip, info)
            # Odd sizes: an upsampling leads to the size of the next skip connection, not simply to twice its own.
            size = (skips[-1] if skips else skip).shape[2:]
            h = block(torch.cat([h, skip], dim=1), emb, context, hooks, info, size)
        return self.out(h).to(call.x.dtype)


def vector_embedding(config: UNetConfig, build: UNetBuilder) -> nn.Sequential | None:
    """The layers for the vector condition; the published names have a sequence within a sequence."""
    return None if config.vector_width is None else nn.Sequential(build.embedding(config.vector_width))


def embed(
    time_embed: nn.Sequential, label_emb: nn.Sequential | None, base_width: int, timesteps: Tensor, y: Tensor | None
) -> Tensor:
    """Timesteps (B,) and, where there is one, the vector condition (B, V) as one (B, E) embedding."""
    dtype = compute_dtype(time_embed)
    emb = time_embed(sinusoidal(timesteps, base_width).to(dtype))
    if label_emb is not None and y is not None:
        emb = emb + label_emb(y.to(dtype))
    return emb


def check_inputs(config: UNetConfig, x: Tensor, context: Tensor, y: Tensor | None) -> None:
    """Refuses inputs made for another network, which would fail deep inside or, worse, not at all."""
    if x.shape[1] != config.in_channels:
        raise ValueError(f"This network takes latents of {config.in_channels} channels, not {x.shape[1]}.")
    if context.shape[2] != config.context_width:
        raise ValueError(
            f"This network takes text of width {config.context_width}, not {context.shape[2]}: "
            "the prompt was encoded for another model."
        )
    width = None if y is None else y.shape[1]
    if config.vector_width is not None and width != config.vector_width:
        raise ValueError(f"This network needs a vector condition of width {config.vector_width}, not {width}.")


def _added(hidden: Tensor, residuals: tuple[Tensor | None, ...], i: int) -> Tensor:
    residual = residuals[i] if i < len(residuals) else None
    return hidden if residual is None else hidden + residual.to(hidden.dtype)
