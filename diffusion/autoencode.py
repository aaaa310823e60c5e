"""Between pictures and latents: an autoencoder as the rest of the library uses it, whole or by tiles."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from diffusion.handles import Autoencoder
from diffusion.memory import estimate
from diffusion.memory.keeper import keeper_of
from diffusion.memory.work import Need, Place, Way, Work
from diffusion.tiles import count_tiles, run_tiled

TILE = 512
"""Pixels."""
OVERLAP = 64


@dataclass(frozen=True)
class Tiles:
    """Pixels."""

    size: int
    overlap: int


class NotFinite(ValueError):
    """A network answered with NaN or infinity."""

    def __init__(self, what: str, source: str, dtype: torch.dtype):
        super().__init__(
            f"The {what} holds values that are not numbers (NaN or infinity). The autoencoder {source or 'in use'} "
            f"computes in {str(dtype).removeprefix('torch.')}; try float32 or bfloat16, or look for NaN in the latent."
        )


def encode(vae: Autoencoder, image: Tensor) -> Tensor:
    """(B, H, W, 3) in 0…1 to (B, C, H / 8, W / 8) float32 in VAE scale: the mean of the posterior.

    By tiles where there is not the memory for the whole. Sizes that are no multiples of 8 are cropped around the
    centre; a fourth channel is ignored.
    """
    return _encode(vae, image, None)


def encode_tiled(vae: Autoencoder, image: Tensor, tile: int = TILE, overlap: int = OVERLAP) -> Tensor:
    """As `encode` with less memory; tile, overlap: pixels. Statistics of each tile are its own, so results differ."""
    return _encode(vae, image, Tiles(tile, overlap))


def decode(vae: Autoencoder, latent: Tensor) -> Tensor:
    """(B, C, H, W) in VAE scale to (B, 8H, 8W, 3) float32 in 0…1; by tiles where there is not the memory for more."""
    return _decode(vae, latent, None)


def decode_tiled(vae: Autoencoder, latent: Tensor, tile: int = TILE, overlap: int = OVERLAP) -> Tensor:
    """As `decode` with less memory; tile, overlap: pixels. Statistics of each tile are its own, so results differ."""
    return _decode(vae, latent, Tiles(tile, overlap))


def _encode(vae: Autoencoder, image: Tensor, tiles: Tiles | None) -> Tensor:
    pixels = _cropped(image[..., :3], vae.downscale).movedim(-1, 1) * 2 - 1
    return _run(vae, _Task("VAE encode", "encode", 1, estimate.encoding), pixels, tiles)


def _decode(vae: Autoencoder, latent: Tensor, tiles: Tiles | None) -> Tensor:
    if latent.shape[1] != vae.channels:
        raise ValueError(
            f"This latent has {latent.shape[1]} channels; the autoencoder {vae.source or 'in use'} decodes "
            f"{vae.channels}. It belongs to another model line."
        )
    pixels = _run(vae, _Task("VAE decode", "decode", vae.downscale, estimate.decoding), latent, tiles)
    return ((pixels + 1) / 2).clamp(0, 1).movedim(1, -1)


@dataclass(frozen=True)
class _Task:
    what: str
    method: str
    unit: int
    """Pixels per position of what goes in."""
    estimate: Callable[[int, int, int], int]


def _run(vae: Autoencoder, task: _Task, x: Tensor, tiles: Tiles | None) -> Tensor:
    """Runs the method on (B, C, H, W), in the memory there is."""
    height, width = x.shape[2:]
    itemsize = next(vae.network.parameters()).element_size()

    def way(tiles: Tiles | None) -> Way[Tensor]:
        def job(place: Place) -> Tensor:
            # One at a time: a batch would be no faster here, and would need its memory all at once.
            return torch.cat([_in_tiles(vae, task, place, x[i : i + 1], tiles) for i in range(len(x))])

        if tiles is None:
            return Way(job, task.estimate(height, width, itemsize))
        shapes = _tile_shapes(vae, task, tiles)
        most = max(task.estimate(min(rows, height), min(columns, width), itemsize) for (rows, columns), _ in shapes)
        count = sum(count_tiles((height, width), shape, overlap) for shape, overlap in shapes)
        return Way(job, most, f"in {count} tiles")

    longest = max(height, width) * task.unit
    # A tile of a tiling is up to twice as long as its size says.
    smaller = [Tiles(size, size // 8) for size in (TILE, TILE // 2, TILE // 4) if 2 * size < longest]
    ways = [way(each) for each in (tiles, *smaller) if tiles is None or each is None or each.size <= tiles.size]
    key = f"{task.method} {type(vae.network).__name__} {width}x{height} {itemsize}"
    with torch.no_grad():
        return keeper_of(vae.network).run(Work(task.what, [Need(vae.network, passes=len(x))], ways, key))


def _tile_shapes(vae: Autoencoder, task: _Task, tiles: Tiles) -> list[tuple[tuple[int, int], int]]:
    """Heights and widths of tiles with their overlaps, in positions of what goes in."""
    tile, overlap = (
        max(pixels // vae.downscale, 1) * vae.downscale // task.unit for pixels in (tiles.size, tiles.overlap)
    )
    # Three tilings of different proportions, averaged, so that seams do not fall on seams.
    shapes = ((tile // 2, tile * 2), (tile * 2, tile // 2), (tile, tile))
    return [(shape, min(overlap, min(shape) // 2)) for shape in shapes]


def _in_tiles(vae: Autoencoder, task: _Task, place: Place, x: Tensor, tiles: Tiles | None) -> Tensor:
    function = getattr(place.of(vae.network), task.method)
    dtype = next(vae.network.parameters()).dtype
    x = x.to(device=place.device, dtype=dtype)
    if tiles is None:
        out = function(x).float()
    else:
        shapes = _tile_shapes(vae, task, tiles)
        out = sum(run_tiled(function, x, shape, overlap) for shape, overlap in shapes) / len(shapes)
    assert isinstance(out, Tensor)
    if not torch.isfinite(out).all():
        raise NotFinite("decoded picture" if task.method == "decode" else "encoded latent", vae.source, dtype)
    return out.cpu()


def _cropped(image: Tensor, multiple: int) -> Tensor:
    """(B, H, W, C), cropped around the centre to multiples of `multiple`."""
    height, width = (size // multiple * multiple for size in image.shape[1:3])
    if height == 0 or width == 0:
        raise ValueError(
            f"A picture of {image.shape[2]}x{image.shape[1]} is too small: {multiple} pixels are the least."
        )
    top, left = (image.shape[1] - height) // 2, (image.shape[2] - width) // 2
    return image[:, top : top + height, left : left + width]
