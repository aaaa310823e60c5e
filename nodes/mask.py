"""Masks: menus `mask` and `mask/compositing`."""

from typing import Annotated

import torch

from diffusion.images import masks, morphology
from diffusion.images.batch import repeat_to, with_channels
from diffusion.images.color import is_color
from diffusion.images.porter_duff import MODES, composite
from diffusion.images.resize import resize
from nodes.declare import node
from nodes.markers import Choice, Number
from nodes.wire import Image, Mask

Pixels = Annotated[int, Number(1, 16384, step=1)]
Offset = Annotated[int, Number(0, 16384, step=1)]
CHANNELS = ["red", "green", "blue", "alpha"]


@node("MaskToImage", category="mask", title="Convert Mask to Image")
def mask_to_image(*, mask: Mask) -> Image:
    """Show a mask as a grey picture."""
    return mask[..., None].repeat(1, 1, 1, 3)


@node("ImageToMask", category="mask", title="Convert Image to Mask")
def image_to_mask(*, image: Image, channel: Annotated[str, Choice(CHANNELS)]) -> Mask:
    """Use one channel of a picture as a mask."""
    place = CHANNELS.index(channel)
    if place >= image.shape[-1]:
        raise ValueError(f"the picture has {image.shape[-1]} channels and no {channel}; load its mask instead")
    return image[..., place].clone()


@node("ImageColorToMask", category="mask")
def image_color_to_mask(
    *, image: Image, color: Annotated[int, Number(0, 0xFFFFFF, step=1, display="color")] = 0
) -> Mask:
    """Select what has exactly one colour.

    color: 0xRRGGBB.
    """
    return is_color(image, color)


@node("SolidMask", category="mask")
def solid_mask(
    *, value: Annotated[float, Number(0, 1, step=0.01)] = 1.0, width: Pixels = 512, height: Pixels = 512
) -> Mask:
    """A mask of one value."""
    return torch.full((1, height, width), value)


@node("InvertMask", category="mask")
def invert_mask(*, mask: Mask) -> Mask:
    """Select what was not selected."""
    return 1 - mask


@node("CropMask", category="mask")
def crop_mask(*, mask: Mask, x: Offset = 0, y: Offset = 0, width: Pixels = 512, height: Pixels = 512) -> Mask:
    """Cut a rectangle out of a mask."""
    if y >= mask.shape[1] or x >= mask.shape[2]:
        raise ValueError(f"({x}, {y}) lies outside the mask of {mask.shape[2]} × {mask.shape[1]}")
    return mask[:, y : y + height, x : x + width].clone()


@node("MaskComposite", category="mask")
def mask_composite(
    *,
    destination: Mask,
    source: Mask,
    x: Offset = 0,
    y: Offset = 0,
    operation: Annotated[str, Choice(list(masks.COMBINE))],
) -> Mask:
    """Combine two masks, the second at a place in the first."""
    return masks.combine(destination, source, x, y, operation)


@node("FeatherMask", category="mask")
def feather_mask(*, mask: Mask, left: Offset = 0, top: Offset = 0, right: Offset = 0, bottom: Offset = 0) -> Mask:
    """Fade a mask out towards its edges."""
    return masks.feather(mask, left, top, right, bottom)


@node("GrowMask", category="mask", title="GrowMask")
def grow_mask(
    *, mask: Mask, expand: Annotated[int, Number(-16384, 16384, step=1)] = 0, tapered_corners: bool = True
) -> Mask:
    """Make the selected part larger, or smaller with a negative number.

    tapered_corners: corners grow into slants instead of corners.
    """
    return morphology.grow(mask, expand, tapered_corners)


@node("ThresholdMask", category="mask")
def threshold_mask(*, mask: Mask, value: Annotated[float, Number(0, 1, step=0.01)] = 0.5) -> Mask:
    """Select fully what is over a value, and nothing else."""
    return (mask > value).to(mask)


@node("JoinImageWithAlpha", category="mask/compositing", title="Join Image with Alpha")
def join_image_with_alpha(*, image: Image, alpha: Mask) -> Image:
    """Make a picture transparent where a mask selects."""
    batch = max(len(image), len(alpha))
    opaque = 1 - fitted(alpha, image)
    return torch.cat((repeat_to(image[..., :3], batch), repeat_to(opaque, batch)[..., None]), dim=-1)


@node("SplitImageWithAlpha", category="mask/compositing", title="Split Image with Alpha")
def split_image_with_alpha(*, image: Image) -> tuple[Image, Mask]:
    """Separate a picture from its transparency, 1 where it is transparent."""
    return image[..., :3].clone(), 1 - with_channels(image, 4)[..., 3]


@node("PorterDuffImageComposite", category="mask/compositing", title="Porter-Duff Image Composite", modern=True)
def porter_duff_image_composite(
    *,
    source: Image,
    source_alpha: Mask,
    destination: Image,
    destination_alpha: Mask,
    mode: Annotated[str, Choice(sorted(MODES))] = "DST",
) -> tuple[Image, Mask]:
    """Composite pictures with transparency; masks are 1 where a picture is transparent."""
    batch = min(len(source), len(source_alpha), len(destination), len(destination_alpha))
    source, destination = source[:batch], destination[:batch]
    height, width = destination.shape[1:3]
    if source.shape[1:3] != destination.shape[1:3]:
        source = resize(source.movedim(-1, 1), width, height, "bicubic", crop=True).movedim(1, -1).clamp(0, 1)
    covers = [1 - fitted(mask[:batch], destination) for mask in (source_alpha, destination_alpha)]
    channels = destination.shape[-1]
    picture, alpha = composite(with_channels(source, channels), covers[0], destination, covers[1], mode)
    return picture, 1 - alpha


def fitted(mask: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    """A mask at the size of a picture (B, H, W, C)."""
    if mask.shape[1:] == image.shape[1:3]:
        return mask
    return resize(mask[:, None], image.shape[2], image.shape[1], "bilinear")[:, 0]
