"""Guiding by the style of a picture."""

from pathlib import Path
from typing import Any

import pytest
import torch

from diffusion.models.clip_vision import preprocess
from diffusion.models.style import Redux, ReduxConfig, StyleAdapter, StyleConfig
from diffusion.store import ModelStore
from nodes.previews import Previews
from storage.folders import Folders
from tests.diffusion.models.oracle import randomised
from tests.diffusion.text.encoders import WIDTH
from tests.nodes import tiny
from tests.nodes.conftest import Call
from tests.nodes.test_controlnet import sampled
from tests.nodes.test_loaders import put


@pytest.fixture(autouse=True)
def folders(given: dict[str, Any], tmp_path: Path) -> Folders:
    given["folders"], given["store"], given["previews"] = Folders(tmp_path), ModelStore(), Previews("none")
    return given["folders"]


@pytest.fixture
def sent(call: Call, folders: Folders) -> dict[str, Any]:
    name = put(folders, "style_models", "s.safetensors", tiny.style_model().state_dict())
    seen = call("CLIPVisionEncode", clip_vision=tiny.clip_vision(), image=torch.rand(1, 28, 28, 3), crop="none")
    return {"style_model": call("StyleModelLoader", style_model_name=name), "clip_vision_output": seen}


def applied(call: Call, sent: dict[str, Any], strength: float, strength_type: str) -> Any:
    return call("StyleModelApply", conditioning=tiny.prompt(0), strength=strength, strength_type=strength_type, **sent)


def test_a_style_is_tokens_after_the_prompt(call: Call, sent: dict[str, Any]):
    plain, half = applied(call, sent, 1.0, "multiply"), applied(call, sent, 0.5, "multiply")
    prompt = tiny.prompt(0)[0][0]
    assert plain[0][0].shape == (1, 77 + 4, WIDTH)
    assert torch.equal(plain[0][0][:, :77], prompt)
    assert torch.allclose(half[0][0][:, 77:], plain[0][0][:, 77:] / 2)


def test_attention_to_a_style_goes_from_none_over_all_of_it_to_more(call: Call, sent: dict[str, Any]):
    def picture(positive: Any) -> torch.Tensor:
        return sampled(call, tiny.model(), positive, tiny.prompt(1))

    whole = picture(applied(call, sent, 1.0, "multiply"))
    assert tiny.close(picture(applied(call, sent, 1.0, "attn_bias")), whole)
    assert tiny.close(picture(applied(call, sent, 0.0, "attn_bias")), picture(tiny.prompt(0)))
    assert not tiny.close(picture(applied(call, sent, 3.0, "attn_bias")), whole)
    # Twice the attention is what the same tokens twice would get.
    doubled = applied(call, sent, 1.0, "multiply")
    doubled[0][0] = torch.cat([doubled[0][0], doubled[0][0][:, 77:]], dim=1)
    assert tiny.close(picture(applied(call, sent, 2.0, "attn_bias")), picture(doubled))


def test_a_picture_seen_by_another_encoder_is_refused(call: Call, sent: dict[str, Any]):
    wide = StyleAdapter(StyleConfig(48, WIDTH, tokens=4, layers=1))
    with pytest.raises(ValueError, match="a CLIP vision encoder of width 48 saw; this one has 32"):
        applied(call, {**sent, "style_model": wide}, 1.0, "multiply")


def test_redux_adds_every_patch_that_siglip_sees(call: Call, folders: Folders):
    siglip = tiny.siglip()
    redux = randomised(Redux(ReduxConfig(32, 24, WIDTH)))
    encoder = {f"vision_model.{name}": tensor for name, tensor in siglip.state_dict().items()}
    clip_vision = call("CLIPVisionLoader", clip_name=put(folders, "clip_vision", "v.safetensors", encoder))
    style = put(folders, "style_models", "r.safetensors", redux.state_dict())
    image = torch.rand(1, 40, 50, 3)
    made = call(
        "StyleModelApply",
        conditioning=tiny.prompt(0),
        style_model=call("StyleModelLoader", style_model_name=style),
        clip_vision_output=call("CLIPVisionEncode", clip_vision=clip_vision, image=image, crop="center"),
        strength=1.0,
        strength_type="multiply",
    )
    with torch.no_grad():
        pixels = preprocess(image, 28, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
        expected = redux(siglip(pixels).last_hidden_state)
    assert made[0][0].shape == (1, 77 + 4, WIDTH)
    assert tiny.close(made[0][0][:, 77:], expected)
