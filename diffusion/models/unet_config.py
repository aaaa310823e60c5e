"""The configuration of a latent diffusion UNet, and how it is read off the shapes of its tensors."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class UNetConfig:
    """A UNet of the LDM line (arXiv:2112.10752). Levels are counted from the largest feature map down."""

    in_channels: int
    out_channels: int
    base_width: int
    level_widths: tuple[int, ...]
    input_depths: tuple[tuple[int, ...], ...]
    """For each level the transformer layers after each of its residual blocks in the input half."""
    output_depths: tuple[tuple[int, ...], ...]
    """The same for the output half, which has one residual block more per level; in order of execution within it."""
    middle_residuals: int
    middle_depth: int
    """Transformer layers between the first and the second residual block in the middle."""
    context_width: int
    vector_width: int | None
    linear_projection: bool
    """Whether the transformers' projections are stored as linear layers rather than as 1x1 convolutions."""
    heads: int | None = None
    """A fixed number of attention heads, or else:"""
    head_width: int | None = None
    """a fixed width of one head. Shapes tell neither."""
    float32_scores: bool = False
    """Whether attention scores exceed the range of float16."""


def read_unet_config(shapes: Shapes) -> UNetConfig | None:
    """The configuration of the UNet whose tensors have these names and shapes; None if they are no such UNet.

    Names carry no prefix. Attention heads are left open: shapes do not tell them.
    """
    if "out.2.weight" not in shapes:
        return None
    config = read_input_half(shapes)
    if config is None:
        return None
    per_level = [len(depths) + 1 for depths in config.input_depths]
    return replace(config, out_channels=shapes["out.2.weight"][0], output_depths=_read_output_half(shapes, per_level))


def read_input_half(shapes: Shapes) -> UNetConfig | None:
    """The same for networks that consist of a UNet's input half and middle; they have no output channels."""
    first = shapes.get("input_blocks.0.0.weight")
    if first is None or len(first) != 4 or "label_emb.weight" in shapes:
        return None
    if any(".time_stack." in name or ".time_mixer." in name for name in shapes):
        return None  # Stable Video Diffusion: a UNet with layers along time
    context = next((s[1] for name, s in shapes.items() if name.endswith("attn2.to_k.weight")), None)
    projection = next((s for name, s in shapes.items() if name.endswith(".proj_in.weight")), None)
    if context is None or projection is None:
        return None
    level_widths, input_depths = _read_input_levels(shapes)
    vector = shapes.get("label_emb.0.0.weight")
    return UNetConfig(
        in_channels=first[1],
        out_channels=0,
        base_width=first[0],
        level_widths=level_widths,
        input_depths=input_depths,
        output_depths=(),
        middle_residuals=sum(f"middle_block.{i}.in_layers.0.weight" in shapes for i in (0, 2)),
        middle_depth=_depth(shapes, "middle_block.1."),
        context_width=context,
        vector_width=vector[1] if vector else None,
        linear_projection=len(projection) == 2,
    )


def _read_input_levels(shapes: Shapes) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """Width of each level, and transformer layers after each residual block; a level ends with a downsampling."""
    widths: list[int] = []
    depths: list[list[int]] = [[]]
    for i in range(1, _count(shapes, "input_blocks")):
        if f"input_blocks.{i}.0.op.weight" in shapes:
            depths.append([])
            continue
        if not depths[-1]:
            widths.append(shapes[f"input_blocks.{i}.0.out_layers.3.weight"][0])
        depths[-1].append(_depth(shapes, f"input_blocks.{i}.1."))
    return tuple(widths), tuple(map(tuple, depths))


def _read_output_half(shapes: Shapes, per_level: list[int]) -> tuple[tuple[int, ...], ...]:
    found = [_depth(shapes, f"output_blocks.{i}.1.") for i in range(_count(shapes, "output_blocks"))]
    levels: list[tuple[int, ...]] = []
    for count in reversed(per_level):
        levels.append(tuple(found[:count]))
        found = found[count:]
    return tuple(reversed(levels))


def _depth(shapes: Shapes, prefix: str) -> int:
    return _count(shapes, f"{prefix}transformer_blocks")


def _count(shapes: Shapes, name: str) -> int:
    """Members of the list `name`: one more than the largest index behind it."""
    pattern = re.compile(re.escape(name) + r"\.(\d+)\.")
    return max((int(m[1]) + 1 for key in shapes if (m := pattern.match(key))), default=0)
