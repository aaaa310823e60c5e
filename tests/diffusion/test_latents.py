"""Latent formats convert between the scale of the autoencoder and the scale of the network."""

import pytest
import torch

from diffusion import latents

FORMATS = (latents.SD15, latents.SDXL, latents.SD3, latents.FLUX, latents.PLAYGROUND)


@pytest.mark.parametrize("space", FORMATS, ids=lambda s: s.name)
def test_model_scale_and_vae_scale_are_inverse(space: latents.LatentFormat):
    latent = torch.randn(2, space.channels, 3, 5, dtype=torch.float64)
    torch.testing.assert_close(space.to_vae(space.to_model(latent)), latent)


def test_model_scale_is_shifted_before_it_is_scaled():
    ones = torch.ones(1, 16, 1, 1)
    torch.testing.assert_close(latents.FLUX.to_model(ones), ones * (1 - 0.1159) * 0.3611)


def test_playground_latents_are_normalised_per_channel_to_half():
    mean = torch.tensor([-1.6574, 1.886, -1.383, 2.5155]).view(1, 4, 1, 1)
    std = torch.tensor([8.4927, 5.9022, 6.5498, 5.2299]).view(1, 4, 1, 1)
    torch.testing.assert_close(latents.PLAYGROUND.to_model(mean + std), torch.full((1, 4, 1, 1), 0.5))


@pytest.mark.parametrize("space", FORMATS[:4], ids=lambda s: s.name)
def test_a_preview_is_an_image_and_a_zero_latent_is_grey(space: latents.LatentFormat):
    preview = space.to_preview(torch.zeros(2, space.channels, 3, 5))
    assert preview.shape == (2, 3, 5, 3)
    assert torch.all(preview == 0.5)


def test_a_space_without_preview_factors_says_so():
    with pytest.raises(ValueError, match="Playground"):
        latents.PLAYGROUND.to_preview(torch.zeros(1, 4, 1, 1))
