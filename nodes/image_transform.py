"""Cutting, turning and joining pictures: menu `image/transform`."""

from typing import Annotated

import torch

from diffusion.images.canvas import fit_into, stitch
from nodes.declare import node
from nodes.markers import Choice, Number
from nodes.wire import Image

Pixels = Annotated[int, Number(1, 16384, step=1)]
Offset = Annotated[int, Number(0, 16384, step=1)]
QUARTERS = {"none": 0, "90 degrees": 1, "180 degrees": 2, "270 degrees": 3}
Quarters = Annotated[str, Choice(list(QUARTERS))]
Axis = Annotated[str, Choice(["x-axis: vertically", "y-axis: horizontally"])]


@node("ImageCrop", category="image/transform", title="Image Crop")
def image_crop(*, image: Image, width: Pixels = 512, height: Pixels = 512, x: Offset = 0, y: Offset = 0) -> Image:
    """Cut a rectangle out of a picture; what lies outside is left away."""
    left, top = min(x, image.shape[2] - 1), min(y, image.shape[1] - 1)
    return image[:, top : top + height, left : left + width].clone()


@node("ImageRotate", category="image/transform", title="ImageRotate")
def image_rotate(*, image: Image, rotation: Quarters) -> Image:
    """Turn a picture clockwise."""
    return torch.rot90(image, QUARTERS[rotation], (2, 1))


@node("ImageFlip", category="image/transform", title="ImageFlip")
def image_flip(*, image: Image, flip_method: Axis) -> Image:
    """Mirror a picture."""
    return image.flip(1 if flip_method.startswith("x") else 2)


@node("ImageStitch", category="image/transform", title="Image Stitch")
def image_stitch(
    *,
    image1: Image,
    direction: Annotated[str, Choice(["right", "down", "left", "up"])] = "right",
    match_image_size: bool = True,
    spacing_width: Annotated[int, Number(0, 1024, step=2)] = 0,
    spacing_color: Annotated[str, Choice(["white", "black", "red", "green", "blue"])] = "white",
    image2: Image | None = None,
) -> Image:
    """Put two pictures side by side.

    direction: where the second picture goes.
    match_image_size: scale the second picture so that the touching sides are equal.
    """
    if image2 is None:
        return image1
    return stitch(image1, image2, direction, match_image_size, spacing_width, spacing_color)


@node("ResizeAndPadImage", category="image/transform", title="ResizeAndPadImage")
def resize_and_pad_image(
    *,
    image: Image,
    target_width: Pixels = 512,
    target_height: Pixels = 512,
    padding_color: Annotated[str, Choice(["white", "black"])],
    interpolation: Annotated[str, Choice(["area", "bicubic", "nearest-exact", "bilinear", "lanczos"])],
) -> Image:
    """Scale a picture to fit into a frame and fill what is left."""
    return fit_into(image, target_width, target_height, padding_color, interpolation)
