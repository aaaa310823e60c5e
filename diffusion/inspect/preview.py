"""Quick pictures of a latent while it is being sampled."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffusion.latents import LatentFormat
from diffusion.memory.keeper import keeper_of
from diffusion.memory.work import Need, Place, Way, Work

MAX_SIDE = 512
"""Pixels: previews are looked at, not kept."""

Previewer = Callable[[Tensor], Tensor]
"""A latent in model scale, (B, C, H, W), to pictures (B, h, w, 3) uint8 on the CPU, no side over the limit."""


def factor_previewer(latent: LatentFormat, max_side: int = MAX_SIDE) -> Previewer:
    """One pixel per latent position, by the latent space's linear factors. Costs next to nothing.

    Raises ValueError for latent spaces that have no factors.
    """
    if not latent.preview_factors:
        raise ValueError(f"There are no preview factors for {latent.name} latents; preview them with a tiny decoder.")

    def preview(x: Tensor) -> Tensor:
        return _as_bytes(latent.to_preview(_image(x)).movedim(-1, 1), max_side)

    return preview


def taesd_previewer(decoder: nn.Module, max_side: int = MAX_SIDE) -> Previewer:
    """Eight pixels per latent position, by a tiny decoder (github.com/madebyollin/taesd).

    decoder: the decoding half, (B, C, H, W) in model scale to (B, 3, 8H, 8W) about 0…1.
    """
    dtype = next(decoder.parameters()).dtype

    @torch.no_grad()
    def preview(x: Tensor) -> Tensor:
        def job(place: Place) -> Tensor:
            pixels: Tensor = place.of(decoder)(_image(x).to(place.device, dtype))
            return _as_bytes(pixels.float(), max_side)

        return keeper_of(decoder).run(Work("Preview", [Need(decoder)], [Way(job)]))

    return preview


def _image(x: Tensor) -> Tensor:
    """Of latents with frames (B, C, T, H, W) the first frame."""
    return x[:, :, 0] if x.ndim == 5 else x


def _as_bytes(pixels: Tensor, max_side: int) -> Tensor:
    """(B, 3, H, W) in 0…1 to (B, h, w, 3) uint8, made smaller (never larger) where a side is over the limit."""
    height, width = pixels.shape[2:]
    share = min(1.0, max_side / max(height, width))
    if share < 1:
        size = (max(1, round(height * share)), max(1, round(width * share)))
        pixels = F.interpolate(pixels, size=size, mode="area")
    finite = torch.nan_to_num(pixels, nan=0.0, posinf=1.0, neginf=0.0)
    return (finite.clamp(0, 1) * 255).to(torch.uint8).movedim(1, -1).cpu()
