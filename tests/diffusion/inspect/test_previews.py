"""Previews are small pictures of a latent, whatever is in it."""

import pytest
import torch

from diffusion import latents
from diffusion.inspect.preview import factor_previewer, taesd_previewer
from diffusion.models.taesd import TaesdConfig, decoder


def test_a_linear_preview_has_one_pixel_per_position_and_the_published_colours():
    preview = factor_previewer(latents.SD15)
    x = torch.zeros(2, 4, 5, 7)
    x[:, 0] = 1.0
    picture = preview(x)
    assert picture.shape == (2, 5, 7, 3)
    assert picture.dtype == torch.uint8
    assert picture[0, 0, 0].tolist() == [int((value + 1) / 2 * 255) for value in (0.3444, 0.1385, 0.067)]


def test_a_tiny_decoder_shows_eight_pixels_per_position():
    preview = taesd_previewer(decoder(TaesdConfig(4, width=8)))
    assert preview(torch.zeros(1, 4, 5, 7)).shape == (1, 40, 56, 3)


def test_previews_are_limited_in_size_and_keep_their_proportions():
    x = torch.zeros(1, 4, 64, 32)
    assert factor_previewer(latents.SD15, max_side=16)(x).shape == (1, 16, 8, 3)
    assert taesd_previewer(decoder(TaesdConfig(4, width=8)), max_side=128)(x).shape == (1, 128, 64, 3)


def test_values_that_are_not_numbers_make_a_picture_all_the_same():
    x = torch.full((1, 4, 4, 4), float("nan"))
    assert factor_previewer(latents.SD15)(x).shape == (1, 4, 4, 3)


def test_a_latent_space_without_factors_says_so():
    with pytest.raises(ValueError, match="Playground"):
        factor_previewer(latents.PLAYGROUND)
