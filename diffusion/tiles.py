"""Running a network on overlapping tiles of a picture too large for it, and joining what comes out without seams."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor


def run_tiled(
    function: Callable[[Tensor], Tensor],
    x: Tensor,
    tile: tuple[int, int],
    overlap: int,
    on_tile: Callable[[], None] = lambda: None,
) -> Tensor:
    """What `function` makes of x, tile by tile; where tiles overlap, one fades linearly into the next.

    function: (B, C, h, w) to (B, D, s * h, s * w) for one ratio s, which is read off its results. x: (B, C, H, W).
    tile: largest height and width of a tile, and overlap, in positions of x; overlap < tile. Returns float32.
    """
    height, width = x.shape[2:]
    total: Tensor | None = None
    weights: Tensor | None = None
    for top, bottom in _spans(height, tile[0], overlap):
        for left, right in _spans(width, tile[1], overlap):
            out = function(x[:, :, top:bottom, left:right]).float()
            ratio = out.shape[2] / (bottom - top)
            if total is None or weights is None:
                size = (round(height * ratio), round(width * ratio))
                total = out.new_zeros(out.shape[0], out.shape[1], *size)
                weights = out.new_zeros(1, 1, *size)
            feather = max(round(overlap * ratio), 1)
            rows = _ramp(out.shape[2], feather, fade_in=top > 0, fade_out=bottom < height)
            columns = _ramp(out.shape[3], feather, fade_in=left > 0, fade_out=right < width)
            weight = torch.outer(rows, columns).to(out.device)
            y, z = round(top * ratio), round(left * ratio)
            total[:, :, y : y + out.shape[2], z : z + out.shape[3]] += out * weight
            weights[:, :, y : y + out.shape[2], z : z + out.shape[3]] += weight
            on_tile()
    if total is None or weights is None:
        raise ValueError("There is nothing to run tiles over: the picture is empty.")
    return total / weights


def count_tiles(size: tuple[int, int], tile: tuple[int, int], overlap: int) -> int:
    """How many tiles `run_tiled` runs for a picture of this height and width."""
    return len(list(_spans(size[0], tile[0], overlap))) * len(list(_spans(size[1], tile[1], overlap)))


def _spans(length: int, tile: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Overlapping spans that cover 0…length; the last one is moved back so that all are of the full size."""
    if tile < length and overlap >= tile:
        raise ValueError(f"Tiles of {tile} cannot overlap by {overlap}.")
    start = 0
    while start + tile < length:
        yield start, start + tile
        start += tile - overlap
    yield max(length - tile, 0), length


def _ramp(length: int, feather: int, *, fade_in: bool, fade_out: bool) -> Tensor:
    """Weights along one axis: rising over the first `feather` positions, falling over the last ones."""
    ramp = torch.ones(length)
    slope = torch.arange(1, feather + 1) / feather
    feather = min(feather, length)
    if fade_in:
        ramp[:feather] *= slope[:feather]
    if fade_out:
        ramp[length - feather :] *= slope[:feather].flip(0)
    return ramp
