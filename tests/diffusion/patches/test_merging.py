"""Merging is arithmetic between two models' weights, patches included, done when the weights are wanted."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from diffusion import latents
from diffusion.families.sd15 import SD15
from diffusion.families.sdxl import SDXL
from diffusion.families.unet import EPS
from diffusion.handles import Model, TextEncoders
from diffusion.models.unet import UNet
from diffusion.patches.lora.apply import LoraPatch
from diffusion.patches.merge import (
    ADD,
    MergeDoesNotFit,
    blend,
    merge_models,
    merge_text_encoders,
    subtract,
)
from diffusion.patches.weights import patched
from diffusion.text.clip import build_clip
from tests.diffusion.tiny import text_encoder, tiny, unet_config


def model(seed: int) -> Model:
    network = UNet(unet_config(SD15))
    network.load_state_dict(tiny(SD15, seed).network)
    return Model(network.requires_grad_(False), SD15, unet_config(SD15), EPS, latents.SD15)


@pytest.fixture(scope="module")
def pair() -> tuple[Model, Model]:
    return model(1), model(2)


def weights(found: Model) -> Mapping[str, Tensor]:
    return patched(found.network, found.patches).state_dict()


def test_blend_add_and_subtract(pair: tuple[Model, Model]):
    a, b = (one.network.state_dict() for one in pair)
    for factors, expected in (
        (blend(0.3), lambda x, y: 0.3 * x + 0.7 * y),
        (ADD, lambda x, y: x + y),
        (subtract(2.0), lambda x, y: 2 * (x - y)),
    ):
        merged, left = merge_models(*pair, factors)
        assert left == ()
        found = weights(merged)
        assert all(torch.allclose(found[name], expected(a[name], b[name]), atol=1e-6) for name in a)


def test_a_blend_of_one_is_the_first_model_itself(pair: tuple[Model, Model]):
    assert merge_models(*pair, blend(1.0))[0] is pair[0]


def test_blocks_have_their_own_ratios_and_the_rest_the_first(pair: tuple[Model, Model]):
    a, b = (one.network.state_dict() for one in pair)
    found = weights(merge_models(*pair, {"input": 0.25, "middle": 1.0, "out": 0.0, "output_blocks.3": 0.5})[0])
    ratios = {
        "input_blocks.0.0.bias": 0.25,
        "middle_block.0.in_layers.2.bias": 1.0,
        "output_blocks.0.0.in_layers.2.bias": 0.0,
        "output_blocks.3.0.in_layers.2.bias": 0.5,
        "out.2.bias": 0.0,
        "time_embed.0.bias": 0.25,
    }
    for name, ratio in ratios.items():
        torch.testing.assert_close(found[name], ratio * a[name] + (1 - ratio) * b[name])


def test_patches_of_both_models_count(pair: tuple[Model, Model]):
    name = "input_blocks.0.0.bias"

    def plus(amount: float) -> LoraPatch:
        return LoraPatch("l", (amount,), "network", amount, {name: ({"diff_b": torch.ones(32)},)})

    merged, _ = merge_models(pair[0].with_patches(plus(1)), pair[1].with_patches(plus(3)), blend(0.5))
    plain, _ = merge_models(*pair, blend(0.5))
    torch.testing.assert_close(weights(merged)[name], weights(plain)[name] + 2)


def test_the_same_merge_is_the_same_patch(pair: tuple[Model, Model]):
    first, again = merge_models(*pair, blend(0.5))[0], merge_models(*pair, blend(0.5))[0]
    assert first.patches == again.patches
    assert merge_models(*pair, blend(0.6))[0].patches != first.patches


def test_one_layer_of_another_shape_is_left_and_named(pair: tuple[Model, Model]):
    from dataclasses import replace

    config = replace(unet_config(SD15), in_channels=9)
    inpainting = replace(pair[0], network=UNet(config).requires_grad_(False), config=config)
    merged, left = merge_models(inpainting, pair[1], blend(0.5))
    assert left == ("input_blocks.0.0.weight",)
    assert torch.equal(weights(merged)[left[0]], inpainting.network.state_dict()[left[0]])


def test_models_of_different_lines_are_refused(pair: tuple[Model, Model]):
    network = UNet(unet_config(SDXL))
    other = Model(network, SDXL, unet_config(SDXL), EPS, latents.SDXL)
    with pytest.raises(MergeDoesNotFit, match=r"SD 1\.x cannot be merged with SDXL"):
        merge_models(pair[0], other, ADD)


def encoders(seed: int) -> TextEncoders:
    spec = SD15.text_encoders[0]
    return TextEncoders({spec.name: build_clip(text_encoder(spec, seed), spec)}, SD15)


def test_text_encoders_merge_like_models():
    first, second = encoders(1), encoders(2)
    merged = merge_text_encoders(first, second, blend(0.25))
    found = patched(merged.networks["clip_l"], merged.patches["clip_l"]).state_dict()
    a, b = (one.networks["clip_l"].state_dict() for one in (first, second))
    assert all(torch.allclose(found[name], 0.25 * a[name] + 0.75 * b[name], atol=1e-6) for name in a)
    other = TextEncoders({"clip_g": first.networks["clip_l"]}, SDXL)
    with pytest.raises(MergeDoesNotFit, match="clip_l cannot be merged with clip_g"):
        merge_text_encoders(first, other, ADD)
