"""Classifier-free guidance (arXiv:2207.12598), and the places where a model may change it.

`Guidance` is what `handles.Model.guidance` holds. One method is one file beside this one; each offers a function that
takes a model and gives it back with the method added.
"""

import math
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Protocol

from torch import Tensor

from diffusion.handles import Model
from diffusion.patches.hooks import NO_HOOKS, ModelHooks, Role
from diffusion.sampling.conditioning import Condition
from diffusion.sampling.predict import Predictor, Prepared


@dataclass(frozen=True)
class GuidanceStep:
    """What a guidance hook is given: one evaluation in the middle of a run. Tensors are (B, C, H, W) float32."""

    x: Tensor
    sigma: Tensor
    """(B,), all equal."""
    cfg: float
    positive: Tensor
    """Estimate under the positive conditioning."""
    negative: Tensor | None
    """Estimate under the negative one; None where it was not made, because cfg is 1."""
    denoised: Tensor
    """The guided estimate so far; before guidance the positive one."""
    run: "GuidedRun"
    memory: MutableMapping[Any, Any]
    """Lives as long as the run: for hooks that remember earlier steps, under a key of their own."""

    @property
    def unconditional(self) -> Tensor:
        """The negative estimate, or the positive one where there is no other."""
        return self.positive if self.negative is None else self.negative

    def predict(self, name: str, hooks: ModelHooks = NO_HOOKS, x: Tensor | None = None) -> Tensor:
        """Another estimate: under the conditioning of that name, with other hooks, or of another latent."""
        return self.run.predictor([self.run.prepared[name]], self.x if x is None else x, self.sigma, hooks)[0]

    @property
    def level(self) -> Tensor:
        """sigma as (B, 1, 1, 1)."""
        return self.sigma.view(-1, 1, 1, 1)


Before = Callable[[GuidanceStep], tuple[Tensor, Tensor | None]]
"""New positive and negative estimates."""
Combine = Callable[[GuidanceStep], Tensor]
"""The guided estimate, in place of classifier-free guidance."""
After = Callable[[GuidanceStep], Tensor]
"""The guided estimate, changed."""
MaskChange = Callable[[Tensor, Tensor, "GuidedRun"], Tensor]
"""sigma (B,), the noise mask (B, 1, H, W) and the run -> the mask at this level."""
MakeEstimates = Callable[[Sequence[Sequence[Prepared]], Tensor, Tensor, Predictor], list[Tensor]]
"""In place of `Predictor.__call__`: conditionings, x, sigma, and the predictor to go on with."""


@dataclass(frozen=True)
class Guidance:
    """Changes to guidance, in the order in which they run."""

    before: tuple[Before, ...] = ()
    combine: Combine | None = None
    after: tuple[After, ...] = ()
    mask: MaskChange | None = None
    estimates: MakeEstimates | None = None
    hooks: tuple[Callable[["GuidedRun"], ModelHooks], ...] = ()
    """Hooks inside the network that last for one run."""
    always_negative: bool = False
    """Needs the negative estimate at cfg 1 too."""
    conditionings: Mapping[str, Sequence[Condition]] = field(default_factory=lambda: MappingProxyType({}))
    """Conditionings that the hooks above need beside the guider's, by names of their own."""


def guidance_of(model: Model) -> Guidance:
    """The changes a model carries."""
    if model.guidance is None:
        return Guidance()
    if not isinstance(model.guidance, Guidance):
        raise TypeError(f"A model's guidance has to be a Guidance, not {type(model.guidance).__name__}")
    return model.guidance


def with_before(model: Model, hook: Before) -> Model:
    guidance = guidance_of(model)
    return replace(model, guidance=replace(guidance, before=(*guidance.before, hook)))


def with_combine(model: Model, combine: Combine, *, always_negative: bool = False) -> Model:
    """There is one way to combine: a later one takes the place of an earlier."""
    guidance = guidance_of(model)
    always = guidance.always_negative or always_negative
    return replace(model, guidance=replace(guidance, combine=combine, always_negative=always))


