"""Pictures of unfinished work, in the forms packs hand them over, as encoded files."""

from io import BytesIO
from typing import Any, Literal

from PIL import Image
from torch import Tensor

from compat.world import world
from diffusion.images.codec import to_pil
from nodes.previews import JPEG_QUALITY, Previews


def preview_of(picture: Any, size: int | Literal["preview"] | None) -> tuple[bytes, Literal["jpeg", "png"]]:
    """A JPEG of a PIL image or of pixels (B, H, W, C) or (H, W, C) in 0…1, of which the first is shown; for a triple
    (format, PIL image, longer side) what it says. size: the longer side at most, in pixels; None leaves it; "preview"
    is what the user set.

    Raises TypeError for anything else."""
    if isinstance(picture, tuple):
        kind, image, longest = picture  # pyright: ignore[reportUnknownVariableType]  # a pack's
        return encoded(_bounded(_image(image), longest), str(kind))  # pyright: ignore[reportUnknownArgumentType]
    return encoded(_bounded(_image(picture), _usual_size() if size == "preview" else size), "JPEG")


def encoded(image: Image.Image, kind: str) -> tuple[bytes, Literal["jpeg", "png"]]:
    """kind: "PNG"; anything else is a JPEG."""
    buffer = BytesIO()
    if kind.upper() == "PNG":
        image.save(buffer, "PNG", compress_level=1)
        return buffer.getvalue(), "png"
    image.convert("RGB").save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue(), "jpeg"


def _image(picture: Any) -> Image.Image:
    match picture:
        case Image.Image():
            return picture
        case Tensor():
            return to_pil(picture[0] if picture.ndim == 4 else picture)
        case _:
            raise TypeError(f"a preview must be a PIL image or pixels (B, H, W, C), got {type(picture).__name__}")


def _bounded(image: Image.Image, longest: int | None) -> Image.Image:
    if longest is None or max(image.size) <= longest:
        return image
    factor = longest / max(image.size)
    return image.resize((max(1, round(image.width * factor)), max(1, round(image.height * factor))))


def _usual_size() -> int:
    previews = world().capabilities.get(Previews)
    return previews.size if isinstance(previews, Previews) else Previews().size
