"""All model lines, and which of them a file belongs to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from diffusion.checkpoints.joins import Joins, joined_shapes
from diffusion.families.auraflow import AURAFLOW
from diffusion.families.chroma import CHROMA
from diffusion.families.family import Family, Shapes
from diffusion.families.flux import FLUX
from diffusion.families.lumina2 import LUMINA2
from diffusion.families.pixart import PIXART_SIGMA
from diffusion.families.qwen_image import QWEN_IMAGE
from diffusion.families.sd2 import SD2, SD2_DEPTH, SD2_INPAINT, SD2_UNCLIP
from diffusion.families.sd3 import SD3
from diffusion.families.sd15 import INSTRUCT_PIX2PIX, SD15, SD15_INPAINT
from diffusion.families.sdxl import SDXL, SDXL_INPAINT, SDXL_INSTRUCT_PIX2PIX, SDXL_REFINER
from diffusion.families.z_image import Z_IMAGE

FAMILIES: tuple[Family[Any], ...] = (
    SD15,
    SD15_INPAINT,
    INSTRUCT_PIX2PIX,
    SD2,
    SD2_INPAINT,
    SD2_DEPTH,
    SD2_UNCLIP,
    SDXL,
    SDXL_INPAINT,
    SDXL_INSTRUCT_PIX2PIX,
    SDXL_REFINER,
    SD3,
    FLUX,
    PIXART_SIGMA,
    CHROMA,
    LUMINA2,
    Z_IMAGE,
    AURAFLOW,
    QWEN_IMAGE,
)


@dataclass(frozen=True, slots=True)
class Recognised:
    family: Family[Any]
    config: Any
    """What `family.build` takes."""
    names: Mapping[str, str] | None = None
    """The file's names -> the network's; None where they are the same, or:"""
    joins: Joins | None = None
    """The network's names -> the pieces of which the file makes them."""


def configured(family: Family[Any], shapes: Shapes) -> Any | None:
    """The configuration of a network that this family recognises; None for others, and for part of a network."""
    try:
        return family.recognise(shapes)
    except (KeyError, ValueError, IndexError, ZeroDivisionError):
        return None


def recognise(shapes: Shapes) -> Recognised | None:
    """What the network with these tensors is, in its published layout or another known one; None if it is unknown.

    Names carry no prefix.
    """
    for family in FAMILIES:
        if (config := configured(family, shapes)) is not None:
            return Recognised(family, config)
    for layout in dict.fromkeys(layout for family in FAMILIES for layout in family.layouts):
        names = layout.names(shapes) if layout.names else None
        joins = layout.joins(shapes) if layout.joins else None
        if names is not None:
            renamed: Shapes = {ours: shapes[theirs] for theirs, ours in names.items()}
        elif joins:
            renamed = joined_shapes(joins, shapes)
        else:
            continue
        for family in FAMILIES:
            if layout in family.layouts and (config := configured(family, renamed)) is not None:
                return Recognised(family, config, names, joins)
    return None
