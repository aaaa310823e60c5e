"""Enlarging pictures with an upscaling network."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from diffusion.memory import estimate
from diffusion.memory.keeper import keeper_of
from diffusion.memory.work import Need, Place, Way, Work
from diffusion.tiles import count_tiles, run_tiled

TILES = (512, 256, 128)
"""Pixels; the smaller ones where there is no memory for more."""
OVERLAP = 32


def upscale(network: Any, image: Tensor, on_tile: Callable[[int, int], None] = lambda done, total: None) -> Tensor:
    """(B, H, W, 3) in 0…1 to (B, s * H, s * W, 3) in 0…1, float32, tile by tile.

    network: an upscaler, as `models.rrdb.RRDBNet`. on_tile: told after each tile how many are done and how many there
    are; begins anew where memory ran out and smaller tiles are taken.
    """
    dtype = next(network.parameters()).dtype
    size = (image.shape[1], image.shape[2])

    def way(tile: int) -> Way[Tensor]:
        total = count_tiles(size, (tile, tile), OVERLAP)

        def job(place: Place) -> Tensor:
            done = 0

            def count() -> None:
                nonlocal done
                done += 1
                on_tile(done, total)

            pixels = image.movedim(-1, 1).to(device=place.device, dtype=dtype)
            return run_tiled(place.of(network), pixels, (tile, tile), OVERLAP, count).cpu()

        rows, columns = (min(tile, length) for length in size)
        activations = len(image) * estimate.enlarging(rows, columns, getattr(network, "scale", 4), dtype.itemsize)
        return Way(job, activations, f"in {total} tiles")

    ways = [way(tile) for tile in TILES if tile == TILES[-1] or tile < 2 * max(size)]
    passes = count_tiles(size, (TILES[0], TILES[0]), OVERLAP)
    key = f"upscale {type(network).__name__} {len(image)}x{size[1]}x{size[0]} {dtype.itemsize}"
    with torch.no_grad():
        out = keeper_of(network).run(Work("Upscaling", [Need(network, passes=passes)], ways, key))
    return out.movedim(1, -1).clamp(0, 1)
