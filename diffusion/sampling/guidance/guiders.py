"""Guiders of more than two conditionings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from diffusion.sampling.conditioning import Condition
from diffusion.sampling.guidance.core import GuidanceStep, GuidedRun
from diffusion.sampling.guidance.perp_neg import perpendicular


@dataclass(frozen=True)
class DualCfg:
    """Two guidances at once, as in InstructPix2Pix (arXiv:2211.09800): a text beside a picture.

    regular: cfg for `middle` against `negative`, plus cfg_conds times what `positive` adds to `middle`.
    nested: `positive` guided against `middle`, and the result against `negative`.
    """

    positive: Sequence[Condition]
    middle: Sequence[Condition]
    negative: Sequence[Condition]
    cfg_conds: float
    cfg_middle_negative: float
    style: Literal["regular", "nested"] = "regular"

    @property
    def conditionings(self) -> Mapping[str, Sequence[Condition]]:
        return {"positive": self.positive, "middle": self.middle, "negative": self.negative}

    def guide(self, run: GuidedRun, x: Tensor, sigma: Tensor, unconditional: bool) -> tuple[Tensor, Tensor]:
        negative, middle, positive = run.estimates(("negative", "middle", "positive"), x, sigma)
        if self.style == "nested":
            inner, _ = run.guided(x, sigma, self.cfg_conds, positive, middle)
            return negative + (inner - negative) * self.cfg_middle_negative, negative
        outer, _ = run.guided(x, sigma, self.cfg_middle_negative, middle, negative)
        return outer + (positive - middle) * self.cfg_conds, negative


@dataclass(frozen=True)
class PerpNegCfg:
    """Guidance away from only that part of the negative that the positive does not share, see `perp_neg`."""

    positive: Sequence[Condition]
    negative: Sequence[Condition]
    empty: Sequence[Condition]
    cfg: float
    neg_scale: float = 1.0

    @property
    def conditionings(self) -> Mapping[str, Sequence[Condition]]:
        return {"positive": self.positive, "negative": self.negative, "empty": self.empty}

    def guide(self, run: GuidedRun, x: Tensor, sigma: Tensor, unconditional: bool) -> tuple[Tensor, Tensor]:
        positive, negative, empty = run.estimates(("positive", "negative", "empty"), x, sigma)
        denoised = perpendicular(positive, negative, empty, self.cfg, self.neg_scale)
        step = GuidanceStep(x, sigma, self.cfg, positive, negative, denoised, run, run.memory)
        return run.finished(step), negative
