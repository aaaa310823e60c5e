"""Text encoders of every kind: which kind tensors are, and how their names become those our networks are built from."""

from collections.abc import Mapping

from diffusion.checkpoints.header import Shape
from diffusion.checkpoints.layouts.clip import clip_table, is_clip_text
from diffusion.checkpoints.rename import Part, Table
from diffusion.families.text_encoders import EncoderKind

_LANGUAGE_PREFIXES = ("model.language_model.", "language_model.model.", "model.", "")
_T5_VOCABULARY = ("shared.weight", "encoder.embed_tokens.weight")


def text_table(shapes: Mapping[str, Shape]) -> tuple[EncoderKind, Table] | None:
    """The kind of the text encoder with these tensors, without prefix, and the table for them; None for others."""
    if is_clip_text(shapes):
        return "clip", clip_table(shapes)
    if "encoder.block.0.layer.0.SelfAttention.q.weight" in shapes:
        return "t5", _t5_table(shapes)
    for prefix in _LANGUAGE_PREFIXES:
        if f"{prefix}layers.0.self_attn.q_proj.weight" in shapes and f"{prefix}embed_tokens.weight" in shapes:
            own = (f"{prefix}layers.", f"{prefix}embed_tokens.", f"{prefix}norm.")
            kept = {name: (Part(name.removeprefix(prefix)),) for name in shapes if name.startswith(own)}
            return "language_model", {name: parts for name, parts in kept.items() if not _is_buffer(name)}
    return None


def _t5_table(shapes: Mapping[str, Shape]) -> Table:
    """Files carry the vocabulary once or twice; decoders, which some have too, are left out."""
    vocabulary = next((name for name in _T5_VOCABULARY if name in shapes), None)
    table = {
        name: (Part(name),) for name in shapes if name.startswith("encoder.") and not name.startswith(_T5_VOCABULARY)
    }
    return table if vocabulary is None else {**table, vocabulary: (Part("shared.weight"),)}


def _is_buffer(name: str) -> bool:
    return name.endswith(".inv_freq")
