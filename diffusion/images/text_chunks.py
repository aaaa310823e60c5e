"""Words inside picture files: where PNG, animated PNG and WEBP keep them. `texts` maps keyword → text everywhere."""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from PIL import Image, PngImagePlugin

EXIF_MODEL = 0x0110
"""The EXIF tag of a WEBP's first text ("Model"); the next goes into 0x010F ("Make"), and so on down."""


def encode_png(picture: Image.Image, texts: Mapping[str, str], compress_level: int = 4) -> bytes:
    """tEXt chunks before the pixels (PNG specification, 11.3.3.2)."""
    chunks = PngImagePlugin.PngInfo()
    for keyword, text in texts.items():
        chunks.add_text(keyword, text)
    return saved(picture, "PNG", pnginfo=chunks, compress_level=compress_level)


def encode_animated_png(frames: list[Image.Image], fps: float, texts: Mapping[str, str], compress_level: int) -> bytes:
    """Texts follow the pixels in private `comf` chunks: keyword, NUL, text, in latin-1."""
    chunks = PngImagePlugin.PngInfo()
    for keyword, text in texts.items():
        chunks.add(b"comf", keyword.encode("latin-1") + b"\0" + text.encode("latin-1"), after_idat=True)
    return saved(
        frames[0],
        "PNG",
        pnginfo=chunks,
        compress_level=compress_level,
        save_all=True,
        append_images=frames[1:],
        duration=int(1000 / fps),
    )


def encode_animated_webp(
    frames: list[Image.Image], fps: float, texts: Mapping[str, str], lossless: bool, quality: int, method: int
) -> bytes:
    """quality: 0…100. method: 0 fastest … 6 slowest. Texts become EXIF entries `keyword:text`."""
    exif = frames[0].getexif()
    for place, (keyword, text) in enumerate(texts.items()):
        exif[EXIF_MODEL - place] = f"{keyword}:{text}"
    return saved(
        frames[0],
        "WEBP",
        exif=exif,
        save_all=True,
        append_images=frames[1:],
        duration=int(1000 / fps),
        lossless=lossless,
        quality=quality,
        method=method,
    )


def saved(picture: Image.Image, format: str, **options: Any) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()
