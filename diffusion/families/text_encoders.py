"""Which text encoders a model line reads, and what it takes from them."""

from dataclasses import dataclass
from typing import Literal

EncoderName = Literal["clip_l", "clip_h", "clip_g", "t5xxl"]


@dataclass(frozen=True, slots=True)
class TextEncoderSpec:
    """One text encoder as one model line uses it."""

    name: EncoderName
    prefixes: tuple[str, ...]
    """Where its tensors may lie in a whole checkpoint, in the transformers or in the OpenCLIP layout."""
    width: int
    hidden_state: int = -1
    """The layer whose output is the context: -1 the last, -2 the one before."""
    final_norm: bool = True
    """Whether the encoder's final layer norm is applied to that output."""
    pooled: Literal["none", "plain", "projected"] = "none"
    """plain: the normed last state at the first end token; projected: that through text_projection."""
    pad_token: int = 49407
    activation: Literal["quick_gelu", "gelu", "gelu_tanh"] = "quick_gelu"
    head_width: int = 64
    """Width of one attention head, which shapes do not tell."""
