"""Our solvers as packs call samplers, and packs' models as our solvers call denoisers."""

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from diffusion.sampling.denoiser import Step
from diffusion.sampling.marginals import Marginals, RectifiedFlow, VarianceExploding
from diffusion.sampling.noise import BrownianNoise
from diffusion.sampling.sa_solver import tau_between
from diffusion.sampling.solvers import SOLVERS, Sampler, Solver


class PackDenoiser:
    """model(x, sigma, **extra_args) as a `GuidedDenoiser`."""

    def __init__(self, model: Any, extra_args: Mapping[str, Any] | None):
        self._model, self._extra = model, dict(extra_args or {})

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        return self._model(x, sigma, **self._extra)

    def with_unconditional(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """The estimate without the positive conditioning is caught where guidance passes it by."""
        caught: list[Tensor] = []

        def catch(args: Mapping[str, Any]) -> Tensor:
            caught.append(args["uncond_denoised"])
            return args["denoised"]

        options = dict(self._extra.get("model_options", {}))
        options["sampler_post_cfg_function"] = [*options.get("sampler_post_cfg_function", []), catch]
        options["disable_cfg1_optimization"] = True
        denoised = self._model(x, sigma, **{**self._extra, "model_options": options})
        return denoised, caught[-1] if caught else denoised


class Schedule:
    """A pack's schedule object, as the library's levels are asked."""

    def __init__(self, of: Any):
        self.of = of

    def percent_to_sigma(self, percent: float) -> float:
        return float(self.of.percent_to_sigma(percent))

    @property
    def is_flow(self) -> bool:
        from comfy.model_sampling import CONST

        return isinstance(self.of, CONST)

    @property
    def marginals(self) -> Marginals:
        return RectifiedFlow() if self.is_flow else VarianceExploding()


def schedule_of(model: Any) -> Schedule:
    """Of what a sampler's function is given; a model without one is taken to add noise to data."""
    for path in (("inner_model", "inner_model"), ("inner_model",), ()):
        holder = model
        for name in path:
            holder = getattr(holder, name, None)
        found = getattr(holder, "model_sampling", None)
        if found is not None:
            return Schedule(found)
    return Schedule(None)


def solve(
    name: str, model: Any, x: Tensor, sigmas: Tensor, extra_args: Mapping[str, Any] | None,
    callback: Callable[[dict[str, Any]], Any] | None, noise_sampler: Any, options: Mapping[str, Any],
) -> Tensor:  # fmt: skip
    """Run one of our solvers on a pack's model. noise_sampler: a pack's, noise(sigma, sigma_next) of tensors."""
    known = {key: value for key, value in options.items() if key in accepted(SOLVERS[name])}
    return run(Sampler(SOLVERS[name], known), model, x, sigmas, extra_args, callback, noise_sampler)


def accepted(solver: Solver) -> set[str]:
    names = set(signature(solver.run).parameters)
    return names | {"eta", "sde_start_percent", "sde_end_percent"} if solver.tau else names


def run(
    chosen: Sampler, model: Any, x: Tensor, sigmas: Tensor, extra_args: Mapping[str, Any] | None,
    callback: Callable[[dict[str, Any]], Any] | None, noise_sampler: Any = None,
) -> Tensor:  # fmt: skip
    solver = chosen.solver
    schedule = schedule_of(model)
    seed = (extra_args or {}).get("seed")
    needs, rest = _needs(solver, dict(chosen.options), schedule, x, sigmas, seed, noise_sampler)
    levels = _finite_start(sigmas, schedule) if solver.finite_start else sigmas

    def on_step(step: Step) -> None:
        if callback is not None:
            sigma = x.new_tensor(step.sigma)
            callback({"x": step.x, "i": step.index, "sigma": sigma, "sigma_hat": sigma, "denoised": step.denoised})

    return solver.run(PackDenoiser(model, extra_args), x, levels, on_step, **needs, **rest)


def _finite_start(sigmas: Tensor, schedule: Schedule) -> Tensor:
    if len(sigmas) < 2 or not schedule.is_flow or float(sigmas[0]) < 1:
        return sigmas
    changed = sigmas.clone()
    changed[0] = schedule.percent_to_sigma(1e-4)
    return changed


def _needs(
    solver: Solver, options: dict[str, Any], schedule: Schedule, x: Tensor, sigmas: Tensor, seed: int | None,
    noise_sampler: Any,
) -> tuple[dict[str, Any], dict[str, Any]]:  # fmt: skip
    """What the solver asks for, and the options left for it."""
    from comfy.k_diffusion import sampling as k_diffusion

    needs: dict[str, Any] = {}
    if solver.marginals:
        needs["marginals"] = schedule.marginals
    if solver.draw:
        generator = torch.Generator(x.device).manual_seed((seed or 0) % 2**64)
        needs["draw"] = lambda shape: torch.randn(tuple(shape), generator=generator, device=x.device)
    if solver.tau:
        start = schedule.percent_to_sigma(options.pop("sde_start_percent", 0.2))
        end = schedule.percent_to_sigma(options.pop("sde_end_percent", 0.8))
        needs["tau"] = tau_between(start, end, options.pop("eta", 1.0))
    if solver.noise is not None:
        if noise_sampler is None and solver.noise == "step":
            noise_sampler = k_diffusion.default_noise_sampler(x, seed=seed)
        if noise_sampler is not None:
            theirs = noise_sampler
            needs["noise"] = lambda sigma, sigma_next: theirs(x.new_tensor(sigma), x.new_tensor(sigma_next))
        else:
            positive = sigmas[sigmas > 0]
            if len(positive):
                device = "cpu" if solver.noise == "brownian" else x.device
                drawn = int(torch.randint(0, 2**62, [])) if seed is None else seed
                needs["noise"] = BrownianNoise(x, float(positive.min()), float(sigmas.max()), drawn, device)
    return needs, options


def sampler_class(base: type) -> type:
    """The class of SAMPLER objects around samplers of ours. base: packs' `Sampler`."""

    class NativeSampler(base):  # type: ignore[misc]
        """extra_options, inpaint_options and sampler_function are what packs read of a sampler of their own kind."""

        def __init__(self, native: Sampler):
            self.native = native
            self.extra_options = dict(native.options)
            self.inpaint_options = {"random": True} if native.solver.fresh_mask_noise else {}

        def sampler_function(self, model: Any, x: Tensor, sigmas: Tensor, extra_args: Any = None, callback: Any = None,
                             disable: Any = None, noise_sampler: Any = None, **options: Any) -> Tensor:  # fmt: skip
            chosen = Sampler(self.native.solver, {**self.native.options, **options})
            return run(chosen, model, x, sigmas, extra_args, callback, noise_sampler)

        def sample(self, *args: Any, **kwargs: Any) -> Tensor:
            from comfy.samplers import KSAMPLER

            return KSAMPLER(self.sampler_function, {}, self.inpaint_options).sample(*args, **kwargs)

    return NativeSampler
