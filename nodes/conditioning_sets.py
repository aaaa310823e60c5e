"""Where and when conditionings act, one or a positive and a negative at a time: menu `advanced/hooks`.

Hooks on conditionings, which change a model for one of them alone, are not supported; these nodes say so.
"""

from typing import Annotated, Any

from nodes.conditioning import Percent, Strength, with_values
from nodes.declare import node
from nodes.markers import Choice, Out, Socket
from nodes.wire import Conditioning, ConditioningList, Mask


def refuse_hooks(value: Any) -> Any:
    raise ValueError("hooks on conditionings are not supported: disconnect them, or put the LoRA on the model")


Hooks = Annotated[object, Socket("HOOKS", refuse_hooks)]
Timesteps = Annotated[tuple[float, float], Socket("TIMESTEPS_RANGE")]
"""From which share of the sampling to which."""
SetArea = Annotated[str, Choice(["default", "mask bounds"])]
Positive = Annotated[Conditioning, Out("positive")]
Negative = Annotated[Conditioning, Out("negative")]


def with_properties(
    conditioning: ConditioningList, strength: float, area: str, mask: Any, timesteps: tuple[float, float] | None
) -> ConditioningList:
    """Acting where a mask selects, at this strength, and during a part of the sampling, as far as these are given."""
    values: dict[str, Any] = {}
    if mask is not None:
        values |= {"mask": mask, "mask_strength": strength, "set_area_to_bounds": area != "default"}
    if timesteps is not None:
        values |= {"start_percent": timesteps[0], "end_percent": timesteps[1]}
    return with_values(conditioning, **values)


@node("ConditioningTimestepsRange", category="advanced/hooks", title="Timesteps Range", experimental=True)
def conditioning_timesteps_range(
    *, start_percent: Percent = 0.0, end_percent: Percent = 1.0
) -> tuple[
    Annotated[Timesteps, Out("TIMESTEPS_RANGE")],
    Annotated[Timesteps, Out("BEFORE_RANGE")],
    Annotated[Timesteps, Out("AFTER_RANGE")],
]:
    """A part of the sampling, and what comes before and after it."""
    return (start_percent, end_percent), (0.0, start_percent), (end_percent, 1.0)


@node("ConditioningSetProperties", category="advanced/hooks/cond single", title="Cond Set Props", experimental=True)
def conditioning_set_properties(
    *,
    cond_NEW: Conditioning,
    strength: Strength = 1.0,
    set_cond_area: SetArea,
    mask: Mask | None = None,
    hooks: Hooks | None = None,
    timesteps: Timesteps | None = None,
) -> Conditioning:
    """Say where and when a conditioning acts.

    strength: of the mask.
    """
    return with_properties(cond_NEW, strength, set_cond_area, mask, timesteps)


@node(
    "ConditioningSetPropertiesAndCombine",
    category="advanced/hooks/cond single",
    title="Cond Set Props Combine",
    experimental=True,
)
def conditioning_set_properties_and_combine(
    *,
    cond: Conditioning,
    cond_NEW: Conditioning,
    strength: Strength = 1.0,
    set_cond_area: SetArea,
    mask: Mask | None = None,
    hooks: Hooks | None = None,
    timesteps: Timesteps | None = None,
) -> Conditioning:
    """Say where and when a conditioning acts, and combine it with another.

    strength: of the mask.
    """
    return [*with_values(cond), *with_properties(cond_NEW, strength, set_cond_area, mask, timesteps)]


@node(
    "ConditioningSetDefaultCombine",
    category="advanced/hooks/cond single",
    title="Cond Set Default Combine",
    experimental=True,
)
def conditioning_set_default_combine(
    *, cond: Conditioning, cond_DEFAULT: Conditioning, hooks: Hooks | None = None
) -> Conditioning:
    """Add a conditioning that acts only where no other one does."""
    return [*with_values(cond), *with_values(cond_DEFAULT, default=True)]


@node(
    "PairConditioningSetProperties", category="advanced/hooks/cond pair", title="Cond Pair Set Props", experimental=True
)
def pair_conditioning_set_properties(
    *,
    positive_NEW: Conditioning,
    negative_NEW: Conditioning,
    strength: Strength = 1.0,
    set_cond_area: SetArea,
    mask: Mask | None = None,
    hooks: Hooks | None = None,
    timesteps: Timesteps | None = None,
) -> tuple[Positive, Negative]:
    """Say where and when a positive and a negative conditioning act.

    strength: of the mask.
    """
    properties = (strength, set_cond_area, mask, timesteps)
    return with_properties(positive_NEW, *properties), with_properties(negative_NEW, *properties)


@node(
    "PairConditioningSetPropertiesAndCombine",
    category="advanced/hooks/cond pair",
    title="Cond Pair Set Props Combine",
    experimental=True,
)
def pair_conditioning_set_properties_and_combine(
    *,
    positive: Conditioning,
    negative: Conditioning,
    positive_NEW: Conditioning,
    negative_NEW: Conditioning,
    strength: Strength = 1.0,
    set_cond_area: SetArea,
    mask: Mask | None = None,
    hooks: Hooks | None = None,
    timesteps: Timesteps | None = None,
) -> tuple[Positive, Negative]:
    """Say where and when a positive and a negative conditioning act, and combine them with others.

    strength: of the mask.
    """
    properties = (strength, set_cond_area, mask, timesteps)
    return (
        [*with_values(positive), *with_properties(positive_NEW, *properties)],
        [*with_values(negative), *with_properties(negative_NEW, *properties)],
    )


@node("PairConditioningCombine", category="advanced/hooks/cond pair", title="Cond Pair Combine", experimental=True)
def pair_conditioning_combine(
    *, positive_A: Conditioning, negative_A: Conditioning, positive_B: Conditioning, negative_B: Conditioning
) -> tuple[Positive, Negative]:
    """Guide by two pairs of conditionings at once."""
    return [*with_values(positive_A), *with_values(positive_B)], [*with_values(negative_A), *with_values(negative_B)]


@node(
    "PairConditioningSetDefaultCombine",
    category="advanced/hooks/cond pair",
    title="Cond Pair Set Default Combine",
    experimental=True,
)
def pair_conditioning_set_default_combine(
    *,
    positive: Conditioning,
    negative: Conditioning,
    positive_DEFAULT: Conditioning,
    negative_DEFAULT: Conditioning,
    hooks: Hooks | None = None,
) -> tuple[Positive, Negative]:
    """Add a pair of conditionings that act only where no other ones do."""
    return (
        [*with_values(positive), *with_values(positive_DEFAULT, default=True)],
        [*with_values(negative), *with_values(negative_DEFAULT, default=True)],
    )
