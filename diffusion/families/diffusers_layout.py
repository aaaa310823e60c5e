"""How diffusers names the tensors of a latent diffusion UNet and of its ControlNet, against the published names.

Only blocks are numbered differently; what is inside a transformer is called the same in both.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from diffusion.models.unet_config import Shapes, UNetConfig

RESIDUAL = {
    "in_layers.0.": "norm1.",
    "in_layers.2.": "conv1.",
    "emb_layers.1.": "time_emb_proj.",
    "out_layers.0.": "norm2.",
    "out_layers.3.": "conv2.",
    "skip_connection.": "conv_shortcut.",
}
_FIXED = {
    "time_embed.0.": "time_embedding.linear_1.",
    "time_embed.2.": "time_embedding.linear_2.",
    "label_emb.0.0.": "add_embedding.linear_1.",
    "label_emb.0.2.": "add_embedding.linear_2.",
    "input_blocks.0.0.": "conv_in.",
    "middle_block.1.": "mid_block.attentions.0.",
    "out.0.": "conv_norm_out.",
    "out.2.": "conv_out.",
}
_CONTROL = {
    "input_hint_block.0.": "controlnet_cond_embedding.conv_in.",
    "input_hint_block.14.": "controlnet_cond_embedding.conv_out.",
    "middle_block_out.0.": "controlnet_mid_block.",
    **{f"input_hint_block.{2 * i + 2}.": f"controlnet_cond_embedding.blocks.{i}." for i in range(6)},
}


def diffusers_prefixes(config: UNetConfig) -> dict[str, str]:
    """Our prefix -> diffusers' prefix, for every module of the UNet and ControlNet of this configuration."""
    return _prefixes(
        [len(depths) for depths in config.input_depths],
        [len(depths) for depths in reversed(config.output_depths)],
        [any(depths) for depths in reversed(config.output_depths)],
    )


def from_diffusers(shapes: Shapes, same: tuple[str, ...] = ()) -> Mapping[str, str] | None:
    """diffusers' name -> our name for the tensors of a UNet or ControlNet; None if the file is in another layout.

    same: beginnings of names that are the same in both.
    """
    if "conv_in.weight" not in shapes or "down_blocks.0.resnets.0.norm1.weight" not in shapes:
        return None
    down, up = resnets_per_level(shapes, "down_blocks"), resnets_per_level(shapes, "up_blocks")
    attention = [any(name.startswith(f"up_blocks.{i}.attentions.") for name in shapes) for i in range(len(up))]
    back = {theirs: ours for ours, theirs in _prefixes(down, up, attention).items()}
    kept = {name: name for name in shapes if name.startswith(same)} if same else {}
    return kept | {name: new for name in shapes if (new := rename(name, back)) is not None}


def rename(name: str, prefixes: Mapping[str, str]) -> str | None:
    """The name with its longest known prefix exchanged; None if it has none."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        prefix = ".".join(parts[:length]) + "."
        if prefix in prefixes:
            return prefixes[prefix] + ".".join(parts[length:])
    return None


def _prefixes(down: Sequence[int], up: Sequence[int], up_attention: Sequence[bool]) -> dict[str, str]:
    """down, up: residual blocks per level, in order of execution. up_attention: whether transformers follow them."""
    return dict(
        [
            *_FIXED.items(),
            *_CONTROL.items(),
            *_residual("middle_block.0.", "mid_block.resnets.0."),
            *_residual("middle_block.2.", "mid_block.resnets.1."),
            *_input_half(down),
            *_output_half(up, up_attention),
        ]
    )


def _input_half(down: Sequence[int]) -> Iterator[tuple[str, str]]:
    block = 1
    for level, count in enumerate(down):
        for i in range(count):
            yield from _residual(f"input_blocks.{block}.0.", f"down_blocks.{level}.resnets.{i}.")
            yield f"input_blocks.{block}.1.", f"down_blocks.{level}.attentions.{i}."
            block += 1
        yield f"input_blocks.{block}.0.op.", f"down_blocks.{level}.downsamplers.0.conv."
        block += 1
    for i in range(block - 1):
        yield f"zero_convs.{i}.0.", f"controlnet_down_blocks.{i}."


def _output_half(up: Sequence[int], attention: Sequence[bool]) -> Iterator[tuple[str, str]]:
    block = 0
    for level, (count, attends) in enumerate(zip(up, attention, strict=True)):
        for i in range(count):
            yield from _residual(f"output_blocks.{block}.0.", f"up_blocks.{level}.resnets.{i}.")
            if attends:
                yield f"output_blocks.{block}.1.", f"up_blocks.{level}.attentions.{i}."
            block += 1
        upsample = 2 if attends else 1
        yield f"output_blocks.{block - 1}.{upsample}.conv.", f"up_blocks.{level}.upsamplers.0.conv."


def _residual(ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    for our_part, their_part in RESIDUAL.items():
        yield ours + our_part, theirs + their_part


def resnets_per_level(shapes: Shapes, half: str) -> list[int]:
    """Residual blocks of each level."""
    pattern = re.compile(re.escape(half) + r"\.(\d+)\.resnets\.(\d+)\.")
    found = {(int(m[1]), int(m[2])) for name in shapes if (m := pattern.match(name))}
    return [sum(level == i for level, _ in found) for i in range(1 + max((level for level, _ in found), default=-1))]
