"""The one entry to sampling: a model, a latent, noise and conditioning in, a finished latent out."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from diffusion.handles import Model
from diffusion.images.batch import repeat_to
from diffusion.memory.work import Place
from diffusion.sampling.checks import check_latents, check_weights
from diffusion.sampling.conditioning import Condition
from diffusion.sampling.denoiser import GuidedDenoiser, OnStep, Step, silent
from diffusion.sampling.driver import Sampled, SamplingRun, driver_of
from diffusion.sampling.guidance.core import Cfg, GuidedRun, Guider
from diffusion.sampling.in_memory import looking_ahead, run_in_memory
from diffusion.sampling.inpaint import MaskedDenoiser
from diffusion.sampling.network_inputs import Latents
from diffusion.sampling.noise import BrownianNoise, SeededNoise, draws, seeded
from diffusion.sampling.predict import Predictor
from diffusion.sampling.process import Process, process_of
from diffusion.sampling.regions import resized_mask
from diffusion.sampling.sa_solver import tau_between
from diffusion.sampling.solvers import Sampler


class NotFinite(ArithmeticError):
    """The model answered with values that are not numbers."""

    def __init__(self, source: str, step: int, steps: int, sigma: float):
        self.step, self.steps, self.sigma = step, steps, sigma
        super().__init__(
            f"{source or 'The model'} answered with NaN or infinity at step {step} of {steps} (sigma {sigma:.4g}). "
            "Its weights may be damaged, a patch may be too strong, or its precision too low: float32 is the safe one."
        )


def sample(
    model: Model,
    latent: Tensor,
    noise: Tensor,
    positive: Sequence[Condition],
    negative: Sequence[Condition],
    cfg: float,
    sampler: Sampler,
    sigmas: Tensor,
    *,
    noise_mask: Tensor | None = None,
    on_step: OnStep = silent,
    seed: int = 0,
) -> Tensor:
    """Samples with classifier-free guidance; see `sample_guided`, which this calls. Returns its latent."""
    guider = Cfg(positive, negative, cfg)
    run = sample_guided(
        model, guider, latent, noise, sampler, sigmas, noise_mask=noise_mask, on_step=on_step, seed=seed
    )
    return run.latent


@torch.no_grad()
def sample_guided(
    model: Model,
    guider: Guider,
    latent: Tensor,
    noise: Tensor,
    sampler: Sampler,
    sigmas: Tensor,
    *,
    noise_mask: Tensor | None = None,
    on_step: OnStep = silent,
    seed: int = 0,
) -> Sampled:
    """Runs a solver over `sigmas` from the noised latent, where the model's keeper has its network compute.

    Where there is not the memory to answer all conditions at once, they are answered one at a time.
    latent: (B, C, H, W) in VAE scale, made to fit by `fit_latent`; all zeros is "no picture yet".
    noise: shaped as the latent, from `noise.initial_noise`, or zeros to add none.
    sigmas: (steps + 1,), decreasing; none at all returns the latent as it is.
    noise_mask: (B, 1, H, W), (B, H, W) or (H, W) of any size, 1 where to repaint; elsewhere the latent stays.
    on_step: given each step, with the estimate in model scale; may raise to interrupt.
    seed: of the noise that stochastic solvers add. All state is float32, whatever the network computes in.
    Raises NotFinite, naming the step, when the model answers NaN; ValueError where things do not fit.
    """
    check_latents(model, latent, noise)
    if len(sigmas) == 0:
        return Sampled(latent, latent)
    check_weights(model)
    if (driver := driver_of(model, guider, sampler)) is not None:
        return driver(SamplingRun(model, guider, latent, noise, sampler, sigmas, noise_mask, on_step, seed))
    process = process_of(model.prediction)

    def job(place: Place, at_once: bool) -> Sampled:
        image = latent.to(place.device, torch.float32)
        if latent.any():
            image = model.latent.to_model(image)
        drawn = noise.to(place.device, torch.float32)
        latents = Latents(image, _mask(noise_mask, image), seed)
        predictor = Predictor(
            model, place.of(model.network), process, latents, sigmas, join=at_once, network_of=place.of
        )
        run = GuidedRun(predictor, guider)
        denoiser: GuidedDenoiser = run
        if latents.mask is not None:
            if sampler.solver.fresh_mask_noise:
                fresh = torch.randn(noise.shape, generator=seeded((seed + 1) % 2**64), dtype=torch.float32)
                denoiser = MaskedDenoiser(run, latents, fresh.to(place.device))
            else:
                denoiser = MaskedDenoiser(run, latents, drawn)
        checked = _Checked(denoiser, model.source, sigmas)

        x = process.prediction.start(image, drawn, float(sigmas[0]), process.levels.sigma_max)
        last = _Last(x, looking_ahead(model, on_step))
        levels = _finite_start(sigmas, process) if sampler.solver.finite_start else sigmas
        needs = _needs(sampler, process, x, sigmas, seed)
        x = sampler.solver.run(checked, x, levels, last, **needs)
        x = process.prediction.finish(x, float(sigmas[-1]))
        return Sampled(model.latent.to_vae(x).cpu(), model.latent.to_vae(last.denoised).cpu())

    return run_in_memory(model, guider, latent, len(sigmas) - 1, job)


def add_noise(model: Model, latent: Tensor, noise: Tensor, sigmas: Tensor) -> Tensor:
    """The latent with as much noise as a run over `sigmas` would take away, to be sampled without adding any.

    latent, noise: (B, C, H, W), the first in VAE scale, as is the result. sigmas: a single one counts whole, several
    by the distance between the first and the last; none adds nothing.
    """
    check_latents(model, latent, noise)
    if len(sigmas) == 0:
        return latent
    sigma = float(sigmas[0]) if len(sigmas) == 1 else abs(float(sigmas[0] - sigmas[-1]))
    process = process_of(model.prediction)
    image = model.latent.to_model(latent.float()) if latent.any() else latent.float()
    return model.latent.to_vae(process.prediction.start(image, noise, sigma, math.inf))


def fit_latent(model: Model, latent: Tensor) -> Tensor:
    """An empty latent, all zeros, with as many channels as the model works on; any other as it is."""
    if latent.shape[1] == model.latent.channels or latent.any():
        return latent
    return latent.new_zeros((latent.shape[0], model.latent.channels, *latent.shape[2:]))


def _mask(noise_mask: Tensor | None, image: Tensor) -> Tensor | None:
    if noise_mask is None:
        return None
    return repeat_to(resized_mask(noise_mask, *image.shape[2:]), len(image)).to(image.device)


def _finite_start(sigmas: Tensor, process: Process) -> Tensor:
    """Where the first level of a flow holds no signal, one at 0.01 % of the way takes its place."""
    if len(sigmas) < 2 or process.prediction.marginals.alpha(float(sigmas[0])) > 0:
        return sigmas
    changed = sigmas.clone()
    changed[0] = process.levels.percent_to_sigma(1e-4)
    return changed


def _needs(sampler: Sampler, process: Process, x: Tensor, sigmas: Tensor, seed: int) -> dict[str, Any]:
    """The keyword arguments of the solver: what it asks for, and its options."""
    solver, options = sampler.solver, dict(sampler.options)
    needs: dict[str, Any] = {}
    if solver.marginals:
        needs["marginals"] = process.prediction.marginals
    if solver.draw:
        needs["draw"] = draws(seed, x.device)
    if solver.tau:
        start = process.levels.percent_to_sigma(options.pop("sde_start_percent", 0.2))
        end = process.levels.percent_to_sigma(options.pop("sde_end_percent", 0.8))
        needs["tau"] = tau_between(start, end, options.pop("eta", 1.0))
    if solver.noise == "step":
        needs["noise"] = SeededNoise(x, seed)
    elif solver.noise is not None:
        device = "cpu" if solver.noise == "brownian" else x.device
        positive = sigmas[sigmas > 0]
        if len(positive):
            needs["noise"] = BrownianNoise(x, float(positive.min()), float(sigmas.max()), seed, device)
    return {**needs, **options}


class _Last:
    """Passes steps on and keeps the newest estimate."""

    def __init__(self, x: Tensor, on_step: OnStep):
        self.denoised, self._on_step = x, on_step

    def __call__(self, step: Step) -> None:
        self.denoised = step.denoised
        self._on_step(step)


class _Checked:
    """Refuses estimates that are not numbers, so that a run ends with a reason and not with a black picture."""

    def __init__(self, denoiser: GuidedDenoiser, source: str, sigmas: Tensor):
        self._denoiser, self._source, self._sigmas = denoiser, source, sigmas

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        return self._finite(self._denoiser(x, sigma), sigma)

    def with_unconditional(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        denoised, unconditional = self._denoiser.with_unconditional(x, sigma)
        return self._finite(denoised, sigma), unconditional

    def _finite(self, denoised: Tensor, sigma: Tensor) -> Tensor:
        if not torch.isfinite(denoised).all():
            level, steps = float(sigma[0]), len(self._sigmas) - 1
            step = int((self._sigmas[:-1] >= level * (1 - 1e-6)).sum())
            raise NotFinite(self._source, min(max(step, 1), steps), steps, level)
        return denoised
