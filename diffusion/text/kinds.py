"""Which text encoder a file alone is, and which model line reads a set of them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from diffusion.checkpoints.header import Shape
from diffusion.families.family import Family
from diffusion.families.registry import FAMILIES
from diffusion.families.text_encoders import EncoderKind, TextEncoderSpec

_LAYER = re.compile(r"text_model\.encoder\.layers\.(\d+)\.")
_WIDTH = "embeddings.position_embedding"


def encoder_name(shapes: Mapping[str, Shape], kind: EncoderKind = "clip") -> str:
    """Which published text encoder these tensors are; names as `layouts.text.text_table` makes them."""
    return {"clip": _clip_name, "t5": _t5_name, "language_model": _language_model_name}[kind](shapes)


def _clip_name(shapes: Mapping[str, Shape]) -> str:
    """Told by depth."""
    layers = 1 + max((int(found[1]) for name in shapes if (found := _LAYER.match(name))), default=-1)
    # 23 layers: OpenCLIP H without its last, unused one.
    return "clip_g" if layers > 30 else "clip_h" if layers > 22 else "clip_l"


def _t5_name(shapes: Mapping[str, Shape]) -> str:
    """Told by where the position biases are, and by whether the MLP is gated, as it is since v1.1."""
    if "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight" in shapes:
        wide = shapes.get("shared.weight", (0, 0))[1] >= 4096
        return "umt5xxl" if wide else "pile_t5xl"
    return "t5xxl" if "encoder.block.0.layer.1.DenseReluDense.wi_0.weight" in shapes else "t5xxl_v1.0"


def _language_model_name(shapes: Mapping[str, Shape]) -> str:
    """Told by norms and biases."""
    first = "layers.0."
    if f"{first}post_feedforward_layernorm.weight" in shapes:
        return "gemma3" if f"{first}self_attn.q_norm.weight" in shapes else "gemma2_2b"
    if f"{first}self_attn.k_proj.bias" in shapes:
        return "qwen25_7b"
    return "qwen3_4b" if f"{first}self_attn.q_norm.weight" in shapes else "llama"


def tell_apart(encoders: Sequence[tuple[EncoderKind, Mapping[str, Shape]]]) -> tuple[str, ...]:
    """Which text encoder each of these is. Of two CLIPs of the same depth the wider one is the large one."""
    names = [encoder_name(shapes, kind) for kind, shapes in encoders]
    clips = [i for i, (kind, _) in enumerate(encoders) if kind == "clip"]
    if len(clips) == 2 and names[clips[0]] == names[clips[1]]:
        first, second = (
            max((shape[-1] for name, shape in encoders[i][1].items() if _WIDTH in name), default=0) for i in clips
        )
        if first != second:
            names[clips[0]], names[clips[1]] = ("clip_l", "clip_g") if first < second else ("clip_g", "clip_l")
    return tuple(names)


def family_for(names: Iterable[str], loader_type: str | None = None) -> Family[Any] | None:
    """The model line that reads these text encoders.

    loader_type: what a loader's menu calls the line; it counts where that line reads them at all. Else the line that
    reads exactly these, or one that makes do with some.
    """
    wanted = frozenset(names)
    readers = [family for family in FAMILIES if _reads(family, wanted)]
    chosen = [family for family in readers if loader_type in family.loader_types]
    exact = [family for family in readers if len(family.text_encoders) == len(wanted)]
    return next(iter([*chosen, *exact, *readers]), None)


def _reads(family: Family[Any], names: frozenset[str]) -> bool:
    known = frozenset(spec.name for spec in family.text_encoders)
    return bool(names) and (names == known or (family.some_text_encoders and names <= known))


def spec_of(family: Family[Any], name: str) -> TextEncoderSpec:
    return next(spec for spec in family.text_encoders if spec.name == name)
