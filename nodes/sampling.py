"""Noise to latents: menu `sampling` and `sampling/custom_sampling`."""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from diffusion.handles import Model as ModelHandle
from diffusion.sampling import sample as library
from diffusion.sampling.guidance.core import Cfg
from diffusion.sampling.noise import initial_noise, no_noise
from diffusion.sampling.process import process_of
from diffusion.sampling.schedules import schedule
from diffusion.sampling.sigmas import cut
from diffusion.sampling.solvers import Sampler as LibrarySampler
from diffusion.sampling.solvers import sampler
from execution.context import Run
from nodes.declare import node
from nodes.guiders import Guider, Guiding
from nodes.markers import SEED, Choice, Given, Number, Out
from nodes.previews import Previews, reporting
from nodes.sampling_samplers import SAMPLER_NAMES
from nodes.sampling_schedules import SCHEDULE_NAMES
from nodes.wire import Conditioning, Latent, LatentDict, Model, Noise, Sampler, Sigmas, conditions

Steps = Annotated[int, Number(1, 10000)]
StepIndex = Annotated[int, Number(0, 10000)]
CfgScale = Annotated[float, Number(0.0, 100.0, step=0.1, round=0.01)]
SamplerName = Annotated[str, Choice(SAMPLER_NAMES)]
ScheduleName = Annotated[str, Choice(SCHEDULE_NAMES)]
LAST_STEP = 10000


@dataclass(frozen=True)
class Watched:
    """Where a sampler reports to."""

    run: Run
    previews: Previews

    def sample(
        self,
        guiding: Guiding,
        latent: LatentDict,
        noise: Tensor,
        solver: LibrarySampler,
        sigmas: Tensor,
        seed: int,
    ) -> library.Sampled:
        return library.sample_guided(
            guiding.model,
            guiding.guider,
            latent["samples"],
            noise,
            solver,
            sigmas,
            noise_mask=latent.get("noise_mask"),
            on_step=reporting(guiding.model, self.run, self.previews),
            seed=seed,
        )


def fitted(model: ModelHandle, latent: LatentDict) -> LatentDict:
    """The latent with the channels the model works on, if it is empty."""
    return {**latent, "samples": library.fit_latent(model, latent["samples"])}


def noise_for(latent: LatentDict, seed: int, add: bool) -> Tensor:
    shape = latent["samples"].shape
    return initial_noise(shape, seed, latent.get("batch_index")) if add else no_noise(shape)


def sigmas_for(model: ModelHandle, solver: LibrarySampler, name: str, steps: int, denoise: float = 1.0) -> Tensor:
    levels = process_of(model.prediction).levels
    return schedule(levels, name, steps, denoise, discard_penultimate=solver.solver.discard_penultimate)


@node("KSampler", category="sampling")
def k_sampler(
    *,
    model: Model,
    seed: Annotated[int, SEED] = 0,
    steps: Steps = 20,
    cfg: CfgScale = 8.0,
    sampler_name: SamplerName,
    scheduler: ScheduleName,
    positive: Conditioning,
    negative: Conditioning,
    latent_image: Latent,
    denoise: Annotated[float, Number(0.0, 1.0, step=0.01)] = 1.0,
    run: Given[Run],
    previews: Given[Previews],
) -> Latent:
    """Turn noise into a latent picture, guided by prompts.

    seed: one seed is one picture.
    steps: more steps are slower and more exact.
    cfg: how closely to follow the prompt.
    denoise: the share of the noise to start from; below 1 the given latent shows through.
    """
    latent, solver = fitted(model, latent_image), sampler(sampler_name)
    sigmas = sigmas_for(model, solver, scheduler, steps, denoise)
    guiding = Guiding(model, Cfg(conditions(positive), conditions(negative), cfg))
    noise = noise_for(latent, seed, add=True)
    sampled = Watched(run, previews).sample(guiding, latent, noise, solver, sigmas, seed)
    return {**latent, "samples": sampled.latent}


