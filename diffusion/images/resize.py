"""Changing the size of pictures, masks and latents."""

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from diffusion.images.bislerp import bislerp

METHODS = ("nearest-exact", "bilinear", "area", "bicubic", "lanczos", "bislerp")


def resize(x: Tensor, width: int, height: int, method: str, crop: bool = False) -> Tensor:
    """x: (B, C, H, W), or (B, C, T, H, W) resized frame by frame → the same with `height`, `width`.

    method: one of METHODS. Interpolation has no antialiasing except in "lanczos", which goes through 8 bits as PIL
    does it, and "area". crop: first cut the middle out of x in the new aspect ratio, so that nothing is stretched.
    """
    if width < 1 or height < 1:
        raise ValueError(f"expected a size of at least 1 × 1, got {width} × {height}")
    if method not in METHODS:
        raise ValueError(f"expected a method out of {', '.join(METHODS)}; got {method!r}")
    if x.ndim == 5:
        frames = x.movedim(2, 1)
        small = resize(frames.flatten(0, 1), width, height, method, crop)
        return small.reshape(*frames.shape[:3], height, width).movedim(1, 2)
    if crop:
        x = crop_to_aspect(x, width / height)
    match method:
        case "lanczos":
            return lanczos(x, width, height)
        case "bislerp":
            return bislerp(x, width, height)
        case _:
            return F.interpolate(x, size=(height, width), mode=method)


def crop_to_aspect(x: Tensor, aspect: float) -> Tensor:
    """The largest middle part of x (…, H, W) whose width / height is `aspect`."""
    height, width = x.shape[-2:]
    left = round((width - width * (aspect / (width / height))) / 2) if width / height > aspect else 0
    top = round((height - height * ((width / height) / aspect)) / 2) if width / height < aspect else 0
    return x[..., top : height - top, left : width - left]


def lanczos(x: Tensor, width: int, height: int) -> Tensor:
    """x: (B, C, H, W) in 0…1, quantised to 8 bits. Channel counts without a PIL mode are done channel by channel."""
    if x.shape[1] not in (1, 3, 4):
        return torch.cat([lanczos(channel[:, None], width, height) for channel in x.unbind(1)], dim=1)
    pictures = (x.movedim(1, -1).clamp(0, 1) * 255).to(torch.uint8).cpu().numpy()
    resized = [
        np.asarray(
            Image.fromarray(p[..., 0] if x.shape[1] == 1 else p).resize((width, height), Image.Resampling.LANCZOS)
        )
        for p in pictures
    ]
    stacked = torch.as_tensor(np.stack(resized)).to(x.dtype).div_(255).reshape(len(x), height, width, x.shape[1])
    return stacked.movedim(-1, 1).to(x.device)


def keeping_ratio(width: int, height: int, new_width: int, new_height: int) -> tuple[int, int]:
    """The new (width, height), where a 0 means "whatever keeps the ratio" and two of them "as it is"."""
    if new_width == 0 and new_height == 0:
        return width, height
    if new_width == 0:
        return max(1, round(width * new_height / height)), new_height
    if new_height == 0:
        return new_width, max(1, round(height * new_width / width))
    return new_width, new_height
