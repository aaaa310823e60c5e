"""CLIP image encoders from the shapes of a file."""

import pytest
import torch

from diffusion.models.clip_vision import (
    ClipVisionConfig,
    build_clip_vision,
    encode_image,
    preprocess,
    read_clip_vision_config,
)
from tests.diffusion import inventory

FILES = {
    "clip_vision_l": ClipVisionConfig(1024, 4096, 24, 14, 224, 768),
    "clip_vision_h": ClipVisionConfig(1280, 5120, 32, 14, 224, 1024),
    "clip_vision_g": ClipVisionConfig(1664, 8192, 48, 14, 224, 1280),
}
SMALL = ClipVisionConfig(width=32, mlp_width=64, layers=3, patch=14, size=28, projection=24)


@pytest.mark.parametrize("name", inventory.names())
def test_an_image_encoder_is_recognised_and_nothing_else_is(name: str):
    assert read_clip_vision_config(inventory.shapes(name)) == FILES.get(name)


@pytest.mark.parametrize("name", FILES)
def test_it_has_exactly_the_tensors_of_the_file(name: str):
    with torch.device("meta"):
        network = build_clip_vision(FILES[name])
    shapes = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    assert shapes == inventory.shapes(name)


def test_only_vit_l_approximates_gelu():
    assert [config.activation for config in FILES.values()] == ["quick_gelu", "gelu", "gelu"]


def test_a_network_built_without_memory_works_once_its_weights_are_loaded():
    torch.manual_seed(0)
    original = build_clip_vision(SMALL)
    with torch.device("meta"):
        network = build_clip_vision(SMALL)
    network.load_state_dict(original.state_dict(), assign=True)
    image = torch.rand(2, 40, 60, 3)
    out, expected = encode_image(network, image), encode_image(original, image)
    assert out.last_hidden_state.shape == out.penultimate_hidden_state.shape == (2, 5, 32)
    assert out.image_embeds.shape == (2, 24)
    torch.testing.assert_close(out.image_embeds, expected.image_embeds)


def test_the_class_token_makes_the_embedding():
    torch.manual_seed(0)
    network = build_clip_vision(SMALL)
    out = encode_image(network, torch.rand(1, 28, 28, 3))
    normed = network.vision_model.post_layernorm(out.last_hidden_state[:, 0])
    torch.testing.assert_close(out.image_embeds, network.visual_projection(normed))


def test_cropping_keeps_the_centre_and_squeezing_keeps_everything():
    image = torch.zeros(1, 20, 60, 3)
    image[:, :, 20:40] = 1  # the middle third is white
    white = preprocess(torch.ones(1, 20, 20, 3), 20)[0, :, 0, 0]
    cropped, squeezed = preprocess(image, 20), preprocess(image, 20, crop=False)
    torch.testing.assert_close(cropped[0].mean((1, 2)), white)
    assert squeezed.shape == (1, 3, 20, 20)
    assert squeezed[0, 0, 0, 0] < squeezed[0, 0, 0, 10]


def test_pictures_are_normalised_as_in_training():
    grey = preprocess(torch.full((1, 8, 8, 3), 128 / 255), 8)
    expected = (128 / 255 - torch.tensor([0.48145466, 0.4578275, 0.40821073])) / torch.tensor(
        [0.26862954, 0.26130258, 0.27577711]
    )
    torch.testing.assert_close(grey[0, :, 4, 4], expected)
