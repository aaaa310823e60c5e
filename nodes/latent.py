"""Latents as pictures are handled: menus `latent`, `latent/transform`, `latent/inpaint`. Sizes are in pixels."""

from typing import Annotated

import torch

from diffusion.images.batch import repeat_to
from diffusion.images.composite import paste, paste_feathered
from diffusion.images.resize import resize
from nodes.declare import node
from nodes.markers import Choice, Number
from nodes.wire import Latent, Mask

PIXELS_PER_CELL = 8
CHANNELS = 4

Side = Annotated[int, Number(16, 16384, step=8)]
Side16 = Annotated[int, Number(16, 16384, step=16)]
Offset = Annotated[int, Number(0, 16384, step=8)]
Method = Annotated[str, Choice(["nearest-exact", "bilinear", "area", "bicubic", "bislerp"])]
QUARTERS = {"none": 0, "90 degrees": 1, "180 degrees": 2, "270 degrees": 3}


@node("EmptyLatentImage", category="latent", title="Empty Latent Image")
def empty_latent_image(
    *, width: Side = 512, height: Side = 512, batch_size: Annotated[int, Number(1, 4096)] = 1
) -> Latent:
    """A latent of zeros, to begin a picture from noise."""
    cells = height // PIXELS_PER_CELL, width // PIXELS_PER_CELL
    if min(cells) < 1:
        raise ValueError(f"expected at least {PIXELS_PER_CELL} × {PIXELS_PER_CELL} pixels, got {width} × {height}")
    return {"samples": torch.zeros(batch_size, CHANNELS, *cells)}


@node("EmptySD3LatentImage", category="latent/sd3", modern=True)
def empty_sd3_latent_image(
    *, width: Side16 = 1024, height: Side16 = 1024, batch_size: Annotated[int, Number(1, 4096)] = 1
) -> Latent:
    """A latent of zeros for models with sixteen channels: SD3, Flux and their relatives."""
    return {"samples": torch.zeros(batch_size, 16, height // PIXELS_PER_CELL, width // PIXELS_PER_CELL)}


@node("LatentUpscale", category="latent", title="Upscale Latent")
def latent_upscale(
    *,
    samples: Latent,
    upscale_method: Method,
    width: Annotated[int, Number(0, 16384, step=8)] = 512,
    height: Annotated[int, Number(0, 16384, step=8)] = 512,
    crop: Annotated[str, Choice(["disabled", "center"])],
) -> Latent:
    """Scale a latent to a size.

    width: 0 keeps the ratio.
    height: 0 keeps the ratio.
    """
    if width == 0 and height == 0:
        return samples
    x = samples["samples"]
    if width == 0:
        height = max(64, height)
        width = max(64, round(x.shape[-1] * height / x.shape[-2]))
    elif height == 0:
        width = max(64, width)
        height = max(64, round(x.shape[-2] * width / x.shape[-1]))
    width, height = max(64, width), max(64, height)
    scaled = resize(x, width // PIXELS_PER_CELL, height // PIXELS_PER_CELL, upscale_method, crop == "center")
    return {**samples, "samples": scaled}


@node("LatentUpscaleBy", category="latent", title="Upscale Latent By")
def latent_upscale_by(
    *, samples: Latent, upscale_method: Method, scale_by: Annotated[float, Number(0.01, 8, step=0.01)] = 1.5
) -> Latent:
    """Scale a latent by a factor."""
    x = samples["samples"]
    width, height = round(x.shape[-1] * scale_by), round(x.shape[-2] * scale_by)
    return {**samples, "samples": resize(x, width, height, upscale_method)}


@node("LatentComposite", category="latent", title="Latent Composite")
def latent_composite(
    *, samples_to: Latent, samples_from: Latent, x: Offset = 0, y: Offset = 0, feather: Offset = 0
) -> Latent:
    """Paste one latent into another.

    feather: over how many pixels the pasted edges fade.
    """
    below, above = samples_to["samples"], samples_from["samples"]
    at = x // PIXELS_PER_CELL, y // PIXELS_PER_CELL
    return {**samples_to, "samples": paste_feathered(below, above, *at, feather // PIXELS_PER_CELL)}


@node("LatentCompositeMasked", category="latent")
def latent_composite_masked(
    *,
    destination: Latent,
    source: Latent,
    x: Offset = 0,
    y: Offset = 0,
    resize_source: bool = False,
    mask: Mask | None = None,
) -> Latent:
    """Paste one latent into another where a mask selects."""
    at = x // PIXELS_PER_CELL, y // PIXELS_PER_CELL
    pasted = paste(destination["samples"], source["samples"], *at, mask, fit=resize_source)
    return {**destination, "samples": pasted}


@node("LatentBlend", category="_for_testing", title="Latent Blend")
def latent_blend(
    *, samples1: Latent, samples2: Latent, blend_factor: Annotated[float, Number(0, 1, step=0.01)] = 0.5
) -> Latent:
    """Mix two latents; 1 keeps the first."""
    first, second = samples1["samples"], samples2["samples"]
    if first.shape[2:] != second.shape[2:]:
        second = resize(second, first.shape[-1], first.shape[-2], "bicubic", crop=True)
    return {**samples1, "samples": torch.lerp(repeat_to(second, len(first)), first, blend_factor)}


@node("LatentRotate", category="latent/transform", title="Rotate Latent")
def latent_rotate(*, samples: Latent, rotation: Annotated[str, Choice(list(QUARTERS))]) -> Latent:
    """Turn a latent clockwise."""
    return {**samples, "samples": torch.rot90(samples["samples"], QUARTERS[rotation], (-1, -2))}


@node("LatentFlip", category="latent/transform", title="Flip Latent")
def latent_flip(
    *, samples: Latent, flip_method: Annotated[str, Choice(["x-axis: vertically", "y-axis: horizontally"])]
) -> Latent:
    """Mirror a latent."""
    return {**samples, "samples": samples["samples"].flip(-2 if flip_method.startswith("x") else -1)}


@node("LatentCrop", category="latent/transform", title="Crop Latent")
def latent_crop(
    *,
    samples: Latent,
    width: Annotated[int, Number(64, 16384, step=8)] = 512,
    height: Annotated[int, Number(64, 16384, step=8)] = 512,
    x: Offset = 0,
    y: Offset = 0,
) -> Latent:
    """Cut a rectangle out of a latent; at least 64 pixels are left at the right and bottom edges."""
    whole = samples["samples"]
    least = 64 // PIXELS_PER_CELL
    left = max(0, min(x // PIXELS_PER_CELL, whole.shape[-1] - least))
    top = max(0, min(y // PIXELS_PER_CELL, whole.shape[-2] - least))
    high, wide = height // PIXELS_PER_CELL, width // PIXELS_PER_CELL
    return {**samples, "samples": whole[..., top : top + high, left : left + wide].clone()}


@node("SetLatentNoiseMask", category="latent/inpaint", title="Set Latent Noise Mask")
def set_latent_noise_mask(*, samples: Latent, mask: Mask) -> Latent:
    """Denoise a latent only where a mask selects."""
    return {**samples, "noise_mask": mask[:, None].clone()}
