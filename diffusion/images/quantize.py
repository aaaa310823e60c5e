"""Fewer colours: an adaptive palette per picture, with or without dithering."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from diffusion.images.codec import to_pil, to_tensor


def bayer(order: int) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    """The threshold matrix of Bayer (1973), (order, order) with order a power of two, evenly spread in (-0.5, 0.5)."""
    ranks = np.zeros((1, 1))
    while len(ranks) < order:
        ranks = np.block([[4 * ranks, 4 * ranks + 2], [4 * ranks + 3, 4 * ranks + 1]])
    return (ranks + 0.5) / order**2 - 0.5


def quantize(image: Tensor, colors: int, dither: str) -> Tensor:
    """image: (H, W, 3) → the same with at most `colors` different ones, chosen by median cut.

    dither: "none", "floyd-steinberg" (error diffusion) or "bayer-N" (an ordered pattern of N × N pixels).
    """
    picture = to_pil(image)
    palette = picture.quantize(colors=colors, dither=Image.Dither.NONE)
    match dither.split("-"):
        case ["none"]:
            chosen = palette
        case ["floyd", "steinberg"]:
            chosen = picture.quantize(colors=colors, palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
        case ["bayer", order]:
            pattern = bayer(int(order)) * (2 * 256 / colors)
            height, width = image.shape[:2]
            tiled = np.tile(pattern, (-(-height // len(pattern)), -(-width // len(pattern))))[:height, :width, None]
            shifted = np.clip(np.asarray(picture, dtype=np.float64) + tiled, 0, 255).round().astype(np.uint8)
            chosen = Image.fromarray(shifted).quantize(colors=colors, palette=palette, dither=Image.Dither.NONE)
        case _:
            raise ValueError(f"expected none, floyd-steinberg or bayer-N; got {dither!r}")
    return to_tensor(chosen.convert("RGB"))


def quantize_batch(images: Tensor, colors: int, dither: str) -> Tensor:
    """images: (B, H, W, C); each has its own palette, a fourth channel is dropped."""
    return torch.stack([quantize(image[..., :3], colors, dither) for image in images])
