"""Filters over finished pictures: menus `image/postprocessing` and `image/preprocessors`."""

from typing import Annotated

from diffusion.images import color, filters, morphology
from diffusion.images.canny import canny
from diffusion.images.quantize import quantize_batch
from diffusion.images.resize import resize
from nodes.declare import node
from nodes.markers import Choice, Number
from nodes.wire import Image

Radius = Annotated[int, Number(1, 31, step=1)]
Dither = Annotated[str, Choice(["none", "floyd-steinberg", "bayer-2", "bayer-4", "bayer-8", "bayer-16"])]
Threshold = Annotated[float, Number(0.01, 0.99, step=0.01)]


@node("ImageBlend", category="image/postprocessing", modern=True)
def image_blend(
    *,
    image1: Image,
    image2: Image,
    blend_factor: Annotated[float, Number(0, 1, step=0.01)] = 0.5,
    blend_mode: Annotated[str, Choice(["normal", "multiply", "screen", "overlay", "soft_light", "difference"])],
) -> Image:
    """Lay one picture over another; it is scaled and cropped to the size of the first."""
    above = image2[..., : image1.shape[-1]]
    if above.shape[1:3] != image1.shape[1:3]:
        above = resize(above.movedim(-1, 1), image1.shape[2], image1.shape[1], "bicubic", crop=True).movedim(1, -1)
    return color.blend(image1, above, blend_mode, blend_factor)


@node("ImageBlur", category="image/postprocessing", modern=True)
def image_blur(
    *, image: Image, blur_radius: Radius = 1, sigma: Annotated[float, Number(0.1, 10, step=0.1)] = 1.0
) -> Image:
    """Blur a picture with a Gaussian bell.

    sigma: width of the bell, in units of the radius.
    """
    return filters.blur(image.movedim(-1, 1), blur_radius, sigma).movedim(1, -1)


@node("ImageSharpen", category="image/postprocessing", modern=True)
def image_sharpen(
    *,
    image: Image,
    sharpen_radius: Radius = 1,
    sigma: Annotated[float, Number(0.1, 10, step=0.01)] = 1.0,
    alpha: Annotated[float, Number(0, 5, step=0.01)] = 1.0,
) -> Image:
    """Sharpen a picture.

    alpha: how strongly; 0 changes nothing.
    """
    return filters.sharpen(image.movedim(-1, 1), sharpen_radius, sigma, alpha * 10).movedim(1, -1).clamp(0, 1)


@node("ImageQuantize", category="image/postprocessing", modern=True)
def image_quantize(*, image: Image, colors: Annotated[int, Number(1, 256, step=1)] = 256, dither: Dither) -> Image:
    """Reduce a picture to a few colours."""
    return quantize_batch(image, colors, dither)


@node("Morphology", category="image/postprocessing", title="ImageMorphology", modern=True)
def image_morphology(
    *,
    image: Image,
    operation: Annotated[str, Choice(["erode", "dilate", "open", "close", "gradient", "bottom_hat", "top_hat"])],
    kernel_size: Annotated[int, Number(3, 999, step=1)] = 3,
) -> Image:
    """Grow or shrink the bright parts of a picture."""
    return morphology.OPERATIONS[operation](image.movedim(-1, 1), kernel_size).movedim(1, -1)


@node("Canny", category="image/preprocessors", modern=True)
def canny_edges(*, image: Image, low_threshold: Threshold = 0.4, high_threshold: Threshold = 0.8) -> Image:
    """Find the edges in a picture.

    high_threshold: brightness must change this fast to begin an edge.
    low_threshold: and this fast to continue one.
    """
    edges = canny(image.movedim(-1, 1), low_threshold, high_threshold)
    return edges.movedim(1, -1).repeat(1, 1, 1, 3)
