"""Networks that look at pictures, from small files."""

from pathlib import Path
from typing import Any

import pytest
import torch

from diffusion.models.clip_vision import encode_image
from diffusion.store import ModelStore
from diffusion.upscale import upscale
from storage.folders import Folders
from tests.nodes import tiny
from tests.nodes.conftest import Call, FakeRun
from tests.nodes.test_loaders import put


@pytest.fixture(autouse=True)
def folders(given: dict[str, Any], tmp_path: Path) -> Folders:
    given["folders"], given["store"] = Folders(tmp_path), ModelStore()
    return given["folders"]


def test_pictures_are_enlarged_and_tiles_counted(call: Call, folders: Folders, run: FakeRun):
    network = tiny.upscaler()
    loaded = call("UpscaleModelLoader", model_name=put(folders, "upscale_models", "u.safetensors", weights(network)))
    image = torch.rand(1, 12, 10, 4)
    large = call("ImageUpscaleWithModel", upscale_model=loaded, image=image)
    assert large.shape == (1, 24, 20, 3)
    assert torch.allclose(large, upscale(network, image[..., :3]), atol=1e-6)
    assert run.steps[-1][0] == run.steps[-1][1]


@pytest.mark.parametrize("crop", ["center", "none"])
def test_a_picture_is_described_by_numbers(call: Call, folders: Folders, crop: str):
    network = tiny.clip_vision()
    loaded = call("CLIPVisionLoader", clip_name=put(folders, "clip_vision", "v.safetensors", weights(network)))
    image = torch.rand(1, 40, 60, 3)
    seen = call("CLIPVisionEncode", clip_vision=loaded, image=image, crop=crop)
    assert torch.allclose(
        seen.image_embeds, encode_image(network, image, crop=crop == "center").image_embeds, atol=1e-5
    )
    sent: dict[str, Any] = {"clip_vision_output": seen, "noise_augmentation": 0.1}
    once = call("unCLIPConditioning", conditioning=tiny.prompt(), strength=0.5, **sent)
    twice = call("unCLIPConditioning", conditioning=once, strength=1.0, **sent)
    assert [each["strength"] for each in twice[0][1]["unclip_conditioning"]] == [0.5, 1.0]
    assert len(once[0][1]["unclip_conditioning"]) == 1
    none = call("unCLIPConditioning", conditioning=tiny.prompt(), strength=0.0, **sent)
    assert "unclip_conditioning" not in none[0][1]


def test_a_file_of_another_kind_is_refused(call: Call, folders: Folders):
    name = put(folders, "upscale_models", "x.safetensors", {"x": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"x\.safetensors"):
        call("UpscaleModelLoader", model_name=name)


def weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in network.state_dict().items() if tensor.is_floating_point()}
