"""Guiding by the style of a picture: menu `conditioning/style_model` and its loader."""

from typing import Annotated

import torch
from torch import nn

from diffusion.sampling import conditioning as library
from diffusion.store import ModelStore
from nodes.conditioning import as_lists, pairs
from nodes.declare import node
from nodes.loaders import find, stamp
from nodes.markers import Choice, Given, Number, Socket
from nodes.vision import Seen
from nodes.wire import Conditioning, one_of
from storage.folders import Folders

StyleModel = Annotated[nn.Module, Socket("STYLE_MODEL", one_of("STYLE_MODEL", nn.Module))]


@node("StyleModelLoader", category="loaders", title="Load Style Model")
def style_model_loader(
    *, style_model_name: Annotated[str, Choice.of("style_models")], folders: Given[Folders], store: Given[ModelStore]
) -> StyleModel:
    """Load a network that turns what CLIP saw into part of a prompt."""
    return store.style_model(find(folders, "style_models", style_model_name))


@style_model_loader.fingerprint
def _(*, style_model_name: str, folders: Folders) -> object:
    return stamp(find(folders, "style_models", style_model_name))


@node("StyleModelApply", category="conditioning/style_model", title="Apply Style Model")
def style_model_apply(
    *,
    conditioning: Conditioning,
    style_model: StyleModel,
    clip_vision_output: Seen,
    strength: Annotated[float, Number(0.0, 10.0, step=0.001)] = 1.0,
    strength_type: Annotated[str, Choice(["multiply", "attn_bias"])],
) -> Conditioning:
    """Add the style of a picture to a prompt.

    strength_type: multiply scales the style's embeddings, attn_bias the attention that is paid to them.
    """
    seen, width = clip_vision_output.last_hidden_state, style_model.width
    if seen.shape[-1] != width:
        raise ValueError(
            f"this style model reads what a CLIP vision encoder of width {width} saw; this one has {seen.shape[-1]}"
        )
    with torch.no_grad():
        style = style_model(seen.to(next(style_model.parameters()))).float().flatten(0, 1)[None]
    if strength_type == "multiply":
        return as_lists(library.with_tokens(pairs(conditioning), style * strength))
    return as_lists(library.with_tokens(pairs(conditioning), style, attention=strength))
