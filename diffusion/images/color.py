"""Colour spaces, blending, single colours. Pictures are channels-last here: (B, H, W, C), 0…1."""

from collections.abc import Callable

import torch
from torch import Tensor


def rgb_to_yuv(image: Tensor) -> Tensor:
    """(…, 3) → luma and the two colour differences around 0.5, full range (ITU-R BT.601 as in JPEG)."""
    red, green, blue = image[..., 0], image[..., 1], image[..., 2]
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return torch.stack((luma, (blue - luma) * 0.564 + 0.5, (red - luma) * 0.713 + 0.5), dim=-1)


def yuv_to_rgb(image: Tensor) -> Tensor:
    """(…, 3) → the inverse of `rgb_to_yuv`, to three digits. Not clipped."""
    luma, blue, red = image[..., 0], image[..., 1] - 0.5, image[..., 2] - 0.5
    return torch.stack((luma + 1.403 * red, luma - 0.714 * red - 0.344 * blue, luma + 1.773 * blue), dim=-1)


def is_color(image: Tensor, color: int) -> Tensor:
    """(B, H, W), 1 where the picture is exactly 0xRRGGBB at 8 bits."""
    levels = (image[..., :3].clamp(0, 1) * 255).round().long()
    wanted = torch.tensor([color >> 16 & 0xFF, color >> 8 & 0xFF, color & 0xFF]).to(levels)
    return (levels == wanted).all(-1).to(image)


def overlay(below: Tensor, above: Tensor) -> Tensor:
    return torch.where(below <= 0.5, 2 * below * above, 1 - 2 * (1 - below) * (1 - above))


def soft_light(below: Tensor, above: Tensor) -> Tensor:
    """W3C Compositing and Blending Level 1, §10.1.10."""
    dodge = torch.where(below <= 0.25, ((16 * below - 12) * below + 4) * below, below.clamp(min=0).sqrt())
    darker = below - (1 - 2 * above) * below * (1 - below)
    return torch.where(above <= 0.5, darker, below + (2 * above - 1) * (dodge - below))


BLENDS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "normal": lambda below, above: above,
    "multiply": lambda below, above: below * above,
    "screen": lambda below, above: 1 - (1 - below) * (1 - above),
    "overlay": overlay,
    "soft_light": soft_light,
    # Signed, unlike W3C's "difference": where the upper picture is brighter, the result is black.
    "difference": lambda below, above: below - above,
}


def blend(below: Tensor, above: Tensor, mode: str, factor: float) -> Tensor:
    """`above` laid over `below` in a mode of BLENDS; factor 0 shows only `below`, 1 only the blend."""
    return torch.lerp(below, BLENDS[mode](below, above), factor).clamp(0, 1)
