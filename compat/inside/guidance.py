"""Guidance that our own nodes put on a model, inside runs that packs' own loop drives.

Each hook of ours becomes a function among the run's options, called with the dict that packs' functions get; what it
wants to know of the run it asks of `PackRun`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from compat.inside.network import OUR_HOOKS
from diffusion.handles import Model
from diffusion.patches.hooks import NO_HOOKS, ModelHooks
from diffusion.sampling.guidance.core import Guidance, GuidanceStep, guidance_of
from diffusion.sampling.prediction import Prediction

RUN = "heddle: the run"


class Ours:
    """Marks functions that stand for guidance of ours: a model with no others needs no loop of packs."""

    def __init__(self, hook: Any):
        self.hook = hook


class Before(Ours):
    def __call__(self, args: Mapping[str, Any]) -> list[Tensor]:
        out = list(args["conds_out"])
        negative = out[1] if len(out) > 1 and args["conds"][1] is not None else None
        positive, changed = self.hook(step_of(args, out[0], negative, out[0]))
        return [positive, out[1] if changed is None else changed, *out[2:]]


class Combine(Ours):
    def __call__(self, args: Mapping[str, Any]) -> Tensor:
        negative = None if args.get("input_uncond") is None else args["uncond_denoised"]
        step = step_of(args, args["cond_denoised"], negative, args["cond_denoised"])
        return args["input"] - self.hook(step)


class After(Ours):
    def __call__(self, args: Mapping[str, Any]) -> Tensor:
        negative = None if args.get("uncond") is None else args["uncond_denoised"]
        return self.hook(step_of(args, args["cond_denoised"], negative, args["denoised"]))


class MaskChange(Ours):
    def __call__(self, sigma: Tensor, mask: Tensor, extra_options: Mapping[str, Any]) -> Tensor:
        guider = extra_options["model"]
        run = PackRun(guider.inner_model, guider.conds, {}, extra_options["sigmas"])
        return self.hook(sigma, mask, run)


def step_of(args: Mapping[str, Any], positive: Tensor, negative: Tensor | None, denoised: Tensor) -> GuidanceStep:
    run: PackRun = args["model_options"].get(RUN) or PackRun(args["model"], {}, args["model_options"], None)
    run = replace(run, options=args["model_options"])
    return GuidanceStep(
        x=args["input"],
        sigma=args["sigma"],
        cfg=args["cond_scale"],
        positive=positive,
        negative=negative,
        denoised=denoised,
        run=run,  # type: ignore[arg-type]  # as far as hooks ask
        memory=run.memory,
    )


@dataclass(frozen=True)
class Process:
    prediction: Prediction
    levels: Any


@dataclass(frozen=True)
class PackRun:
    """`GuidedRun` and its predictor, as far as hooks of ours ask, over a run of packs' own loop."""

    model_of_packs: Any
    prepared: Mapping[str, Any]
    options: Mapping[str, Any]
    schedule: Tensor | None
    memory: dict[Any, Any] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.memory is None:
            object.__setattr__(self, "memory", {})

    @property
    def predictor(self) -> "PackRun":
        return self

    @property
    def model(self) -> Model:
        return self.model_of_packs.handle

    @property
    def guidance(self) -> Guidance:
        return guidance_of(self.model)

    @property
    def process(self) -> Process:
        from comfy.samplers import _Levels

        from diffusion.sampling.process import process_of

        return Process(process_of(self.model.prediction).prediction, _Levels(self.model_of_packs.model_sampling))

    def __call__(
        self, conditionings: Sequence[Any], x: Tensor, sigma: Tensor, hooks: ModelHooks = NO_HOOKS
    ) -> list[Tensor]:
        from comfy.samplers import calc_cond_batch

        options = dict(self.options)
        to = dict(options.get("transformer_options", {}))
        to[OUR_HOOKS] = to.get(OUR_HOOKS, NO_HOOKS) | hooks
        options["transformer_options"] = to
        return calc_cond_batch(self.model_of_packs, list(conditionings), x, sigma, options)


def as_model_options(before: Model | None, now: Model, options: dict[str, Any]) -> None:
    """Add what nodes of ours have put on a model since `before`."""
    old = Guidance() if before is None else guidance_of(before)
    new = guidance_of(now)
    for hook in new.before[len(old.before) :]:
        options["sampler_pre_cfg_function"] = [*options.get("sampler_pre_cfg_function", []), Before(hook)]
    if new.combine is not None and new.combine is not old.combine:
        options["sampler_cfg_function"] = Combine(new.combine)
    for hook in new.after[len(old.after) :]:
        options["sampler_post_cfg_function"] = [*options.get("sampler_post_cfg_function", []), After(hook)]
    if new.mask is not None and new.mask is not old.mask:
        options["denoise_mask_function"] = MaskChange(new.mask)
    if new.always_negative:
        options["disable_cfg1_optimization"] = True


def begin(options: dict[str, Any], model: Any, conds: Mapping[str, Any]) -> None:
    """When a run begins: what hooks of ours remember, and the hooks in the network that last for one run."""
    to = options.setdefault("transformer_options", {})
    run = PackRun(model, conds, options, to.get("sample_sigmas"))
    options[RUN] = run
    if getattr(model, "handle", None) is None:
        return
    patcher = getattr(model, "current_patcher", None)
    native: Model = getattr(patcher, "native", None) or model.handle
    for make in guidance_of(native).hooks:
        to[OUR_HOOKS] = to.get(OUR_HOOKS, NO_HOOKS) | make(run)  # type: ignore[arg-type]


def add_conditionings(guider: Any) -> None:
    """Conditionings that hooks of ours need beside the guider's."""
    from comfy.sampler_helpers import convert_cond

    native: Model | None = getattr(guider.model_patcher, "native", None)
    if native is None:
        return
    for name, entries in guidance_of(native).conditionings.items():
        guider.conds[name] = convert_cond([(entry.context, dict(entry.options)) for entry in entries])
