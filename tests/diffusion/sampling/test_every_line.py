"""A small model of every transformer's line is sampled, from its own kind of noise to a latent of its own space."""

from typing import Any

import pytest
import torch

from diffusion.families.auraflow import AURAFLOW
from diffusion.families.chroma import CHROMA
from diffusion.families.family import Family
from diffusion.families.flux import FLUX
from diffusion.families.lumina2 import LUMINA2
from diffusion.families.pixart import PIXART_SIGMA
from diffusion.families.qwen_image import QWEN_IMAGE
from diffusion.families.registry import FAMILIES
from diffusion.families.sd3 import SD3
from diffusion.families.z_image import Z_IMAGE
from diffusion.handles import Model
from diffusion.models.auraflow import AuraFlowConfig
from diffusion.models.chroma import ChromaConfig
from diffusion.models.flux import FluxConfig
from diffusion.models.lumina2 import Lumina2Config
from diffusion.models.pixart import PixArtConfig
from diffusion.models.qwen_image import QwenImageConfig
from diffusion.models.unet import UNet
from diffusion.models.z_image import ZImageConfig
from diffusion.sampling.conditioning import Condition
from diffusion.sampling.noise import initial_noise
from diffusion.sampling.process import process_of
from diffusion.sampling.sample import sample
from diffusion.sampling.schedules import simple
from diffusion.sampling.solvers import sampler
from tests.diffusion.models.oracle import randomised
from tests.diffusion.tiny_transformers import FLUX_CONFIG, SD3_CONFIG

TEXT = 48
CONFIGS: dict[str, tuple[Family[Any], Any, int, int | None]] = {
    # Family, configuration, width of the text, width of the pooled text.
    "SD3": (SD3, SD3_CONFIG, SD3_CONFIG.context_width, SD3_CONFIG.vector_width),
    "Flux": (FLUX, FLUX_CONFIG, FLUX_CONFIG.context_width, FLUX_CONFIG.vector_width),
    "PixArt sigma": (PIXART_SIGMA, PixArtConfig(4, 8, 144, 2, 288, TEXT, 0), TEXT, None),
    "Chroma": (CHROMA, ChromaConfig(FluxConfig(16, 16, 64, 32, 128, TEXT, None, 1, 1, False), 32, 40, 2), TEXT, None),
    "Lumina 2": (LUMINA2, Lumina2Config(16, 96, 1, 1, 24, 4, 2, 128, TEXT, 64, False), TEXT, None),
    "Z-Image": (Z_IMAGE, ZImageConfig(16, 64, 1, 1, 32, 2, 2, 128, TEXT, 32, 64), TEXT, None),
    "AuraFlow": (AURAFLOW, AuraFlowConfig(4, 256, 256, TEXT, 1, 1, 12, 4), TEXT, None),
    "Qwen-Image": (QWEN_IMAGE, QwenImageConfig(16, 16, 64, 1, 32, 128, TEXT), TEXT, None),
}


def test_no_line_is_forgotten():
    transformers = {family.name for family in FAMILIES if family.build is not UNet}
    assert transformers == set(CONFIGS)


@pytest.mark.parametrize("line", CONFIGS)
def test_a_picture_is_sampled(line: str):
    family, config, width, pooled_width = CONFIGS[line]
    variant = family.variant({})
    model = Model(randomised(family.build(config)), family, config, variant.prediction, variant.latent)

    def prompt(seed: int, tokens: int) -> Condition:
        generator = torch.Generator().manual_seed(seed)
        pooled = None if pooled_width is None else torch.randn(1, pooled_width, generator=generator)
        return Condition(torch.randn(1, tokens, width, generator=generator), pooled)

    def run(positive: Condition) -> torch.Tensor:
        shape = (2, variant.latent.channels, 6, 10)
        sigmas = simple(process_of(model.prediction).levels, 2)
        noise = initial_noise(shape, 1)
        return sample(model, torch.zeros(shape), noise, [positive], [prompt(2, 5)], 3.0, sampler("euler"), sigmas)

    latent = run(prompt(1, 7))
    assert latent.shape == (2, variant.latent.channels, 6, 10)
    assert latent.isfinite().all()
    assert not torch.allclose(latent, run(prompt(3, 7)))
