"""How diffusers names the tensors of a KL autoencoder, against the published names."""

from collections.abc import Iterator, Mapping

from diffusion.families.diffusers_layout import rename, resnets_per_level
from diffusion.models.unet_config import Shapes

_FIXED = {
    "encoder.norm_out.": "encoder.conv_norm_out.",
    "decoder.norm_out.": "decoder.conv_norm_out.",
    **{f"{half}.{layer}.": f"{half}.{layer}." for half in ("encoder", "decoder") for layer in ("conv_in", "conv_out")},
    "quant_conv.": "quant_conv.",
    "post_quant_conv.": "post_quant_conv.",
}
_RESNET = {name: name for name in ("norm1.", "conv1.", "norm2.", "conv2.")} | {"nin_shortcut.": "conv_shortcut."}
_ATTENTION = {
    "norm.": ("group_norm.",),
    "q.": ("to_q.", "query."),
    "k.": ("to_k.", "key."),
    "v.": ("to_v.", "value."),
    "proj_out.": ("to_out.0.", "proj_attn."),
}
"""Older files use the second name of each."""


def autoencoder_from_diffusers(shapes: Shapes) -> Mapping[str, str] | None:
    """diffusers' name -> our name for an autoencoder's tensors; None if the file is in another layout.

    The attention's projections are matrices there and 1x1 convolutions here: reshape them.
    """
    levels = resnets_per_level(shapes, "decoder.up_blocks")
    if not levels or "decoder.up_blocks.0.resnets.0.norm1.weight" not in shapes:
        return None
    back = dict(_prefixes(resnets_per_level(shapes, "encoder.down_blocks"), levels))
    return {name: new for name in shapes if (new := rename(name, back)) is not None}


def _prefixes(down: list[int], up: list[int]) -> Iterator[tuple[str, str]]:
    """Their prefix and ours; down, up: residual blocks per level, in order of execution."""
    yield from ((theirs, ours) for ours, theirs in _FIXED.items())
    for half in ("encoder", "decoder"):
        for i in (0, 1):
            yield from _resnet(f"{half}.mid_block.resnets.{i}.", f"{half}.mid.block_{i + 1}.")
        for ours, names in _ATTENTION.items():
            yield from ((f"{half}.mid_block.attentions.0.{name}", f"{half}.mid.attn_1.{ours}") for name in names)
    for level, count in enumerate(down):
        for i in range(count):
            yield from _resnet(f"encoder.down_blocks.{level}.resnets.{i}.", f"encoder.down.{level}.block.{i}.")
        yield f"encoder.down_blocks.{level}.downsamplers.0.", f"encoder.down.{level}.downsample."
    for position, count in enumerate(up):
        level = len(up) - 1 - position
        for i in range(count):
            yield from _resnet(f"decoder.up_blocks.{position}.resnets.{i}.", f"decoder.up.{level}.block.{i}.")
        yield f"decoder.up_blocks.{position}.upsamplers.0.", f"decoder.up.{level}.upsample."


def _resnet(theirs: str, ours: str) -> Iterator[tuple[str, str]]:
    for our_part, their_part in _RESNET.items():
        yield theirs + their_part, ours + our_part
