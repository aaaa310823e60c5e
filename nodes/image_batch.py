"""Batches and planes of pictures: menu `image/batch`."""

from typing import Annotated

import torch

from diffusion.images.color import rgb_to_yuv, yuv_to_rgb
from nodes.declare import node
from nodes.markers import Number, Out
from nodes.wire import Image

Amount = Annotated[int, Number(1, 4096)]


@node("ImageFromBatch", category="image/batch")
def image_from_batch(*, image: Image, batch_index: Annotated[int, Number(0, 4095)] = 0, length: Amount = 1) -> Image:
    """Take pictures out of a batch; a position past the end takes the last one."""
    start = min(max(0, batch_index), len(image) - 1)
    return image[start : start + length].clone()


@node("RepeatImageBatch", category="image/batch")
def repeat_image_batch(*, image: Image, amount: Amount = 1) -> Image:
    """Repeat a batch."""
    return image.repeat(amount, 1, 1, 1)


@node("RebatchImages", category="image/batch", title="Rebatch Images")
def rebatch_images(*, images: list[Image], batch_size: Amount = 1) -> list[Image]:
    """Make batches of another size out of all pictures; a change of picture size begins a new batch."""
    batches: list[list[torch.Tensor]] = []
    for picture in (one for batch in images for one in batch):
        if not batches or len(batches[-1]) == batch_size or batches[-1][0].shape != picture.shape:
            batches.append([])
        batches[-1].append(picture)
    return [torch.stack(batch) for batch in batches]


Plane = Image


@node("ImageRGBToYUV", category="image/batch", modern=True)
def image_rgb_to_yuv(
    *, image: Image
) -> tuple[Annotated[Plane, Out("Y")], Annotated[Plane, Out("U")], Annotated[Plane, Out("V")]]:
    """Split a picture into brightness and two colour differences, each as a grey picture."""
    luma, blue, red = rgb_to_yuv(image).unbind(-1)
    return grey(luma), grey(blue), grey(red)


@node("ImageYUVToRGB", category="image/batch", modern=True)
def image_yuv_to_rgb(*, Y: Image, U: Image, V: Image) -> Image:
    """Put a picture together from brightness and two colour differences."""
    return yuv_to_rgb(torch.stack([plane.mean(-1) for plane in (Y, U, V)], dim=-1)).clamp(0, 1)


def grey(plane: torch.Tensor) -> torch.Tensor:
    return plane[..., None].repeat(1, 1, 1, 3)
