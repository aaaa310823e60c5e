"""Conditioning: what guides a sampling run, where in the picture, and while which part of the noise is removed.

Between nodes a conditioning is a list of (embeddings, options) pairs whose options are an open dictionary: `conditions`
reads the ones sampling knows. The other functions change such lists without touching what they were given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor

from diffusion.sampling.control import ControlSource

Pairs = Sequence[tuple[Tensor, Mapping[str, Any]]]
"""Embeddings (B, T, D), and options by name."""


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of a latent: in latent positions, or in shares of its size (0…1)."""

    height: float
    width: float
    y: float
    x: float
    unit: Literal["positions", "shares"] = "positions"


@dataclass(frozen=True)
class Condition:
    """One entry of a conditioning."""

    context: Tensor
    """(B, T, D)"""
    pooled: Tensor | None = None
    """(B, P)"""
    area: Area | None = None
    strength: float = 1.0
    mask: Tensor | None = None
    """(B, H, W) or (H, W) of any size; weights this entry by position."""
    mask_strength: float = 1.0
    within_mask_bounds: bool = False
    """Sample only the mask's bounding box."""
    default: bool = False
    """Acts only where no other entry does."""
    start_percent: float | None = None
    end_percent: float | None = None
    """Active between these shares of the sampling."""
    control: ControlSource | None = None
    control_on_negative: bool = False
    """The negative conditioning gets the same control."""
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """All options as they came: sizes, pictures to see, and whatever hooks want to find."""


def conditions(pairs: Pairs) -> tuple[Condition, ...]:
    """Reads a list of pairs. Raises ValueError where an option cannot be what it says."""
    return tuple(_condition(context, options) for context, options in pairs)


def _condition(context: Tensor, options: Mapping[str, Any]) -> Condition:
    if context.ndim != 3:
        raise ValueError(f"A conditioning holds embeddings of shape (B, T, D); got {tuple(context.shape)}")
    return Condition(
        context=context,
        pooled=options.get("pooled_output"),
        area=_area(options.get("area")),
        strength=float(options.get("strength", 1.0)),
        mask=options.get("mask"),
        mask_strength=float(options.get("mask_strength", 1.0)),
        within_mask_bounds=bool(options.get("set_area_to_bounds", False)),
        default=bool(options.get("default", False)),
        start_percent=options.get("start_percent"),
        end_percent=options.get("end_percent"),
        control=options.get("control"),
        control_on_negative=bool(options.get("control_apply_to_uncond", False)),
        options=options,
    )


def _area(value: Any) -> Area | None:
    if value is None:
        return None
    unit: Literal["positions", "shares"] = "positions"
    if value[0] == "percentage":
        unit, value = "shares", value[1:]
    if len(value) != 4:
        raise ValueError(f"An area is (height, width, y, x); got {value!r}")
    return Area(*(float(number) for number in value), unit=unit)


def for_controls(condition: Condition) -> Condition | None:
    """The condition as control networks read it, where it brings a text for them alone; else None."""
    own: Tensor | None = condition.options.get("cross_attn_controlnet")
    if own is None:
        return None
    return replace(condition, context=own, pooled=condition.options.get("pooled_output_controlnet", condition.pooled))


def with_options(pairs: Pairs, **options: Any) -> list[tuple[Tensor, dict[str, Any]]]:
    """The same list, every entry with these options set."""
    return [(context, {**old, **options}) for context, old in pairs]


def averaged(pairs: Pairs, other: Pairs, strength: float) -> list[tuple[Tensor, dict[str, Any]]]:
    """strength * entry + (1 - strength) * the first entry of `other`, embeddings and pooled vectors alike.

    The other's tokens are cut or filled with zeros to the length of each entry.
    """
    from_context, from_options = other[0]
    from_pooled: Tensor | None = from_options.get("pooled_output")
    result: list[tuple[Tensor, dict[str, Any]]] = []
    for context, options in pairs:
        tokens = context.shape[1]
        blended = from_context[:, :tokens]
        if blended.shape[1] < tokens:
            blended = torch.cat(
                [blended, blended.new_zeros(blended.shape[0], tokens - blended.shape[1], blended.shape[2])], 1
            )
        changed = dict(options)
        pooled: Tensor | None = options.get("pooled_output", from_pooled)
        if from_pooled is not None and pooled is not None:
            changed["pooled_output"] = pooled * strength + from_pooled * (1 - strength)
        result.append((context * strength + blended * (1 - strength), changed))
    return result


def concatenated(pairs: Pairs, other: Pairs) -> list[tuple[Tensor, dict[str, Any]]]:
    """Every entry followed by the tokens of the first entry of `other`."""
    return [(torch.cat([context, other[0][0]], dim=1), dict(options)) for context, options in pairs]


ATTENTION_BIAS = "attention_bias"
"""Option: (1, T) float32, added to the scores of the embeddings in attention; 0 beyond its end."""


def with_tokens(pairs: Pairs, tokens: Tensor, attention: float = 1.0) -> list[tuple[Tensor, dict[str, Any]]]:
    """Every entry followed by more tokens, (1, N, D). attention: how many times as much is paid to them, from 0 up."""
    result: list[tuple[Tensor, dict[str, Any]]] = []
    for context, options in pairs:
        if context.shape[2] != tokens.shape[2]:
            raise ValueError(
                f"Tokens of width {tokens.shape[2]} cannot follow a text of width {context.shape[2]}: "
                "they were made for another model line"
            )
        changed = dict(options)
        if attention != 1 or ATTENTION_BIAS in options:
            before = attention_bias(options, context.shape[1])
            added = torch.full((1, tokens.shape[1]), attention).log()
            changed[ATTENTION_BIAS] = torch.cat([before, added], dim=1)
        joined = torch.cat([context, tokens.to(context).expand(len(context), -1, -1)], dim=1)
        result.append((joined, changed))
    return result


def attention_bias(options: Mapping[str, Any], tokens: int) -> Tensor:
    """The option for a text of so many tokens, (1, tokens)."""
    bias: Tensor = options.get(ATTENTION_BIAS, torch.zeros(1, 0))[:, :tokens]
    return torch.cat([bias, bias.new_zeros(1, tokens - bias.shape[1])], dim=1)


def zeroed(pairs: Pairs) -> list[tuple[Tensor, dict[str, Any]]]:
    """All embeddings and pooled vectors zero: a text that says nothing, not the empty text."""
    result: list[tuple[Tensor, dict[str, Any]]] = []
    for context, options in pairs:
        changed = dict(options)
        for name in ("pooled_output", "conditioning_lyrics"):
            if changed.get(name) is not None:
                changed[name] = torch.zeros_like(changed[name])
        result.append((torch.zeros_like(context), changed))
    return result
