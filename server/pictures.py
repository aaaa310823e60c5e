"""Re-encoding of pictures for clients: smaller, without alpha, alpha alone, a mask laid over. Blocking: in a thread.

Sizes are looked at before anything is decoded, and they are worked on one after the other: this process stays small.
"""

import asyncio
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from PIL import Image, PngImagePlugin, UnidentifiedImageError

MOST_PIXELS = 80_000_000
AT_ONCE = 1  # a picture of 16 megapixels takes 200 MB while it is encoded, two at once twice that

T = TypeVar("T")


class NotAPicture(ValueError):
    """The file cannot be shown as a picture. The message says why."""


class Pictures:
    """Runs picture work in threads, one after the other."""

    def __init__(self):
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def make(self, work: Callable[[], T]) -> T:
        """Raises NotAPicture."""
        async with self._turn:
            return await asyncio.to_thread(_guarded, work)


def preview(source: Path | BinaryIO, format: str, quality: int, alpha: bool = True) -> tuple[bytes, str]:
    """The picture as "webp" or "jpeg", and its media type. alpha: keep it where the format can."""
    image = _open(source)
    with_alpha = alpha and format == "webp" and _has_alpha(image)
    if image.mode not in ("RGB", "RGBA") or with_alpha != (image.mode == "RGBA"):
        image = image.convert("RGBA" if with_alpha else "RGB")
    target = io.BytesIO()
    options = {"method": 0} if format == "webp" else {}  # a preview is looked at once: be quick rather than small
    image.save(target, format=format, quality=quality, **options)
    return target.getvalue(), f"image/{format}"


def without_alpha(source: Path) -> bytes:
    """The colours as PNG."""
    return _png(_open(source).convert("RGB"))


def alpha_only(source: Path) -> bytes:
    """A black RGBA PNG that has the picture's alpha; opaque where it has none."""
    image = _open(source)
    alpha = image.convert("RGBA").getchannel("A") if _has_alpha(image) else Image.new("L", image.size, 255)
    black = Image.new("RGBA", image.size, (0, 0, 0, 255))
    black.putalpha(alpha)
    return _png(black)


def masked(original: Path, mask: Path) -> bytes:
    """The original with the alpha of the mask, as PNG; text chunks of the original are kept."""
    picture, overlay = _open(original), _open(mask)
    if picture.size != overlay.size:
        raise NotAPicture(f"the mask is {_size(overlay)} pixels, the original {_size(picture)}; they must agree")
    texts: dict[str, Any] = getattr(picture, "text", {})
    kept = PngImagePlugin.PngInfo()
    for key, value in texts.items():
        kept.add_text(key, value)
    result = picture.convert("RGBA")
    result.putalpha(overlay.convert("RGBA").getchannel("A"))
    target = io.BytesIO()
    result.save(target, format="PNG", compress_level=4, pnginfo=kept)
    return target.getvalue()


def _open(source: Path | BinaryIO) -> Image.Image:
    image = Image.open(source)
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise NotAPicture(f"{width} x {height} pixels are too many to re-encode here; at most {MOST_PIXELS} are")
    image.load()
    return image


def _guarded(work: Callable[[], T]) -> T:
    try:
        return work()
    except NotAPicture:
        raise
    except UnidentifiedImageError:
        raise NotAPicture("this file is no picture in a format we know") from None
    # Damaged files raise all of these from Pillow's decoders.
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as e:
        raise NotAPicture(f"this picture cannot be read: {e}") from e


def _has_alpha(image: Image.Image) -> bool:
    return "A" in image.getbands() or "transparency" in image.info


def _png(image: Image.Image) -> bytes:
    target = io.BytesIO()
    image.save(target, format="PNG", compress_level=1)
    return target.getvalue()


def _size(image: Image.Image) -> str:
    return f"{image.width} x {image.height}"
