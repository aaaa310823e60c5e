"""Recognises control networks of transformers: those of SD3 and Flux in diffusers' layout, and XLabs' for Flux."""

from dataclasses import dataclass, replace
from typing import Any

from diffusion import latents
from diffusion.checkpoints.joins import joined, joins_of, table
from diffusion.checkpoints.single import Buildable, renamed
from diffusion.checkpoints.weights import Weights
from diffusion.families import flux, sd3
from diffusion.families.family import Family
from diffusion.latents import LatentFormat
from diffusion.models.flux_control import FluxControl, read_flux_control_config
from diffusion.models.mmdit_control import MMDiTControl, read_mmdit_control_config
from diffusion.models.patches import PATCH

_HINT_BLOCK = {
    "input_hint_block.0": "input_hint_block.conv_in",
    "input_hint_block.14": "input_hint_block.conv_out",
    **{f"input_hint_block.{2 * i + 2}": f"input_hint_block.blocks.{i}" for i in range(6)},
}
_SAME = ("controlnet_x_embedder", "controlnet_blocks.{i}", "controlnet_single_blocks.{i}", "controlnet_mode_embedder")
FLUX_MODULES = flux.BODY | table({**_HINT_BLOCK, **{name: name for name in _SAME}})
SD3_MODULES = sd3.MODULES | table(
    {"pos_embed_input.proj": "pos_embed_input.proj", "controlnet_blocks.{i}": "controlnet_blocks.{i}"}
)
SD3_HINTS = replace(latents.SD3, shift=0.0)
"""Hints for SD3 are scaled as its latents are, and not shifted."""


@dataclass(frozen=True)
class FoundTransformerControl:
    network: Buildable
    family: Family[Any]
    hints: LatentFormat | None
    """The latent space of hints; None where they are pictures."""
    takes_mask: bool = False
    """Whether a mask follows the channels of hints, as in networks for inpainting."""


def find_transformer_control(weights: Weights) -> FoundTransformerControl | None:
    """The control network in a file, in our names; None if it is none of these."""
    if "controlnet_blocks.0.weight" not in weights:
        return None
    shapes = weights.shapes
    ours = weights
    if "transformer_blocks.0.attn.to_q.weight" in shapes:
        modules = SD3_MODULES if "pos_embed_input.proj.weight" in shapes else FLUX_MODULES
        ours = joined(weights, joins_of(modules, shapes))
    elif "pos_embed_input.weight" in shapes:
        # XLabs: Flux's own names, but for the layer that takes the hint in.
        names = {name: name.replace("pos_embed_input.", "controlnet_x_embedder.") for name in weights}
        ours = renamed(weights, names)
    if mmdit := read_mmdit_control_config(ours.shapes):
        masked = mmdit.hint_channels == SD3_HINTS.channels + 1
        network = Buildable("SD3 ControlNet", ours, lambda: MMDiTControl(mmdit))
        return FoundTransformerControl(network, sd3.SD3, SD3_HINTS, masked)
    if found := read_flux_control_config(ours.shapes):
        hints = None if found.sees_pictures else latents.FLUX
        masked = hints is not None and found.hint_features == PATCH**2 * (hints.channels + 1)
        network = Buildable("Flux ControlNet", ours, lambda: FluxControl(found))
        return FoundTransformerControl(network, flux.FLUX, hints, masked)
    return None
