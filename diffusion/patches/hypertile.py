"""HyperTile (github.com/tfernd/HyperTile): self-attention of large feature maps within tiles."""

import random

from einops import rearrange
from torch import Tensor

from diffusion.handles import Model
from diffusion.patches.hooks import BlockInfo, ModelHooks

_SMALLEST = 32


def with_hypertile(
    model: Model, tile_size: int = 256, swap_size: int = 2, max_depth: int = 0, *, scale_depth: bool = False
) -> Model:
    """Self-attention sees only its tile, on feature maps halved up to max_depth times.

    tile_size: smallest side in pixels. swap_size: among how many tile sizes (less one) to vary, so that seams move;
    the choice follows from the noise level, so one seed stays one picture.
    scale_depth: tiles of deeper maps cover more of the picture.
    """
    smallest = max(_SMALLEST, tile_size) // 8

    def tiles(info: BlockInfo) -> tuple[int, int]:
        """How many, down and across."""
        depth = _depth(info)
        if depth is None or depth > max_depth:
            return 1, 1
        factor = 2**depth if scale_depth else 1
        choose = random.Random(f"{float(info.call.sigmas[0])} {info.transformer_total}")
        down, across = (_pieces(size, smallest * factor, swap_size, choose) for size in info.size)
        return down, across

    def split(query: Tensor, key: Tensor, value: Tensor, info: BlockInfo) -> tuple[Tensor, Tensor, Tensor]:
        down, across = tiles(info)
        if down * across == 1:
            return query, key, value
        height, width = info.size
        sizes = {"nh": down, "nw": across, "h": height // down, "w": width // across}
        query, key, value = (rearrange(t, "b (nh h nw w) d -> (b nh nw) (h w) d", **sizes) for t in (query, key, value))
        return query, key, value

    def join(tokens: Tensor, info: BlockInfo) -> Tensor:
        down, across = tiles(info)
        if down * across == 1:
            return tokens
        sizes = {"nh": down, "nw": across, "h": info.size[0] // down, "w": info.size[1] // across}
        return rearrange(tokens, "(b nh nw) (h w) d -> b (nh h nw w) d", **sizes)

    return model.with_hooks(ModelHooks(attn1_inputs=(split,), attn1_outputs=(join,)))


def _depth(info: BlockInfo) -> int | None:
    """How often the latent was halved to this feature map; None if it was something else."""
    height, width = info.call.shape[2:]
    for depth in range(8):
        if (height >> depth, width >> depth) == info.size and height % 2**depth == width % 2**depth == 0:
            return depth
    return None


def _pieces(size: int, smallest: int, options: int, choose: random.Random) -> int:
    """Into how many equal pieces of at least `smallest` to cut."""
    lengths = [n for n in range(min(smallest, size), size + 1) if size % n == 0][:options]
    return size // choose.choice(lengths[: max(len(lengths) - 1, 1)])
