"""Files other than plain pictures: menus `image/animation` and `image/save`."""

from io import BytesIO
from typing import Annotated, Any

from diffusion.images.codec import to_pil
from diffusion.images.svg import with_metadata
from diffusion.images.text_chunks import encode_animated_png, encode_animated_webp
from execution.context import Run
from nodes.declare import SAVES, node
from nodes.markers import Choice, Given, Number, Ui
from nodes.saving import metadata
from nodes.wire import Image, Svg
from storage.outputs import Outputs

Rate = Annotated[float, Number(0.01, 1000, step=0.01)]
WEBP_METHODS = {"default": 4, "fastest": 0, "slowest": 6}


@node("SaveAnimatedWEBP", category="image/animation", output=True, hidden=SAVES)
def save_animated_webp(
    *,
    images: Image,
    filename_prefix: str = "ComfyUI",
    fps: Rate = 6.0,
    lossless: bool = True,
    quality: Annotated[int, Number(0, 100)] = 80,
    method: Annotated[str, Choice(list(WEBP_METHODS))],
    outputs: Given[Outputs],
    run: Given[Run],
) -> Ui:
    """Save a batch as a moving WEBP picture."""
    series = outputs.series(filename_prefix, images.shape[2], images.shape[1])
    frames = [to_pil(image) for image in images]
    texts = metadata(run, outputs)
    data = encode_animated_webp(frames, fps, texts, lossless, quality, WEBP_METHODS[method])
    return Ui({"images": [series.save_bytes(data, ".webp").entry()], "animated": (True,)})


@node("SaveAnimatedPNG", category="image/animation", output=True, hidden=SAVES)
def save_animated_png(
    *,
    images: Image,
    filename_prefix: str = "ComfyUI",
    fps: Rate = 6.0,
    compress_level: Annotated[int, Number(0, 9)] = 4,
    outputs: Given[Outputs],
    run: Given[Run],
) -> Ui:
    """Save a batch as a moving PNG picture."""
    series = outputs.series(filename_prefix, images.shape[2], images.shape[1])
    frames = [to_pil(image) for image in images]
    data = encode_animated_png(frames, fps, metadata(run, outputs), compress_level)
    return Ui({"images": [series.save_bytes(data, ".png").entry()], "animated": (True,)})


@node("SaveSVGNode", category="image/save", modern=True, title="SaveSVGNode", output=True, hidden=SAVES)
def save_svg(*, svg: Svg, filename_prefix: str = "svg/ComfyUI", outputs: Given[Outputs], run: Given[Run]) -> Ui:
    """Save vector drawings, with the graph that made them inside."""
    series = outputs.series(filename_prefix)
    texts = metadata(run, outputs)
    drawings = [with_metadata(read_all(buffer), texts) for buffer in svg.data]
    saved = [series.save_bytes(data, ".svg", batch=index) for index, data in enumerate(drawings)]
    return Ui({"images": [each.entry() for each in saved]})


def read_all(buffer: Any) -> bytes:
    """A byte buffer's content, wherever its reader stands."""
    return buffer.getvalue() if isinstance(buffer, BytesIO) else bytes(buffer)
