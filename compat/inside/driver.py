"""The loop that packs' models, samplers and guiders bring to runs of our own nodes: that of `comfy.samplers`."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from compat.inside.guidance import Ours
from diffusion.handles import Model
from diffusion.sampling.conditioning import Condition
from diffusion.sampling.denoiser import Step
from diffusion.sampling.driver import Driver, Sampled, SamplingRun
from diffusion.sampling.guidance.core import Cfg, Guider


def drives(patcher: Any) -> Driver | None:
    """A loop for a model that carries what a handle cannot; None where the handle says everything."""
    options = patcher.model_options
    to = options.get("transformer_options", {})
    functions: list[Any] = []
    for name, value in options.items():
        if name not in ("transformer_options", "disable_cfg1_optimization"):
            functions += value if isinstance(value, list) else [value]
    carried = [
        any(not isinstance(function, Ours) for function in functions),
        any(not str(key).startswith("heddle: ") and value for key, value in to.items()),
        bool(patcher.object_patches) and not _is_prediction_alone(patcher),
        any(found for kinds in (patcher.wrappers, patcher.callbacks) for found in kinds.values()),
        bool(patcher.injections or patcher.additional_models or patcher.hook_patches),
        patcher.forced_hooks is not None,
        options.get("disable_cfg1_optimization", False) and not functions,
    ]
    return drive if any(carried) else None


def _is_prediction_alone(patcher: Any) -> bool:
    from comfy import model_sampling

    schedule = patcher.object_patches.get("model_sampling")
    return len(patcher.object_patches) == 1 and isinstance(schedule, model_sampling.Ours)


class DrivenGuider:
    """A pack's guider on the wire: `core.Guider` for who looks, and the loop that runs it."""

    def __init__(self, guider: Any):
        self.guider = guider

    @property
    def conditionings(self) -> Mapping[str, Sequence[Condition]]:
        return {}

    @property
    def driver(self) -> Driver:
        return drive

    def guide(self, run: Any, x: Tensor, sigma: Tensor, unconditional: bool) -> tuple[Tensor, Tensor]:
        raise TypeError(f"{type(self.guider).__name__} is run by its own loop")


def drive(run: SamplingRun) -> Sampled:
    """`sample_guided`, by packs' loop."""
    from comfy import sample

    guider = guider_of(run.guider, run.model)
    patcher = guider.model_patcher
    latent = sample.fix_empty_latent_channels(patcher, run.latent)
    last: list[Tensor] = []

    def on_step(step: int, denoised: Tensor, x: Tensor, total: int) -> None:
        last[:] = [denoised]
        sigma = float(run.sigmas[min(step, len(run.sigmas) - 1)])
        run.on_step(Step(step, total, sigma, x, denoised))

    finished = guider.sample(
        run.noise,
        latent,
        sampler_object_of(run.sampler),
        run.sigmas,
        denoise_mask=run.noise_mask,
        callback=on_step,
        disable_pbar=True,
        seed=run.seed,
    ).cpu()
    if not torch.isfinite(finished).all():
        from diffusion.sampling.sample import NotFinite

        steps = len(run.sigmas) - 1
        raise NotFinite(run.model.source, steps, steps, float(run.sigmas[-1]))
    denoised = finished
    if last:
        denoised = patcher.model.process_latent_out(last[0].float()).cpu()
    return Sampled(finished, denoised)


def guider_of(guider: Guider, model: Model) -> Any:
    """A guider object as packs know it."""
    from comfy import samplers
    from comfy.model_patcher import patcher_of

    if isinstance(guider, DrivenGuider):
        return guider.guider
    patcher = patcher_of(model)
    if isinstance(guider, Cfg):
        made = samplers.CFGGuider(patcher)
        made.set_conds(pairs_of(guider.positive), pairs_of(guider.negative))
        made.set_cfg(guider.cfg)
        return made
    made = _guided_by_ours()(patcher)
    made.ours = guider
    made.inner_set_conds({name: pairs_of(entries) for name, entries in guider.conditionings.items()})
    made.set_cfg(getattr(guider, "cfg", 1.0))
    return made


def pairs_of(entries: Sequence[Condition]) -> list[list[Any]]:
    """What nodes wire: [embeddings, options]."""
    return [[entry.context, dict(entry.options)] for entry in entries]


def sampler_object_of(sampler: Any) -> Any:
    """A SAMPLER object as packs know it."""
    from comfy import samplers

    held = getattr(sampler, "held", None)
    return held if held is not None else samplers.NativeSampler(sampler)


def _guided_by_ours() -> type:
    from comfy import samplers

    class GuidedByOurs(samplers.CFGGuider):
        """One of our guiders of more than two conditionings, in packs' loop."""

        ours: Any = None

        def predict_noise(
            self, x: Tensor, timestep: Tensor, model_options: Mapping[str, Any] = {}, seed: int | None = None
        ) -> Tensor:  # fmt: skip
            run = _RunOfOurs(self.inner_model, self.conds, model_options)
            return self.ours.guide(run, x, timestep, False)[0]

    return GuidedByOurs


class _RunOfOurs:
    """`GuidedRun`, as far as guiders ask, over packs' estimates."""

    def __init__(self, model: Any, conds: Mapping[str, Any], options: Mapping[str, Any]):
        from compat.inside.guidance import RUN, PackRun

        self._model, self._conds, self._options = model, conds, options
        self._run: PackRun = options.get(RUN) or PackRun(model, conds, options, None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._run, name)

    def estimates(self, names: Sequence[str], x: Tensor, sigma: Tensor) -> list[Tensor]:
        from comfy import samplers

        conds = [self._conds.get(name) for name in names]
        return samplers.calc_cond_batch(self._model, conds, x, sigma, self._options)

    def guided(
        self, x: Tensor, sigma: Tensor, cfg: float, positive: Tensor, negative: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        from comfy import samplers

        second = positive if negative is None else negative
        made = samplers.cfg_function(
            self._model, positive, second, cfg, x, sigma, self._options,
            cond=self._conds.get("positive"), uncond=self._conds.get("negative"),
        )  # fmt: skip
        return made, second

    def finished(self, step: Any) -> Tensor:
        denoised = step.denoised
        for after in self._options.get("sampler_post_cfg_function", []):
            denoised = after(
                {
                    "denoised": denoised, "cond": self._conds.get("positive"), "uncond": self._conds.get("negative"),
                    "cond_scale": step.cfg, "model": self._model, "cond_denoised": step.positive,
                    "uncond_denoised": step.unconditional, "sigma": step.sigma, "timestep": step.sigma,
                    "model_options": self._options, "input": step.x,
                }
            )  # fmt: skip
        return denoised


def sampler_on_the_wire(held: Any) -> Any:
    """A pack's SAMPLER as our nodes take one."""
    from compat.inside.translations import PackSampler
    from diffusion.sampling.solvers import SOLVERS

    native = getattr(held, "native", None)
    if native is not None:
        return native
    return PackSampler(SOLVERS["euler"], driver=drive, held=held)


def guider_on_the_wire(held: Any) -> Any:
    """A pack's GUIDER as our nodes take one."""
    from comfy.model_patcher import handle_of

    from nodes.guiders import Guiding

    if held.model_patcher.native is None:
        return held
    return Guiding(handle_of(held.model_patcher), DrivenGuider(held))
