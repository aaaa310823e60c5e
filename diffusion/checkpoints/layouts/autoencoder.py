"""KL autoencoders: diffusers' naming, with the attention names it had before 0.18 and since, into the published one.

Our names are those of the latent diffusion code (arXiv:2112.10752), as inside whole checkpoints.
"""

import re
from collections.abc import Mapping

from diffusion.checkpoints.header import Shape
from diffusion.checkpoints.rename import Part, Table

MARKER = "decoder.up_blocks.0.resnets.0.norm1.weight"
"""A name that is in every file of this layout and in no other."""

_ATTENTION = {
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
    "query": "q",
    "key": "k",
    "value": "v",
    "proj_attn": "proj_out",
}


def is_diffusers(shapes: Mapping[str, Shape]) -> bool:
    return MARKER in shapes


def autoencoder_table(shapes: Mapping[str, Shape]) -> Table:
    """The table for an autoencoder in diffusers' layout, or the identity for one in ours."""
    if not is_diffusers(shapes):
        return {name: (Part(name),) for name in shapes}
    levels = 1 + max(int(found[1]) for name in shapes if (found := re.match(r"decoder\.up_blocks\.(\d+)\.", name)))
    return {name: (_part(name, levels),) for name in shapes}


def _part(name: str, levels: int) -> Part:
    module, _, kind = name.rpartition(".")
    if found := re.fullmatch(r"(encoder|decoder)\.mid_block\.attentions\.0\.(.+)", module):
        inner = _ATTENTION.get(found[2], found[2])
        return Part(f"{found[1]}.mid.attn_1.{inner}.{kind}", pointwise=inner != "norm" and kind == "weight")
    if found := re.fullmatch(r"(encoder|decoder)\.mid_block\.resnets\.(\d+)\.(.+)", module):
        return Part(f"{found[1]}.mid.block_{int(found[2]) + 1}.{_residual(found[3])}.{kind}")
    if found := re.fullmatch(r"(encoder|decoder)\.(?:down|up)_blocks\.(\d+)\.(.+)", module):
        half, level, rest = found[1], int(found[2]), found[3]
        # Theirs counts the decoder's levels in order of execution, ours from the largest picture down.
        place = f"encoder.down.{level}" if half == "encoder" else f"decoder.up.{levels - 1 - level}"
        if inner := re.fullmatch(r"resnets\.(\d+)\.(.+)", rest):
            return Part(f"{place}.block.{inner[1]}.{_residual(inner[2])}.{kind}")
        if rest in ("downsamplers.0.conv", "upsamplers.0.conv"):
            return Part(f"{place}.{rest.split('samplers')[0]}sample.conv.{kind}")
    return Part(f"{module.replace('conv_norm_out', 'norm_out')}.{kind}")


def _residual(name: str) -> str:
    return "nin_shortcut" if name == "conv_shortcut" else name
