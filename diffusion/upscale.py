"""Enlarging pictures with an upscaling network."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from diffusion.tiles import count_tiles, run_tiled

TILE = 512
OVERLAP = 32
SMALLEST_TILE = 128


def upscale(network: Any, image: Tensor, on_tile: Callable[[int, int], None] = lambda done, total: None) -> Tensor:
    """(B, H, W, 3) in 0…1 to (B, s * H, s * W, 3) in 0…1, float32, tile by tile.

    network: an upscaler, as `models.rrdb.RRDBNet`. Tiles are halved when memory runs out, down to 128 pixels.
    on_tile: told after each tile how many are done and how many there are.
    """
    parameter = next(network.parameters())
    pixels = image.movedim(-1, 1).to(device=parameter.device, dtype=parameter.dtype)
    size = (pixels.shape[2], pixels.shape[3])
    tile = TILE
    while True:
        done, total = 0, count_tiles(size, (tile, tile), OVERLAP)

        def count() -> None:
            nonlocal done
            done += 1
            on_tile(done, total)  # noqa: B023  # called before the loop goes on

        try:
            with torch.no_grad():
                out = run_tiled(network, pixels, (tile, tile), OVERLAP, count)
        except torch.OutOfMemoryError:
            tile //= 2
            if tile < SMALLEST_TILE:
                raise
        else:
            return out.movedim(1, -1).clamp(0, 1)
