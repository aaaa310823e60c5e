"""The vector condition of SDXL and its refiner, against diffusers' embedding of the same numbers."""

import pytest
import torch
from diffusers.models.embeddings import get_timestep_embedding

from diffusion.families.size_vector import SizeCondition, refiner_vector, sdxl_vector
from diffusion.patches.hooks import Role


def expected(pooled: torch.Tensor, numbers: list[float]) -> torch.Tensor:
    embedded = get_timestep_embedding(torch.tensor(numbers), 256, flip_sin_to_cos=True, downscale_freq_shift=0)
    return torch.cat([pooled, embedded.flatten().expand(len(pooled), -1)], dim=1)


POOLED = torch.randn(2, 1280)


def test_sdxl_is_told_original_size_crop_and_target_size_each_height_first():
    sizes = SizeCondition(768, 1024, crop_top=16, crop_left=32, target_height=512, target_width=640)
    vector = sdxl_vector(POOLED, sizes, "positive")
    assert vector.shape == (2, 2816)
    torch.testing.assert_close(vector, expected(POOLED, [768, 1024, 16, 32, 512, 640]))


def test_without_a_target_size_it_is_the_original_size():
    vector = sdxl_vector(POOLED, SizeCondition(768, 1024), "positive")
    torch.testing.assert_close(vector, expected(POOLED, [768, 1024, 0, 0, 768, 1024]))


@pytest.mark.parametrize(("role", "score"), [("positive", 6.0), ("negative", 2.5)])
def test_the_refiner_expects_beauty_of_the_positive_prompt_only(role: Role, score: float):
    vector = refiner_vector(POOLED, SizeCondition(768, 1024), role)
    assert vector.shape == (2, 2560)
    torch.testing.assert_close(vector, expected(POOLED, [768, 1024, 0, 0, score]))


def test_an_aesthetic_score_that_is_given_is_used():
    vector = refiner_vector(POOLED, SizeCondition(768, 1024, 8, 4, aesthetic_score=9.5), "negative")
    torch.testing.assert_close(vector, expected(POOLED, [768, 1024, 8, 4, 9.5]))
