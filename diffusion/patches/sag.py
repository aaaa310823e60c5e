"""Self-attention guidance: Hong et al. (arXiv:2210.00939)."""

import math
from dataclasses import replace
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor

from diffusion.handles import Model
from diffusion.patches.hooks import BlockInfo, ModelHooks, Place
from diffusion.sampling.guidance.core import GuidanceStep, GuidedRun, guidance_of, with_after

_THRESHOLD = 1.0
_KERNEL = 9


def with_self_attention_guidance(model: Model, scale: float = 0.5, blur_sigma: float = 2.0) -> Model:
    """Away from the estimate of a latent that is blurred where the network looks most.

    Where a position receives more than one position's worth of the middle block's self-attention, the negative
    estimate is blurred; what the network makes of that is guided away from. One evaluation more a step.
    blur_sigma: in latent positions; 0 is no blur. Latents of up to 4 positions a side are left alone.
    """
    key = object()

    def hooks(run: GuidedRun) -> ModelHooks:
        def record(query: Tensor, key_: Tensor, value: Tensor, info: BlockInfo) -> Tensor:
            weights = _weights(query, key_, info.heads)
            if rows := info.call.rows("negative"):
                received = weights[rows].mean(dim=1).sum(dim=1)
                run.memory[key] = received.view(-1, *info.size)
            out = weights.to(value.dtype) @ _heads(value, info.heads)
            return out.transpose(1, 2).flatten(2)

        return ModelHooks(attn1_replacements=MappingProxyType({Place("middle", 0, 0): record}))

    def after(step: GuidanceStep) -> Tensor:
        received: Tensor | None = step.memory.pop(key, None)
        if received is None or step.negative is None or min(step.x.shape[2:]) <= 4:
            return step.denoised
        if len(received) != len(step.x):
            return step.denoised  # several negatives, on parts of the picture: there is no one map
        where = F.interpolate((received > _THRESHOLD).float()[:, None], size=step.x.shape[2:], mode="nearest")
        blurred = torch.lerp(step.negative, gaussian_blur(step.negative, _KERNEL, blur_sigma), where)
        again = step.predict("negative", x=blurred + step.x - step.negative)
        return step.denoised + (blurred - again) * scale

    changed = with_after(model, after, always_negative=True)
    guidance = guidance_of(changed)
    return replace(changed, guidance=replace(guidance, hooks=(*guidance.hooks, hooks)))


def gaussian_blur(x: Tensor, kernel_size: int, sigma: float) -> Tensor:
    """x: (B, C, H, W). Edges are mirrored."""
    if sigma <= 0:
        return x
    places = torch.arange(kernel_size, dtype=x.dtype, device=x.device) - (kernel_size - 1) / 2
    line = torch.exp(-0.5 * (places / sigma) ** 2)
    line = line / line.sum()
    kernel = (line[:, None] * line).expand(x.shape[1], 1, -1, -1)
    pad = kernel_size // 2
    return F.conv2d(F.pad(x, (pad, pad, pad, pad), mode="reflect"), kernel, groups=x.shape[1])


def _heads(x: Tensor, heads: int) -> Tensor:
    return x.view(*x.shape[:2], heads, -1).transpose(1, 2)


def _weights(query: Tensor, key: Tensor, heads: int) -> Tensor:
    """softmax(q k^T / sqrt(head width)), (B, heads, T, T) float32."""
    q, k = _heads(query.float(), heads), _heads(key.float(), heads)
    return (q @ k.transpose(2, 3) / math.sqrt(q.shape[3])).softmax(dim=-1)
