"""Runs by names or by objects, as nodes call them."""

import logging

import torch

from comfy import model_management, nested_tensor, samplers
from comfy.sampler_helpers import (
    cleanup_additional_models as cleanup_additional_models,
)
from comfy.sampler_helpers import (
    convert_cond as convert_cond,
)
from comfy.sampler_helpers import (
    get_additional_models as get_additional_models,
)
from comfy.sampler_helpers import (
    prepare_mask as prepare_mask,
)
from comfy.sampler_helpers import (
    prepare_sampling as prepare_sampling,
)
from diffusion.sampling.noise import initial_noise

log = logging.getLogger(__name__)


def prepare_noise(latent_image, seed, noise_inds=None):
    """Standard normal numbers shaped as the latent, float32 on the CPU. noise_inds: the rows' places in their batch."""
    if isinstance(latent_image, nested_tensor.NestedTensor):
        return nested_tensor.NestedTensor([prepare_noise(part, seed, noise_inds) for part in latent_image.unbind()])
    torch.manual_seed(seed)  # nodes go on drawing from the global generator
    places = None if noise_inds is None else [int(place) for place in noise_inds]
    return initial_noise(latent_image.shape, seed % 2**64, places).to(latent_image.dtype)


def fix_empty_latent_channels(model, latent_image, downscale_ratio_spacial=None):
    """An empty latent with as many channels and dimensions as the model works on; any other as it is."""
    if isinstance(latent_image, nested_tensor.NestedTensor):
        return latent_image
    form = model.get_model_object("latent_format")
    if form.latent_channels != latent_image.shape[1] and torch.count_nonzero(latent_image) == 0:
        shape = [latent_image.shape[0], form.latent_channels, *latent_image.shape[2:]]
        latent_image = latent_image.new_zeros(shape)
    if form.latent_dimensions == 3 and latent_image.ndim == 4:
        latent_image = latent_image.unsqueeze(2)
    return latent_image


def sample(
    model,
    noise,
    steps,
    cfg,
    sampler_name,
    scheduler,
    positive,
    negative,
    latent_image,
    denoise=1.0,
    disable_noise=False,
    start_step=None,
    last_step=None,
    force_full_denoise=False,
    noise_mask=None,
    sigmas=None,
    callback=None,
    disable_pbar=False,
    seed=None,
):
    sampler = samplers.KSampler(
        model, steps=steps, device=model.load_device, sampler=sampler_name, scheduler=scheduler, denoise=denoise,
        model_options=model.model_options,
    )  # fmt: skip
    samples = sampler.sample(
        noise, positive, negative, cfg=cfg, latent_image=latent_image, start_step=start_step, last_step=last_step,
        force_full_denoise=force_full_denoise, denoise_mask=noise_mask, sigmas=sigmas, callback=callback,
        disable_pbar=disable_pbar, seed=seed,
    )  # fmt: skip
    return samples.to(model_management.intermediate_device())


def sample_custom(
    model,
    noise,
    cfg,
    sampler,
    sigmas,
    positive,
    negative,
    latent_image,
    noise_mask=None,
    callback=None,
    disable_pbar=False,
    seed=None,
):
    samples = samplers.sample(
        model, noise, positive, negative, cfg, model.load_device, sampler, sigmas, model_options=model.model_options,
        latent_image=latent_image, denoise_mask=noise_mask, callback=callback, disable_pbar=disable_pbar, seed=seed,
    )  # fmt: skip
    return samples.to(model_management.intermediate_device())
