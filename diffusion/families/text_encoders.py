"""Which text encoders a model line reads, and what it takes from them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor

EncoderKind = Literal["clip", "t5", "language_model"]
TEXT_WIDTHS: Mapping[int, str] = MappingProxyType(
    {768: "SD 1.x", 1024: "SD 2.x", 2048: "SDXL", 1280: "the SDXL refiner", 4096: "a line that reads T5"}
)
"""Width of a text as the network reads it -> the published model line, for messages."""


@dataclass(frozen=True, slots=True)
class TextEncoderSpec:
    """One text encoder as one model line uses it."""

    name: str
    """As people call its files: "clip_l", "t5xxl", …"""
    prefixes: tuple[str, ...]
    """Where its tensors may lie in a whole checkpoint, in the transformers or in the OpenCLIP layout."""
    width: int
    kind: EncoderKind = "clip"
    hidden_state: int = -1
    """The layer whose output is the context: -1 the last, -2 the one before."""
    final_norm: bool = True
    """Whether the encoder's final layer norm is applied to that output."""
    pooled: Literal["none", "plain", "projected"] = "none"
    """plain: the normed last state at the first end token; projected: that through text_projection. CLIP only."""
    pad_token: int = 49407
    end_token: int | None = 49407
    """None: a prompt is not ended."""
    start_token: int | None = 49406
    least_tokens: int = 0
    """Prompts are padded to this length; CLIP's always to 77."""
    activation: Literal["quick_gelu", "gelu", "gelu_tanh"] = "quick_gelu"
    head_width: int = 64
    """Width of one attention head, which shapes do not tell."""
    tokenizer: str = "clip"
    """See `text.tokenizers`; CLIP's is always there."""
    template: str = "{}"
    """What a language model is asked; the prompt takes the place of the braces."""
    skipped_tokens: int = 0
    """So many tokens at the beginning, of the template, are read but not handed on."""
    zeroed_padding: bool = False
    """Whether the states of padding are made zero."""
    empty_ends: bool = True
    """Whether the empty prompt, from which weighted tokens are moved, is ended before it is padded."""


@dataclass(frozen=True, slots=True)
class Padding:
    """How far prompts are padded for encoders that read any length, other than their model line does it."""

    least_padding: int = 0
    """So much padding at least."""
    least_tokens: int = 0
    """And so much that there are as many tokens."""


@dataclass(frozen=True, slots=True)
class TextStates:
    """What one text encoder says of a prompt; float32."""

    hidden: Tensor
    """(1, T, D)"""
    pooled: Tensor | None = None
    """(1, P)"""


@dataclass(frozen=True)
class Encoded:
    """A prompt as a diffusion network reads it; float32 on the CPU."""

    context: Tensor
    """(1, T, D)"""
    pooled: Tensor | None = None
    """(1, P); weights do not act on it."""


CombineText = Callable[[Mapping[str, TextStates], Mapping[str, TextEncoderSpec]], Encoded]
"""The states of the encoders that were asked, in the family's order, and how the family uses all its encoders."""


def side_by_side(states: Mapping[str, TextStates], specs: Mapping[str, TextEncoderSpec]) -> Encoded:
    """Contexts beside each other along D, cut to the shortest.

    The pooled vector is that of the encoder whose family says so, or of the last one.
    """
    if not states:
        raise ValueError(f"None of the text encoders of this model line ({', '.join(specs)}) was given a prompt.")
    shortest = min(found.hidden.shape[1] for found in states.values())
    chosen = [name for name in states if specs[name].pooled != "none"] or list(states)
    return Encoded(
        torch.cat([found.hidden[:, :shortest] for found in states.values()], dim=-1), states[chosen[-1]].pooled
    )