def with_after(model: Model, hook: After, *, always_negative: bool = False) -> Model:
    guidance = guidance_of(model)
    always = guidance.always_negative or always_negative
    return replace(model, guidance=replace(guidance, after=(*guidance.after, hook), always_negative=always))


def with_mask_change(model: Model, change: MaskChange) -> Model:
    return replace(model, guidance=replace(guidance_of(model), mask=change))


class Guider(Protocol):
    """Decides which conditionings are evaluated and how they make one estimate."""

    @property
    def conditionings(self) -> Mapping[str, Sequence[Condition]]:
        """By name; "positive" and "negative" are known to hooks."""
        ...

    def guide(self, run: "GuidedRun", x: Tensor, sigma: Tensor, unconditional: bool) -> tuple[Tensor, Tensor]:
        """The guided estimate and the unconditional one.

        unconditional: the second is really needed; otherwise any estimate may stand for it.
        """
        ...


@dataclass(frozen=True)
class Cfg:
    """unconditional + cfg * (positive - unconditional): classifier-free guidance.

    At cfg 1 that is the positive estimate, and the negative one is not made.
    """

    positive: Sequence[Condition]
    negative: Sequence[Condition] = ()
    cfg: float = 1.0

    @property
    def conditionings(self) -> Mapping[str, Sequence[Condition]]:
        return {"positive": self.positive, "negative": self.negative}

    def guide(self, run: "GuidedRun", x: Tensor, sigma: Tensor, unconditional: bool) -> tuple[Tensor, Tensor]:
        wanted = unconditional or run.guidance.always_negative or not math.isclose(self.cfg, 1.0)
        names = ("positive", "negative") if wanted and self.negative else ("positive",)
        estimates = run.estimates(names, x, sigma)
        return run.guided(x, sigma, self.cfg, estimates[0], estimates[1] if len(estimates) > 1 else None)


class GuidedRun:
    """A `GuidedDenoiser` for one run: a model under a guider's conditionings, with the model's own changes."""

    def __init__(self, predictor: Predictor, guider: Guider):
        self.predictor = predictor
        self.guidance = guidance_of(predictor.model)
        self.memory: dict[Any, Any] = {}
        self._guider = guider
        if not guider.conditionings["positive"]:
            raise ValueError("There is no positive conditioning to sample under")
        conditionings = {**guider.conditionings, **self.guidance.conditionings}
        roles: dict[str, Role] = {name: "negative" if name == "negative" else "positive" for name in conditionings}
        self.prepared = predictor.prepare(conditionings, roles)
        self._hooks = NO_HOOKS
        for make in self.guidance.hooks:
            self._hooks = self._hooks | make(self)

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        return self._guider.guide(self, x, sigma, unconditional=False)[0]

    def with_unconditional(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        return self._guider.guide(self, x, sigma, unconditional=True)

    def estimates(self, names: Sequence[str], x: Tensor, sigma: Tensor) -> list[Tensor]:
        """One estimate per named conditioning, made together."""
        conditionings = [self.prepared[name] for name in names]
        if self.guidance.estimates is not None:
            return self.guidance.estimates(conditionings, x, sigma, self.predictor)
        return self.predictor(conditionings, x, sigma, self._hooks)

    def guided(
        self, x: Tensor, sigma: Tensor, cfg: float, positive: Tensor, negative: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Combines two estimates through all hooks: the guided and the unconditional one."""
        step = GuidanceStep(x, sigma, cfg, positive, negative, positive, self, self.memory)
        for before in self.guidance.before:
            positive, negative = before(step)
            step = replace(step, positive=positive, negative=negative, denoised=positive)
        combine = self.guidance.combine or classifier_free
        step = replace(step, denoised=combine(step))
        return self.finished(step), step.unconditional

    def finished(self, step: GuidanceStep) -> Tensor:
        """The guided estimate of a step after all `after` hooks."""
        for after in self.guidance.after:
            step = replace(step, denoised=after(step))
        return step.denoised


def classifier_free(step: GuidanceStep) -> Tensor:
    """unconditional + cfg * (positive - unconditional)."""
    if step.negative is None:
        return step.positive
    return step.negative + (step.positive - step.negative) * step.cfg
