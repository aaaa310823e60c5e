"""Which text encoder a file alone is, and which model line reads a set of them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from diffusion.checkpoints.header import Shape
from diffusion.families.family import Family
from diffusion.families.sd2 import SD2
from diffusion.families.sd15 import SD15
from diffusion.families.sdxl import SDXL, SDXL_REFINER
from diffusion.families.text_encoders import EncoderName, TextEncoderSpec

_LAYER = re.compile(r"text_model\.encoder\.layers\.(\d+)\.")
_WIDTH = "embeddings.position_embedding"
_READERS: tuple[tuple[frozenset[str], Family[Any]], ...] = (
    (frozenset({"clip_l", "clip_g"}), SDXL),
    (frozenset({"clip_g"}), SDXL_REFINER),
    (frozenset({"clip_h"}), SD2),
    (frozenset({"clip_l"}), SD15),
)


def encoder_name(shapes: Mapping[str, Shape]) -> EncoderName:
    """Which published CLIP text encoder these tensors are, told by their depth; names as `clip_table` makes them."""
    layers = 1 + max((int(found[1]) for name in shapes if (found := _LAYER.match(name))), default=-1)
    # 23 layers: OpenCLIP H without its last, unused one.
    return "clip_g" if layers > 30 else "clip_h" if layers > 22 else "clip_l"


def tell_apart(encoders: Sequence[Mapping[str, Shape]]) -> tuple[EncoderName, ...]:
    """Which text encoder each of these is. Of two that depth does not tell apart the wider one is SDXL's large one."""
    names: tuple[EncoderName, ...] = tuple(encoder_name(shapes) for shapes in encoders)
    if len(names) == 2 and names[0] == names[1]:
        widths = [
            max((shape[-1] for name, shape in shapes.items() if _WIDTH in name), default=0) for shapes in encoders
        ]
        if widths[0] != widths[1]:
            return ("clip_l", "clip_g") if widths[0] < widths[1] else ("clip_g", "clip_l")
    return names


def family_for(names: Iterable[str]) -> Family[Any] | None:
    """The model line that reads exactly these text encoders."""
    wanted = frozenset(names)
    return next((family for encoders, family in _READERS if encoders == wanted), None)


def spec_of(family: Family[Any], name: str) -> TextEncoderSpec:
    return next(spec for spec in family.text_encoders if spec.name == name)
