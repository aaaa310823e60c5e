"""Pictures in and out: menu `image`, the loaders and savers."""

import hashlib
from pathlib import Path
from typing import Annotated

from diffusion.images.codec import read_channel, read_picture
from execution.context import Run
from nodes.declare import SAVES, node
from nodes.markers import Choice, Given, Options, Ui
from nodes.saving import metadata, preview, save_png
from nodes.wire import Image, Mask
from storage.inputs import Inputs
from storage.names import FileKind
from storage.outputs import Outputs

InputPicture = Annotated[str, Choice.of("input files (image)", names_file=True), Options({"image_upload": True})]
OutputPicture = Annotated[
    str,
    Choice(classic=False, names_file=True),
    Options(
        {
            "image_upload": True,
            "image_folder": "output",
            "remote": {
                "route": "/internal/files/output",
                "refresh_button": True,
                "control_after_refresh": "first",
            },
        }
    ),
]


def existing(name: str, inputs: Inputs, default: FileKind = "input") -> Path:
    """The file a graph means. Raises FileNotFoundError that says where it was looked for."""
    path = inputs.resolve(name, default)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {name!r} in the {default} folder")
    return path


def content_hash(path: Path) -> str:
    """A file is what it holds: touching it re-runs nothing, replacing it does."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@node("LoadImage", category="image", title="Load Image")
def load_image(*, image: InputPicture, inputs: Given[Inputs]) -> tuple[Image, Mask]:
    """Read a picture, turned upright. The mask is 1 where the picture is transparent; an animation becomes a batch."""
    picture = read_picture(existing(image, inputs), image)
    return picture.pixels, picture.mask


@load_image.fingerprint
def _(*, image: str, inputs: Inputs) -> str:
    return content_hash(existing(image, inputs))


@node("LoadImageOutput", category="image", title="Load Image (from Outputs)", experimental=True)
def load_image_output(*, image: OutputPicture, inputs: Given[Inputs]) -> tuple[Image, Mask]:
    """Read a picture that an earlier run saved."""
    picture = read_picture(existing(image, inputs, "output"), image)
    return picture.pixels, picture.mask


@load_image_output.fingerprint
def _(*, image: str, inputs: Inputs) -> str:
    return content_hash(existing(image, inputs, "output"))


@node("LoadImageMask", category="mask", title="Load Image (as Mask)")
def load_image_mask(
    *, image: InputPicture, channel: Annotated[str, Choice(["alpha", "red", "green", "blue"])], inputs: Given[Inputs]
) -> Mask:
    """Read one channel of a picture as a mask; alpha is 1 where the picture is transparent."""
    return read_channel(existing(image, inputs), channel, image)


@load_image_mask.fingerprint
def _(*, image: str, inputs: Inputs) -> str:
    return content_hash(existing(image, inputs))


@node("SaveImage", category="image", title="Save Image", output=True, hidden=SAVES)
def save_image(*, images: Image, filename_prefix: str = "ComfyUI", outputs: Given[Outputs], run: Given[Run]) -> Ui:
    """Save pictures as PNG files, with the graph that made them inside.

    filename_prefix: may hold folders, and %width%, %height%, %year%, %month%, %day%, %hour%, %minute%, %second%.
    """
    series = outputs.series(filename_prefix, images.shape[2], images.shape[1])
    return save_png(images, series, metadata(run, outputs), run, compress_level=4)


@node("PreviewImage", category="image", title="Preview Image", output=True, hidden=SAVES)
def preview_image(*, images: Image, outputs: Given[Outputs], run: Given[Run]) -> Ui:
    """Show pictures without keeping them."""
    return preview(images, run, outputs)


@node("MaskPreview", category="mask", output=True, hidden=SAVES)
def mask_preview(*, mask: Mask, outputs: Given[Outputs], run: Given[Run]) -> Ui:
    """Show a mask without keeping it."""
    return preview(mask[..., None].expand(-1, -1, -1, 3), run, outputs)
