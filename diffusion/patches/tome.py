"""Token merging for Stable Diffusion: Bolya & Hoffman (arXiv:2303.17604)."""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from diffusion.handles import Model
from diffusion.patches.hooks import BlockInfo, Forward, ModelHooks, NetworkCall

_STRIDE = 2

Merge = Callable[[Tensor], Tensor]


def with_token_merging(model: Model, ratio: float = 0.3) -> Model:
    """Self-attention on the largest feature maps asks for fewer tokens: the share `ratio` most like others is merged.

    Keys and values stay whole. Which token of each 2x2 cell others may merge into is random, drawn from the noise
    level, so one seed stays one picture.
    """
    if not 0 <= ratio <= 1:
        raise ValueError(f"The share of merged tokens is 0…1, not {ratio:g}")

    def wrapper(forward: Forward, call: NetworkCall) -> Tensor:
        unmerge: dict[int, Merge] = {}

        def merge(query: Tensor, key: Tensor, value: Tensor, info: BlockInfo) -> tuple[Tensor, Tensor, Tensor]:
            if info.size != tuple(info.call.shape[2:]):
                return query, key, value
            generator = torch.Generator().manual_seed(hash(float(info.call.sigmas[0])) & 0xFFFFFFFF)
            merged, unmerge[info.transformer_total] = matching(query, info.size, ratio, generator)
            return merged(query), key, value

        def restore(tokens: Tensor, info: BlockInfo) -> Tensor:
            back = unmerge.pop(info.transformer_total, None)
            return tokens if back is None else back(tokens)

        hooks = ModelHooks(attn1_inputs=(merge,), attn1_outputs=(restore,))
        return forward(replace(call, hooks=call.hooks | hooks))

    return model.with_hooks(ModelHooks(wrappers=(wrapper,)))


def matching(tokens: Tensor, size: tuple[int, int], ratio: float, generator: torch.Generator) -> tuple[Merge, Merge]:
    """Pairs tokens (B, H * W, D) of a feature map with the destination most like them: Algorithm 1, in 2D.

    Returns a function that merges (averages) and one that gives every merged token its destination's value.
    """
    batch, count = tokens.shape[:2]
    destinations, sources = _partition(size, generator, tokens.device)
    merged_count = min(len(sources), int(count * ratio))
    if merged_count == 0:
        return _same, _same
    unit = tokens / tokens.square().sum(dim=-1, keepdim=True).sqrt()
    likeness, partner = (unit[:, sources] @ unit[:, destinations].transpose(1, 2)).max(dim=-1)
    order = likeness.argsort(dim=-1, descending=True)
    merged, kept = order[:, :merged_count], order[:, merged_count:]
    target = partner.gather(1, merged)

    def merge(x: Tensor) -> Tensor:
        source = x[:, sources]
        joined = x[:, destinations].scatter_reduce(1, _wide(target, x), source.gather(1, _wide(merged, x)), "mean")
        return torch.cat([source.gather(1, _wide(kept, x)), joined], dim=1)

    def unmerge(x: Tensor) -> Tensor:
        alone, joined = x[:, : kept.shape[1]], x[:, kept.shape[1] :]
        source = x.new_empty(batch, len(sources), x.shape[2])
        source.scatter_(1, _wide(kept, x), alone)
        source.scatter_(1, _wide(merged, x), joined.gather(1, _wide(target, x)))
        out = x.new_empty(batch, count, x.shape[2])
        out[:, sources], out[:, destinations] = source, joined
        return out

    return merge, unmerge


def _partition(size: tuple[int, int], generator: torch.Generator, device: torch.device) -> tuple[Tensor, Tensor]:
    """Indices of the destinations, one from each 2x2 cell, and of all other tokens, the sources."""
    height, width = size
    rows, columns = math.floor(height / _STRIDE), math.floor(width / _STRIDE)
    choice = torch.randint(_STRIDE**2, (rows, columns), generator=generator)
    y = torch.arange(rows)[:, None] * _STRIDE + choice // _STRIDE
    x = torch.arange(columns)[None] * _STRIDE + choice % _STRIDE
    destinations = (y * width + x).flatten()
    is_source = torch.ones(height * width, dtype=torch.bool)
    is_source[destinations] = False
    return destinations.to(device), is_source.nonzero().flatten().to(device)


def _wide(index: Tensor, x: Tensor) -> Tensor:
    return index[..., None].expand(-1, -1, x.shape[2])


def _same(x: Tensor) -> Tensor:
    return x
