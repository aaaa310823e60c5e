"""Boxes with phrases: attached to a prompt, they act in sampling; the negative prompt is answered without boxes."""

from pathlib import Path
from typing import Any

import pytest
import torch

from diffusion.models.gligen import Gligen, GligenConfig
from diffusion.store import ModelStore
from nodes.previews import Previews
from storage.folders import Folders
from tests.diffusion.models.oracle import randomised
from tests.diffusion.text.encoders import WIDTH
from tests.nodes import tiny
from tests.nodes.conftest import Call
from tests.nodes.test_controlnet import sampled
from tests.nodes.test_loaders import put

BOX = {"text": "a cat", "width": 32, "height": 16, "x": 8, "y": 24}


@pytest.fixture(autouse=True)
def folders(given: dict[str, Any], tmp_path: Path) -> Folders:
    given["folders"], given["store"], given["previews"] = Folders(tmp_path), ModelStore(), Previews("none")
    return given["folders"]


def published(name: str) -> str:
    kind, index, layer = name.split(".")[1].split("_")
    block = "middle_block" if kind == "middle" else f"{kind}_blocks.{index}"
    return f"{block}.1.transformer_blocks.{layer}.fuser.{name.split('.', 2)[2]}"


def loaded(call: Call, folders: Folders) -> Gligen:
    state = tiny.gligen().state_dict()
    file = {published(name) if name.startswith("fusers.") else name: tensor for name, tensor in state.items()}
    return call("GLIGENLoader", gligen_name=put(folders, "gligen", "g.safetensors", file))


def test_boxes_guide_and_gather(call: Call, folders: Folders):
    model, clip, network = tiny.model(), tiny.text_encoders(), loaded(call, folders)
    applied = {"clip": clip, "gligen_textbox_model": network}
    once = call("GLIGENTextBoxApply", conditioning_to=tiny.prompt(0), **applied, **BOX)
    twice = call("GLIGENTextBoxApply", conditioning_to=once, **applied, **{**BOX, "text": "a dog", "x": 0})
    assert [box[1:] for box in twice[0][1]["gligen"][2]] == [(2, 4, 3, 1), (2, 4, 3, 0)]
    assert len(once[0][1]["gligen"][2]) == 1
    pictures = [sampled(call, model, positive, tiny.prompt(1)) for positive in (tiny.prompt(0), once, twice)]
    assert not any(tiny.close(a, b) for i, a in enumerate(pictures) for b in pictures[i + 1 :])


def test_gates_that_are_shut_change_nothing(call: Call, folders: Folders):
    network = loaded(call, folders)
    for name, parameter in network.named_parameters():
        if "alpha" in name:
            parameter.zero_()
    sent = {"clip": tiny.text_encoders(), "gligen_textbox_model": network}
    boxed = call("GLIGENTextBoxApply", conditioning_to=tiny.prompt(0), **sent, **BOX)
    plain = sampled(call, tiny.model(), tiny.prompt(0), tiny.prompt(1))
    assert tiny.close(sampled(call, tiny.model(), boxed, tiny.prompt(1)), plain)


def test_a_box_without_a_phrase_of_this_model_is_refused_before_sampling(call: Call, folders: Folders):
    wide = randomised(Gligen(GligenConfig(WIDTH + 1, 16, 24, {"input_1_0": 32})))
    sent = {"clip": tiny.text_encoders(), "gligen_textbox_model": wide}
    boxed = call("GLIGENTextBoxApply", conditioning_to=tiny.prompt(0), **sent, **BOX)
    with pytest.raises(ValueError, match=f"phrases of width {WIDTH + 1}, not {WIDTH}"):
        sampled(call, tiny.model(), boxed, tiny.prompt(1))
    assert torch.is_tensor(boxed[0][0])
