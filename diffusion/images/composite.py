"""Pasting one picture, mask or latent into another."""

import torch
import torch.nn.functional as F
from torch import Tensor

from diffusion.images.batch import repeat_to
from diffusion.images.masks import ramp
from diffusion.images.resize import resize


def paste(destination: Tensor, source: Tensor, x: int, y: int, mask: Tensor | None, fit: bool = False) -> Tensor:
    """destination with source at (x, y), what sticks out cut off.

    destination: (B, C, H, W). source: (B, C, h, w). mask: (any batch, any height, any width), 1 where the source
    shows; None shows all of it. fit: scale the source to the destination's size first.
    """
    if source.shape[1:-2] != destination.shape[1:-2]:
        raise ValueError(
            f"expected a source of the destination's kind {tuple(destination.shape[1:-2])} (channels), "
            f"got {tuple(source.shape[1:-2])}"
        )
    batch, (height, width) = len(destination), destination.shape[-2:]
    if fit:
        source = resize(source, width, height, "bilinear")
    source = repeat_to(source, batch).to(destination)
    high, wide = source.shape[-2:]
    x, y = max(-wide, min(x, width)), max(-high, min(y, height))
    into = (..., slice(max(0, y), max(0, y + high)), slice(max(0, x), max(0, x + wide)))
    target = destination[into]
    out_of = (..., slice(max(0, -y), max(0, -y) + target.shape[-2]), slice(max(0, -x), max(0, -x) + target.shape[-1]))
    pasted = destination.clone()
    if target.numel() == 0:
        return pasted
    if mask is None:
        pasted[into] = source[out_of]
        return pasted
    scaled = F.interpolate(mask[:, None].to(destination), size=(high, wide), mode="bilinear")
    visible = repeat_to(scaled, batch)[out_of]
    if destination.ndim == 5:
        visible = visible[:, :, None]
    pasted[into] = torch.lerp(target, source[out_of], visible)
    return pasted


def paste_feathered(destination: Tensor, source: Tensor, x: int, y: int, feather: int) -> Tensor:
    """As `paste` at (x, y) ≥ 0, the source fading linearly over `feather` cells on those sides that lie inside."""
    high, wide = source.shape[-2:]
    inside = destination.shape[-2:]
    rows = ramp(high, feather if y else 0, feather if y + high < inside[0] else 0)
    columns = ramp(wide, feather if x else 0, feather if x + wide < inside[1] else 0)
    return paste(destination, source, x, y, (rows[:, None] * columns)[None])
