"""CLIP image encoders: OpenCLIP's and OpenAI's naming, into that of published transformers files."""

from collections.abc import Iterator, Mapping

from diffusion.checkpoints.header import Shape
from diffusion.checkpoints.layouts.clip import openclip_layer
from diffusion.checkpoints.rename import Part, Table

PREFIXES = ("", "visual.", "embedder.model.visual.", "conditioner.embedders.0.open_clip.model.visual.")
"""Where an encoder in that naming may lie: alone, in a whole CLIP, in an unCLIP checkpoint, in one for video."""
_NAMES = {
    "class_embedding": "vision_model.embeddings.class_embedding",
    "positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    **{f"ln_pre.{kind}": f"vision_model.pre_layrnorm.{kind}" for kind in ("weight", "bias")},
    **{f"ln_post.{kind}": f"vision_model.post_layernorm.{kind}" for kind in ("weight", "bias")},
}


def clip_vision_table(shapes: Mapping[str, Shape]) -> Table | None:
    """The table for an encoder, names without prefix; None if this is none in that naming."""
    if "conv1.weight" not in shapes or "transformer.resblocks.0.ln_1.weight" not in shapes:
        return None
    return {name: parts for name in shapes if (parts := tuple(_parts(name)))}


def _parts(name: str) -> Iterator[Part]:
    if name in _NAMES:
        yield Part(_NAMES[name])
    elif name == "proj":
        yield Part("visual_projection.weight", transposed=True)
    else:
        yield from openclip_layer(name, "vision_model.encoder.layers.")
