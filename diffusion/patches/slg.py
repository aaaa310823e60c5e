"""Skip-layer guidance (Stability AI, SD 3.5): away from what the network says without some of its blocks."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import MappingProxyType

from torch import Tensor

from diffusion.handles import Model
from diffusion.patches.hooks import BlockInfo, BlockWrapper, ModelHooks, Place, RunBlock, Streams
from diffusion.sampling.guidance.core import guidance_of
from diffusion.sampling.guidance.weakened import with_weakened_guidance
from diffusion.sampling.predict import Predictor, Prepared
from diffusion.sampling.process import process_of


def skipping(double: Iterable[int] = (), single: Iterable[int] = ()) -> ModelHooks:
    """Hooks that leave out these blocks of a transformer."""
    places: dict[Place, BlockWrapper] = {Place("double", i): _skip for i in double}
    places |= {Place("single", i): _skip for i in single}
    return ModelHooks(blocks=MappingProxyType(places))


def _skip(block: RunBlock, streams: Streams, info: BlockInfo) -> Streams:
    return streams


def with_skip_layer_guidance(
    model: Model,
    skipping: ModelHooks,
    scale: float = 3.0,
    start_percent: float = 0.01,
    end_percent: float = 0.15,
    rescaling: float = 0.0,
) -> Model:
    """Away from the network without some of its layers; `skipping` are the hooks that leave these out."""
    return with_weakened_guidance(
        model, skipping, scale, start_percent=start_percent, end_percent=end_percent, rescaling=rescaling
    )


def with_skipping_negative(
    model: Model, skipping: ModelHooks, start_percent: float = 0.0, end_percent: float = 1.0
) -> Model:
    """Only the negative estimate is made without these layers: no more work than guidance itself."""
    levels = process_of(model.prediction).levels
    start = math.inf if start_percent <= 0 else levels.percent_to_sigma(start_percent)
    end = levels.percent_to_sigma(end_percent)

    def estimates(
        conditionings: Sequence[Sequence[Prepared]], x: Tensor, sigma: Tensor, predictor: Predictor
    ) -> list[Tensor]:
        if not end <= float(sigma[0]) <= start:
            return predictor(conditionings, x, sigma)
        weak = [bool(entries) and entries[0].role == "negative" for entries in conditionings]
        made = {
            is_weak: iter(
                predictor(
                    [entries for entries, w in zip(conditionings, weak, strict=True) if w == is_weak],
                    x,
                    sigma,
                    skipping if is_weak else ModelHooks(),
                )
            )
            for is_weak in set(weak)
        }
        return [next(made[is_weak]) for is_weak in weak]

    return replace(model, guidance=replace(guidance_of(model), estimates=estimates))