@node("KSamplerAdvanced", category="sampling", title="KSampler (Advanced)")
def k_sampler_advanced(
    *,
    model: Model,
    add_noise: Annotated[str, Choice(["enable", "disable"])],
    noise_seed: Annotated[int, SEED] = 0,
    steps: Steps = 20,
    cfg: CfgScale = 8.0,
    sampler_name: SamplerName,
    scheduler: ScheduleName,
    positive: Conditioning,
    negative: Conditioning,
    latent_image: Latent,
    start_at_step: StepIndex = 0,
    end_at_step: StepIndex = LAST_STEP,
    return_with_leftover_noise: Annotated[str, Choice(["disable", "enable"])],
    run: Given[Run],
    previews: Given[Previews],
) -> Latent:
    """Do a part of the steps from noise to a latent picture, so that several samplers can share the work.

    add_noise: disable to go on with a latent that still has noise.
    return_with_leftover_noise: enable to hand the latent on unfinished.
    """
    latent, solver = fitted(model, latent_image), sampler(sampler_name)
    leftover = return_with_leftover_noise == "enable"
    whole = sigmas_for(model, solver, scheduler, steps)
    sigmas = cut(whole, start_at_step, end_at_step, leftover_noise=leftover)
    if len(sigmas) < 2:
        return latent
    guiding = Guiding(model, Cfg(conditions(positive), conditions(negative), cfg))
    noise = noise_for(latent, noise_seed, add=add_noise == "enable")
    sampled = Watched(run, previews).sample(guiding, latent, noise, solver, sigmas, noise_seed)
    return {**latent, "samples": sampled.latent}


Output = Annotated[Latent, Out("output")]
Denoised = Annotated[Latent, Out("denoised_output")]


@node("SamplerCustom", category="sampling/custom_sampling")
def sampler_custom(
    *,
    model: Model,
    add_noise: bool = True,
    noise_seed: Annotated[int, SEED] = 0,
    cfg: CfgScale = 8.0,
    positive: Conditioning,
    negative: Conditioning,
    sampler: Sampler,
    sigmas: Sigmas,
    latent_image: Latent,
    run: Given[Run],
    previews: Given[Previews],
) -> tuple[Output, Denoised]:
    """Turn noise into a latent picture by a sampler and a schedule of your own.

    add_noise: off to go on with a latent that still has noise.
    """
    latent = fitted(model, latent_image)
    guiding = Guiding(model, Cfg(conditions(positive), conditions(negative), cfg))
    noise = noise_for(latent, noise_seed, add_noise)
    sampled = Watched(run, previews).sample(guiding, latent, noise, sampler, sigmas, noise_seed)
    return {**latent, "samples": sampled.latent}, {**latent, "samples": sampled.denoised}


@node("SamplerCustomAdvanced", category="sampling/custom_sampling")
def sampler_custom_advanced(
    *,
    noise: Noise,
    guider: Guider,
    sampler: Sampler,
    sigmas: Sigmas,
    latent_image: Latent,
    run: Given[Run],
    previews: Given[Previews],
) -> tuple[Output, Denoised]:
    """Turn noise into a latent picture by a guider, a sampler and a schedule of your own."""
    latent = fitted(guider.model, latent_image)
    drawn = noise.generate_noise(latent)
    sampled = Watched(run, previews).sample(guider, latent, drawn, sampler, sigmas, noise.seed)
    return {**latent, "samples": sampled.latent}, {**latent, "samples": sampled.denoised}


@node("AddNoise", category="_for_testing/custom_sampling/noise")
def add_noise(*, model: Model, noise: Noise, sigmas: Sigmas, latent_image: Latent) -> Latent:
    """Add as much noise to a latent as lies between the first and the last level of a schedule."""
    if len(sigmas) == 0:
        return latent_image
    latent = fitted(model, latent_image)
    samples = latent["samples"].float()
    amount = float(sigmas[0] - sigmas[-1]) if len(sigmas) > 1 else float(sigmas[0])
    process = process_of(model.prediction)
    clean = model.latent.to_model(samples) if samples.any() else samples
    noisy = process.prediction.start(clean, noise.generate_noise(latent), amount, process.levels.sigma_max)
    return {**latent, "samples": torch.nan_to_num(model.latent.to_vae(noisy), nan=0.0, posinf=0.0, neginf=0.0)}
