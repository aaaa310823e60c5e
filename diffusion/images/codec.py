"""Between tensors and picture files. Pictures here are channels-last: (B, H, W, C), 0…1."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError
from torch import Tensor

NO_MASK = (64, 64)
"""Size of the empty mask of a picture without alpha."""

# What a header may claim before anything is decoded.
MOST_PIXELS, LONGEST_SIDE, MOST_STRETCHED, MOST_FRAMES = 128_000_000, 32_768, 1000, 512


class UnreadableImage(ValueError):
    """A file that should be a picture and is not, or is damaged."""


@dataclass(frozen=True)
class Picture:
    """pixels: (B, H, W, 3), one per frame. mask: (B, H, W), 1 where transparent; all zeros if there is no alpha."""

    pixels: Tensor
    mask: Tensor


def to_pil(image: Tensor) -> Image.Image:
    """image: (H, W, C) with C 1, 3 or 4. Values are clipped and cut, not rounded, to 8 bits; NaN is refused."""
    if not torch.isfinite(image).all():
        raise ValueError("the picture holds values that are not numbers (NaN or infinite); expected 0…1")
    levels = (image.detach().cpu().float() * 255).clamp(0, 255).to(torch.uint8).numpy()
    return Image.fromarray(levels[..., 0] if levels.shape[-1] == 1 else levels)


def to_tensor(frame: Image.Image) -> Tensor:
    """(H, W, C), C as many as the frame has bands. 16-bit grey keeps its precision."""
    if frame.mode.startswith("I"):
        levels = torch.as_tensor(np.array(frame, dtype=np.float32))
        return (levels / 65535).clamp(0, 1)[..., None]
    if frame.mode == "F":
        return torch.as_tensor(np.array(frame, dtype=np.float32)).clamp(0, 1)[..., None]
    levels = torch.as_tensor(np.array(frame, dtype=np.uint8)).float() / 255
    return levels if levels.ndim == 3 else levels[..., None]


def to_rgb(frame: Image.Image) -> Tensor:
    """(H, W, 3)."""
    if frame.mode in ("F",) or frame.mode.startswith("I"):
        return to_tensor(frame).expand(-1, -1, 3)
    return to_tensor(frame.convert("RGB"))


def transparency(frame: Image.Image) -> Tensor | None:
    """(H, W), 1 where the frame is transparent; None without an alpha channel or a transparent palette entry."""
    if "A" in frame.getbands():
        return 1 - to_tensor(frame.getchannel("A"))[..., 0]
    if "transparency" in frame.info:
        return 1 - to_tensor(frame.convert("RGBA").getchannel("A"))[..., 0]
    return None


def read_picture(file: Any, name: str) -> Picture:
    """Reads a picture file, turned upright by its EXIF orientation, every frame of an animation.

    file: a path or a binary file. name: what to call it in messages. Frames of another size than the first are left
    out. A multi-picture file (MPO) holds variants of one picture, not an animation: only its first is read.
    Raises UnreadableImage.
    """
    try:
        with Image.open(file) as opened:
            pixels: list[Tensor] = []
            masks: list[Tensor] = []
            size: tuple[int, int] | None = None
            for number, frame in enumerate(ImageSequence.Iterator(opened)):
                _check(frame.size, number)
                upright = ImageOps.exif_transpose(frame)
                size = size or upright.size
                if upright.size == size:
                    alpha = transparency(upright)
                    pixels.append(to_rgb(upright))
                    masks.append(torch.zeros(NO_MASK) if alpha is None else alpha)
                if opened.format == "MPO":
                    break
    except UnidentifiedImageError as cause:
        raise UnreadableImage(f"{name} is not a picture in a format we can read") from cause
    except (OSError, SyntaxError, ValueError, EOFError) as cause:
        raise UnreadableImage(f"{name} cannot be read as a picture: {cause}") from cause
    except Image.DecompressionBombError as cause:
        raise UnreadableImage(f"{name} is too large to be a picture: {cause}") from cause
    full = [m for m in masks if tuple(m.shape) == tuple(pixels[0].shape[:2])]
    if full and len(full) < len(masks):  # some frames have alpha: the others are opaque all over
        masks = [m if tuple(m.shape) == tuple(pixels[0].shape[:2]) else torch.zeros_like(full[0]) for m in masks]
    return Picture(torch.stack(pixels), torch.stack(masks))


def _check(size: tuple[int, int], number: int) -> None:
    """Before a frame is decoded: what its header says is not more than anybody means. Raises UnreadableImage."""
    width, height = size
    if not width or not height:
        raise UnreadableImage(f"it is {width} x {height} pixels; there is nothing in it")
    if width * height > MOST_PIXELS or max(size) > LONGEST_SIDE:
        limit = f"{MOST_PIXELS:,} pixels and {LONGEST_SIDE:,} on a side"
        raise UnreadableImage(f"{width} x {height} pixels are over the limit of {limit}")
    if max(size) > MOST_STRETCHED * min(size):
        raise UnreadableImage(f"{width} x {height} pixels are longer than {MOST_STRETCHED:,} times their width")
    if number >= MOST_FRAMES:
        raise UnreadableImage(f"it has more than {MOST_FRAMES} frames")


def read_channel(file: Any, channel: str, name: str) -> Tensor:
    """One channel of a picture's first frame as a mask, (1, H, W). channel: "alpha" (1 where transparent), "red", …

    A channel the picture does not have gives an empty mask.
    """
    picture = read_picture(file, name)
    if channel == "alpha":
        return picture.mask[:1]
    return picture.pixels[:1, :, :, ("red", "green", "blue").index(channel)]
