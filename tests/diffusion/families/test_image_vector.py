"""The vector condition of unCLIP models against diffusers' noising of image embeddings."""

import pytest
import torch
from diffusers.models.embeddings import get_timestep_embedding
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

from diffusion.families.image_vector import ImageStatistics, SeenPicture, image_vector

WIDTH = 16
GENERATOR = torch.Generator().manual_seed(0)
STATISTICS = ImageStatistics(torch.randn(WIDTH, generator=GENERATOR), torch.rand(WIDTH, generator=GENERATOR) + 0.5)
PICTURES = [torch.randn(1, WIDTH, generator=GENERATOR) for _ in range(2)]
SEED = 7


def reference(embedding: torch.Tensor, level: int, drawn: torch.Tensor) -> torch.Tensor:
    scheduler = DDPMScheduler(beta_schedule="squaredcos_cap_v2")
    normal = (embedding - STATISTICS.mean) / STATISTICS.deviation
    noised = scheduler.add_noise(normal, drawn, torch.IntTensor([level])) * STATISTICS.deviation + STATISTICS.mean
    numbers = get_timestep_embedding(torch.tensor([level]), WIDTH, flip_sin_to_cos=True, downscale_freq_shift=0)
    return torch.cat([noised, numbers], dim=1)


def draws(count: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(SEED - 10 + 2**64)
    return [torch.randn(1, WIDTH, generator=generator) for _ in range(count)]


@pytest.mark.parametrize(("noise", "level"), [(0.0, 0), (0.3, 300), (1.0, 999)])
def test_a_picture_is_noised_as_far_as_is_asked_for(noise: float, level: int):
    ours = image_vector(STATISTICS, [SeenPicture(PICTURES[0], 0.5, noise)], SEED)
    assert torch.allclose(ours, 0.5 * reference(PICTURES[0], level, draws(1)[0]), atol=1e-5)


def test_several_pictures_are_summed_and_noised_once_more():
    seen = [SeenPicture(PICTURES[0], 1.0, 0.0), SeenPicture(PICTURES[1], 0.5, 0.2)]
    first, second, last = draws(3)
    total = reference(PICTURES[0], 0, first) + 0.5 * reference(PICTURES[1], 200, second)
    assert torch.allclose(image_vector(STATISTICS, seen, SEED), reference(total[:, :WIDTH], 50, last), atol=1e-4)


def test_without_pictures_it_is_zero():
    assert torch.equal(image_vector(STATISTICS, [], SEED), torch.zeros(1, 2 * WIDTH))
