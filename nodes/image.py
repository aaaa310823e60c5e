"""Making and joining pictures: menu `image`."""

from typing import Annotated

import torch

from diffusion.images.batch import repeat_to, same_channels, with_channels
from diffusion.images.canvas import pad_for_outpaint
from diffusion.images.composite import paste
from diffusion.images.noise import add_noise
from diffusion.images.resize import resize
from execution.context import Run
from nodes.declare import node
from nodes.markers import SEED, Given, Number, Out
from nodes.wire import Image, Mask

Pixels = Annotated[int, Number(1, 16384, step=1)]
Offset = Annotated[int, Number(0, 16384, step=1)]
Margin = Annotated[int, Number(0, 16384, step=8)]
Amount = Annotated[int, Number(1, 4096)]
Color = Annotated[int, Number(0, 0xFFFFFF, step=1, display="color")]


@node("EmptyImage", category="image")
def empty_image(*, width: Pixels = 512, height: Pixels = 512, batch_size: Amount = 1, color: Color = 0) -> Image:
    """A picture of one colour.

    color: 0xRRGGBB.
    """
    rgb = torch.tensor([color >> 16 & 0xFF, color >> 8 & 0xFF, color & 0xFF]) / 255
    return rgb.expand(batch_size, height, width, 3).clone()


@node("ImageInvert", category="image", title="Invert Image")
def image_invert(*, image: Image) -> Image:
    """The negative of a picture."""
    return 1 - image


@node("ImageBatch", category="image", title="Batch Images")
def image_batch(*, image1: Image, image2: Image) -> Image:
    """Put pictures into one batch; the second ones are scaled and cropped to the size of the first."""
    first, second = same_channels(image1, image2)
    if first.shape[1:3] != second.shape[1:3]:
        second = resize(second.movedim(-1, 1), first.shape[2], first.shape[1], "bilinear", crop=True).movedim(1, -1)
    return torch.cat((first, second))


@node("ImagePadForOutpaint", category="image", title="Pad Image for Outpainting")
def image_pad_for_outpaint(
    *,
    image: Image,
    left: Margin = 0,
    top: Margin = 0,
    right: Margin = 0,
    bottom: Margin = 0,
    feathering: Annotated[int, Number(0, 16384, step=1)] = 40,
) -> tuple[Image, Mask]:
    """Make room around a picture, and the mask of that room.

    feathering: how many pixels the mask reaches into the picture, fading.
    """
    return pad_for_outpaint(image, left, top, right, bottom, feathering)


@node("ImageCompositeMasked", category="image")
def image_composite_masked(
    *,
    destination: Image,
    source: Image,
    x: Offset = 0,
    y: Offset = 0,
    resize_source: bool = False,
    mask: Mask | None = None,
) -> Image:
    """Paste one picture into another.

    mask: where the source shows; of any size.
    """
    below, above = destination.movedim(-1, 1), with_channels(source, destination.shape[-1]).movedim(-1, 1)
    return paste(below, repeat_to(above, len(below)), x, y, mask, fit=resize_source).movedim(1, -1)


@node("GetImageSize", category="image", title="Get Image Size", modern=True, hidden={"unique_id": "UNIQUE_ID"})
def get_image_size(
    *, image: Image, run: Given[Run]
) -> tuple[Annotated[int, Out("width")], Annotated[int, Out("height")], Annotated[int, Out("batch_size")]]:
    """Measure a picture, and show the result beside the node."""
    batch, height, width = image.shape[:3]
    run.text(f"width: {width}, height: {height}\n batch size: {batch}")
    return width, height, batch


@node("ImageAddNoise", category="image", modern=True, title="ImageAddNoise")
def image_add_noise(
    *, image: Image, seed: Annotated[int, SEED] = 0, strength: Annotated[float, Number(0, 1, step=0.01)] = 0.5
) -> Image:
    """Add Gaussian noise to a picture."""
    return add_noise(image, seed, strength)
