"""A text encoder of any kind from a file's tensors."""

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from diffusion.families.text_encoders import EncoderKind, TextEncoderSpec
from diffusion.text.clip import build_clip
from diffusion.text.language_model import build_language_model
from diffusion.text.t5 import build_t5

BUILD: Mapping[EncoderKind, Callable[[Mapping[str, Tensor], TextEncoderSpec], nn.Module]] = {
    "clip": build_clip,
    "t5": build_t5,
    "language_model": build_language_model,
}


def build_text_encoder(weights: Mapping[str, Tensor], spec: TextEncoderSpec) -> nn.Module:
    """transformers' network over these tensors, which are not copied. Raises TextEncoderError."""
    return BUILD[spec.kind](weights, spec)
