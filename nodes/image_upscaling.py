"""Changing the size of pictures: menu `image/upscaling`."""

import math
from typing import Annotated

from diffusion.images.resize import keeping_ratio, resize
from nodes.declare import node
from nodes.markers import Choice, Number
from nodes.wire import Image

Method = Annotated[str, Choice(["nearest-exact", "bilinear", "area", "bicubic", "lanczos"])]
Side = Annotated[int, Number(0, 16384, step=1)]
Crop = Annotated[str, Choice(["disabled", "center"])]


def scaled(image: Image, width: int, height: int, method: str, crop: bool = False) -> Image:
    return resize(image.movedim(-1, 1), width, height, method, crop).movedim(1, -1)


@node("ImageScale", category="image/upscaling", title="Upscale Image")
def image_scale(*, image: Image, upscale_method: Method, width: Side = 512, height: Side = 512, crop: Crop) -> Image:
    """Scale a picture to a size.

    width: 0 keeps the ratio.
    height: 0 keeps the ratio.
    crop: center cuts the picture to the new ratio first, so that nothing is stretched.
    """
    if width == 0 and height == 0:
        return image
    width, height = keeping_ratio(image.shape[2], image.shape[1], width, height)
    return scaled(image, width, height, upscale_method, crop == "center")


@node("ImageScaleBy", category="image/upscaling", title="Upscale Image By")
def image_scale_by(
    *, image: Image, upscale_method: Method, scale_by: Annotated[float, Number(0.01, 8, step=0.01)] = 1.0
) -> Image:
    """Scale a picture by a factor."""
    return scaled(image, round(image.shape[2] * scale_by), round(image.shape[1] * scale_by), upscale_method)


@node("ImageScaleToMaxDimension", category="image/upscaling", title="ImageScaleToMaxDimension")
def image_scale_to_max_dimension(
    *,
    image: Image,
    upscale_method: Annotated[str, Choice(["area", "lanczos", "bilinear", "nearest-exact", "bilinear", "bicubic"])],
    largest_size: Side = 512,
) -> Image:
    """Scale a picture so that its longer side has a given length."""
    height, width = image.shape[1:3]
    factor = largest_size / max(height, width)
    return scaled(image, round(width * factor), round(height * factor), upscale_method)


@node("ImageScaleToTotalPixels", category="image/upscaling", modern=True)
def image_scale_to_total_pixels(
    *, image: Image, upscale_method: Method, megapixels: Annotated[float, Number(0.01, 16, step=0.01)] = 1.0
) -> Image:
    """Scale a picture to a number of pixels, keeping its ratio.

    megapixels: of 1024 × 1024 pixels.
    """
    height, width = image.shape[1:3]
    factor = math.sqrt(megapixels * 1024 * 1024 / (width * height))
    return scaled(image, round(width * factor), round(height * factor), upscale_method)
