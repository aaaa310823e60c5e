"""Saying what is where, by boxes with phrases: menu `conditioning/gligen` and its loader."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from diffusion.models.gligen import Gligen as GligenNetwork
from diffusion.store import ModelStore
from execution.context import Run
from nodes.conditioning import CELL, Offset, Prompt, encoded
from nodes.declare import node
from nodes.loaders import find, stamp
from nodes.markers import Choice, Given, Number, Socket
from nodes.wire import Clip, Conditioning, one_of
from storage.folders import Folders

Gligen = Annotated[GligenNetwork, Socket("GLIGEN", one_of("GLIGEN", GligenNetwork))]
BoxSide = Annotated[int, Number(8, 16384, step=8)]


@node("GLIGENLoader", category="loaders")
def gligen_loader(
    *, gligen_name: Annotated[str, Choice.of("gligen")], folders: Given[Folders], store: Given[ModelStore]
) -> Gligen:
    """Load the layers by which a model for SD 1.x is told what is where."""
    network = store.gligen(find(folders, "gligen", gligen_name))
    assert isinstance(network, GligenNetwork)
    return network


@gligen_loader.fingerprint
def _(*, gligen_name: str, folders: Folders) -> object:
    return stamp(find(folders, "gligen", gligen_name))


@node("GLIGENTextBoxApply", category="conditioning/gligen")
def gligen_text_box_apply(
    *,
    conditioning_to: Conditioning,
    clip: Clip,
    gligen_textbox_model: Gligen,
    text: Prompt,
    width: BoxSide = 64,
    height: BoxSide = 64,
    x: Offset = 0,
    y: Offset = 0,
    folders: Given[Folders],
    run: Given[Run],
) -> Conditioning:
    """Say what a rectangle of the picture, in pixels, should show. Up to 30 of them can be said one after the other."""
    phrase = encoded(clip, text, folders, run).pooled
    box = (phrase, height // CELL, width // CELL, y // CELL, x // CELL)
    return [
        [embeddings, {**extras, "gligen": ("position", gligen_textbox_model, [*boxes_of(extras), box])}]
        for embeddings, extras in conditioning_to
    ]


def boxes_of(extras: Mapping[str, Any]) -> Sequence[object]:
    """The boxes that a conditioning has already."""
    return extras["gligen"][2] if "gligen" in extras else ()
