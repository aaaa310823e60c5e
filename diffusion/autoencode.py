"""Between pictures and latents: an autoencoder as the rest of the library uses it, whole or by tiles."""

import torch
from torch import Tensor

from diffusion.handles import Autoencoder
from diffusion.tiles import run_tiled

TILE = 512
"""Pixels."""
OVERLAP = 64


class NotFinite(ValueError):
    """A network answered with NaN or infinity."""

    def __init__(self, what: str, source: str, dtype: torch.dtype):
        super().__init__(
            f"The {what} holds values that are not numbers (NaN or infinity). The autoencoder {source or 'in use'} "
            f"computes in {str(dtype).removeprefix('torch.')}; try float32 or bfloat16, or look for NaN in the latent."
        )


def encode(vae: Autoencoder, image: Tensor) -> Tensor:
    """(B, H, W, 3) in 0…1 to (B, C, H / 8, W / 8) float32 in VAE scale: the mean of the posterior.

    Sizes that are no multiples of 8 are cropped around the centre; a fourth channel is ignored.
    """
    return _encode(vae, image, None)


def encode_tiled(vae: Autoencoder, image: Tensor, tile: int = TILE, overlap: int = OVERLAP) -> Tensor:
    """As `encode` with less memory; tile, overlap: pixels. Statistics of each tile are its own, so results differ."""
    return _encode(vae, image, (tile, overlap))


def decode(vae: Autoencoder, latent: Tensor) -> Tensor:
    """(B, C, H, W) in VAE scale to (B, 8H, 8W, 3) float32 in 0…1."""
    return _decode(vae, latent, None)


def decode_tiled(vae: Autoencoder, latent: Tensor, tile: int = TILE, overlap: int = OVERLAP) -> Tensor:
    """As `decode` with less memory; tile, overlap: pixels. Statistics of each tile are its own, so results differ."""
    return _decode(vae, latent, (tile, overlap))


@torch.no_grad()
def _encode(vae: Autoencoder, image: Tensor, tiles: tuple[int, int] | None) -> Tensor:
    pixels = _cropped(image[..., :3], vae.downscale).movedim(-1, 1) * 2 - 1
    return torch.cat([_in_tiles(vae, "encode", pixels[i : i + 1], tiles, 1) for i in range(len(pixels))])


@torch.no_grad()
def _decode(vae: Autoencoder, latent: Tensor, tiles: tuple[int, int] | None) -> Tensor:
    if latent.shape[1] != vae.channels:
        raise ValueError(
            f"This latent has {latent.shape[1]} channels; the autoencoder {vae.source or 'in use'} decodes "
            f"{vae.channels}. It belongs to another model line."
        )
    # One at a time: a batch would be no faster here, and would need its memory all at once.
    pixels = torch.cat([_in_tiles(vae, "decode", latent[i : i + 1], tiles, vae.downscale) for i in range(len(latent))])
    return ((pixels + 1) / 2).clamp(0, 1).movedim(1, -1)


def _in_tiles(vae: Autoencoder, method: str, x: Tensor, tiles: tuple[int, int] | None, unit: int) -> Tensor:
    """Runs `method`. tiles: size and overlap in pixels; unit: pixels per position of x."""
    function = getattr(vae.network, method)
    parameter = next(vae.network.parameters())
    x = x.to(device=parameter.device, dtype=parameter.dtype)
    if tiles is None:
        out = function(x).float()
    else:
        tile, overlap = (max(pixels // vae.downscale, 1) * vae.downscale // unit for pixels in tiles)
        # Three tilings of different proportions, averaged, so that seams do not fall on seams.
        shapes = ((tile // 2, tile * 2), (tile * 2, tile // 2), (tile, tile))
        out = sum(run_tiled(function, x, shape, min(overlap, min(shape) // 2)) for shape in shapes) / len(shapes)
    assert isinstance(out, Tensor)
    if not torch.isfinite(out).all():
        raise NotFinite("decoded picture" if method == "decode" else "encoded latent", vae.source, parameter.dtype)
    return out


def _cropped(image: Tensor, multiple: int) -> Tensor:
    """(B, H, W, C), cropped around the centre to multiples of `multiple`."""
    height, width = (size // multiple * multiple for size in image.shape[1:3])
    if height == 0 or width == 0:
        raise ValueError(
            f"A picture of {image.shape[2]}x{image.shape[1]} is too small: {multiple} pixels are the least."
        )
    top, left = (image.shape[1] - height) // 2, (image.shape[2] - width) // 2
    return image[:, top : top + height, left : left + width]
