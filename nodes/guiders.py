"""How prompts lead a sampler: menu `sampling/custom_sampling/guiders`."""

from dataclasses import dataclass
from typing import Annotated

from diffusion.handles import Model as ModelHandle
from diffusion.sampling.guidance import core
from diffusion.sampling.guidance.guiders import DualCfg, PerpNegCfg
from nodes.declare import node
from nodes.markers import Choice, Number, Socket
from nodes.wire import Conditioning, Model, conditions, one_of

CfgScale = Annotated[float, Number(0.0, 100.0, step=0.1, round=0.01)]


@dataclass(frozen=True)
class Guiding:
    """A model and what leads it: what travels as GUIDER."""

    model: ModelHandle
    guider: core.Guider


Guider = Annotated[Guiding, Socket("GUIDER", one_of("GUIDER", Guiding))]


@node("BasicGuider", category="sampling/custom_sampling/guiders")
def basic_guider(*, model: Model, conditioning: Conditioning) -> Guider:
    """Lead by one prompt, without guidance."""
    return Guiding(model, core.Cfg(conditions(conditioning)))


@node("CFGGuider", category="sampling/custom_sampling/guiders")
def cfg_guider(*, model: Model, positive: Conditioning, negative: Conditioning, cfg: CfgScale = 8.0) -> Guider:
    """Lead towards one prompt and away from another.

    cfg: how strongly.
    """
    return Guiding(model, core.Cfg(conditions(positive), conditions(negative), cfg))


@node("DualCFGGuider", category="sampling/custom_sampling/guiders")
def dual_cfg_guider(
    *,
    model: Model,
    cond1: Conditioning,
    cond2: Conditioning,
    negative: Conditioning,
    cfg_conds: CfgScale = 8.0,
    cfg_cond2_negative: CfgScale = 8.0,
    style: Annotated[str, Choice(["regular", "nested"])],
) -> Guider:
    """Lead by two prompts, each with a strength of its own.

    cfg_conds: from the second to the first.
    cfg_cond2_negative: from the negative to the second.
    """
    leading = conditions(cond1), conditions(cond2), conditions(negative)
    return Guiding(
        model, DualCfg(*leading, cfg_conds, cfg_cond2_negative, "nested" if style == "nested" else "regular")
    )


@node("PerpNegGuider", category="_for_testing", modern=True, experimental=True)
def perp_neg_guider(
    *,
    model: Model,
    positive: Conditioning,
    negative: Conditioning,
    empty_conditioning: Conditioning,
    cfg: CfgScale = 8.0,
    neg_scale: Annotated[float, Number(0.0, 100.0, step=0.01)] = 1.0,
) -> Guider:
    """Lead away from only that part of a negative prompt which the positive one does not share."""
    leading = conditions(positive), conditions(negative), conditions(empty_conditioning)
    return Guiding(model, PerpNegCfg(*leading, cfg, neg_scale))
