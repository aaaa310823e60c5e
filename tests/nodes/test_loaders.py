"""Loaders: files of the published layouts, small, in the folders people keep them in."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import tests.diffusion.tiny
from diffusion.families.sd15 import SD15
from diffusion.families.sdxl import SDXL
from diffusion.handles import Autoencoder, Model, TextEncoders
from diffusion.patches.weights import patched
from diffusion.store import ModelStore
from execution.spec import NodeSpec
from storage.folders import Folders
from tests.diffusion.test_store import diffusers_folder
from tests.diffusion.tiny import Tiny, text_encoder
from tests.diffusion.tiny import tiny as whole
from tests.diffusion.tiny_transformers import t5, tokeniser
from tests.nodes.conftest import Call, FakeRun

UNET = "input_blocks.1.1.transformer_blocks.0.attn1.to_q"
LORA = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"


@pytest.fixture(scope="module")
def sd15() -> Tiny:
    return whole(SD15)


@pytest.fixture(scope="module")
def sdxl() -> Tiny:
    return whole(SDXL)


@pytest.fixture(autouse=True)
def folders(given: dict[str, Any], tmp_path: Path) -> Folders:
    given["folders"] = Folders(tmp_path)
    given["store"] = ModelStore()
    return given["folders"]


def put(folders: Folders, kind: str, name: str, tensors: dict[str, torch.Tensor]) -> str:
    folder = folders.directories(kind)[0]
    folder.mkdir(parents=True, exist_ok=True)
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, folder / name)
    return name


def test_a_checkpoint_gives_all_its_parts(call: Call, folders: Folders, sd15: Tiny):
    name = put(folders, "checkpoints", "a.safetensors", sd15.checkpoint())
    model, clip, vae = call("CheckpointLoaderSimple", ckpt_name=name)
    assert isinstance(model, Model)
    assert isinstance(clip, TextEncoders)
    assert isinstance(vae, Autoencoder)
    assert model.family is SD15


def test_an_old_configuration_is_not_needed(call: Call, folders: Folders, sd15: Tiny):
    name = put(folders, "checkpoints", "a.safetensors", sd15.checkpoint())
    model, _, _ = call("CheckpointLoader", config_name="v1-inference.yaml", ckpt_name=name)
    assert model.family is SD15


def test_a_folder_of_diffusers_is_a_checkpoint_and_known_by_its_files(
    call: Call, specs: dict[str, NodeSpec], folders: Folders, sd15: Tiny
):
    folder = folders.directories("diffusers")[0] / "tiny"
    diffusers_folder(folder, sd15)
    (folder / "model_index.json").write_text("{}")
    model, clip, vae = call("DiffusersLoader", model_path="tiny")
    assert model.family is SD15
    assert clip is not None
    assert vae is not None
    fingerprint = specs["DiffusersLoader"].fingerprint
    assert fingerprint
    before = fingerprint(model_path="tiny", folders=folders)
    os.utime(next((folder / "vae").iterdir()), (1, 1))
    assert fingerprint(model_path="tiny", folders=folders) != before


def test_a_checkpoint_without_text_encoders_has_none_to_give(call: Call, folders: Folders, sd15: Tiny):
    tensors = {name: t for name, t in sd15.checkpoint().items() if not name.startswith("cond_stage")}
    _, clip, vae = call("CheckpointLoaderSimple", ckpt_name=put(folders, "checkpoints", "a.safetensors", tensors))
    assert clip is None
    assert vae is not None
    with pytest.raises(ValueError, match='"clip": expected a CLIP, got nothing'):
        call("CLIPTextEncode", text="a", clip=clip)


def test_a_diffusion_model_alone_is_loaded(call: Call, folders: Folders, sd15: Tiny):
    name = put(folders, "diffusion_models", "a.safetensors", sd15.network)
    assert call("UNETLoader", unet_name=name, weight_dtype="default").family is SD15


@pytest.mark.parametrize(
    ("weight_dtype", "held"),
    [
        ("fp8_e4m3fn", torch.float8_e4m3fn),
        ("fp8_e4m3fn_fast", torch.float8_e4m3fn),
        ("fp8_e5m2", torch.float8_e5m2),
        ("default", torch.float32),
    ],
)
def test_a_diffusion_model_is_held_in_the_format_asked_for(
    call: Call, folders: Folders, sd15: Tiny, weight_dtype: str, held: torch.dtype
):
    name = put(folders, "diffusion_models", "a.safetensors", sd15.network)
    network = call("UNETLoader", unet_name=name, weight_dtype=weight_dtype).network
    assert network.get_parameter(f"{UNET}.weight").dtype == held
    assert network.get_parameter("input_blocks.1.0.in_layers.0.weight").dtype == torch.float32


def test_text_encoders_alone_are_loaded(call: Call, folders: Folders, sd15: Tiny, monkeypatch: pytest.MonkeyPatch):
    small = put(folders, "text_encoders", "l.safetensors", sd15.text_encoders["clip_l"])
    assert list(call("CLIPLoader", clip_name=small, type="stable_diffusion").networks) == ["clip_l"]
    monkeypatch.setattr(tests.diffusion.tiny, "WIDTH", 128)  # of two, the wider one is the large one
    large = put(folders, "text_encoders", "g.safetensors", text_encoder(SDXL.text_encoders[1], 3))
    both = call("DualCLIPLoader", clip_name1=small, clip_name2=large, type="sdxl", device="cpu")
    assert set(both.networks) == {"clip_l", "clip_g"}
    third = put(folders, "text_encoders", "t5.safetensors", t5(4) | {"spiece_model": tokeniser()})
    three = call("TripleCLIPLoader", clip_name1=third, clip_name2=small, clip_name3=large)
    assert set(three.networks) == {"clip_l", "clip_g", "t5xxl"}


def test_a_vae_alone_is_loaded(call: Call, folders: Folders, sd15: Tiny):
    name = put(folders, "vae", "a.safetensors", sd15.autoencoder)
    vae = call("VAELoader", vae_name=name)
    assert call("VAEDecode", samples={"samples": torch.zeros(1, 4, 2, 2)}, vae=vae).shape == (1, 16, 16, 3)


def test_a_missing_file_says_where_it_was_looked_for(call: Call):
    with pytest.raises(
        FileNotFoundError, match=r"no 'gone\.safetensors' among the checkpoints; looked in .*checkpoints"
    ):
        call("CheckpointLoaderSimple", ckpt_name="gone.safetensors")


def test_a_file_of_another_kind_is_named(call: Call, folders: Folders, sd15: Tiny):
    name = put(folders, "checkpoints", "a.safetensors", sd15.autoencoder)
    with pytest.raises(ValueError, match=r"a\.safetensors"):
        call("CheckpointLoaderSimple", ckpt_name=name)


@pytest.mark.parametrize(
    "id",
    [
        "CheckpointLoaderSimple",
        "CheckpointLoader",
        "UNETLoader",
        "CLIPLoader",
        "DualCLIPLoader",
        "VAELoader",
        "ControlNetLoader",
        "DiffControlNetLoader",
        "LoraLoader",
        "LoraLoaderModelOnly",
    ],
)
def test_a_replaced_file_is_loaded_again(specs: dict[str, NodeSpec], folders: Folders, id: str):
    spec = specs[id]
    named = [each for each in spec.declaration.inputs if each.choices_from not in (None, "configs")]
    constants = {each.name: "a.safetensors" for each in named}
    kinds = {each.choices_from.split(" ")[0] for each in named if each.choices_from}
    sign = spec.fingerprint
    assert sign is not None
    seen: list[Any] = []
    for content in (1, 2):
        for kind in kinds:
            put(folders, kind, "a.safetensors", {"x": torch.zeros(content)})
        seen += [sign(**constants, folders=folders), sign(**constants, folders=folders)]
    assert seen[0] == seen[1]
    assert seen[2] == seen[3]
    assert seen[0] != seen[2]


def lora(folders: Folders, sd15: Tiny) -> tuple[str, torch.Tensor]:
    """A file, and what it adds to one weight at strength 1."""
    rows, columns = sd15.network[f"{UNET}.weight"].shape
    generator = torch.Generator().manual_seed(3)
    up, down = torch.randn(rows, 2, generator=generator), torch.randn(2, columns, generator=generator)
    tensors = {f"{LORA}.lora_up.weight": up, f"{LORA}.lora_down.weight": down, f"{LORA}.alpha": torch.tensor(1.0)}
    stray = {"lora_unet_nowhere.lora_up.weight": up.clone(), "lora_unet_nowhere.lora_down.weight": down.clone()}
    return put(folders, "loras", "l.safetensors", {**tensors, **stray}), up @ down / 2


def weight(model: Model) -> torch.Tensor:
    return patched(model.network, model.patches).state_dict()[f"{UNET}.weight"]


@pytest.mark.parametrize("id", ["LoraLoader", "LoraLoaderModelOnly"])
def test_a_lora_adds_its_difference(call: Call, folders: Folders, sd15: Tiny, run: FakeRun, id: str):
    model, clip, _ = call(
        "CheckpointLoaderSimple", ckpt_name=put(folders, "checkpoints", "a.safetensors", sd15.checkpoint())
    )
    name, delta = lora(folders, sd15)
    if id == "LoraLoader":
        changed, _ = call("LoraLoader", model=model, clip=clip, lora_name=name, strength_model=0.5, strength_clip=1.0)
    else:
        changed = call("LoraLoaderModelOnly", model=model, lora_name=name, strength_model=0.5)
    assert torch.allclose(weight(changed), weight(model) + 0.5 * delta, atol=1e-5)
    assert any("nowhere" in note for note in run.notes)


def test_a_lora_for_another_model_line_is_refused(call: Call, folders: Folders, sd15: Tiny, sdxl: Tiny):
    model, clip, _ = call(
        "CheckpointLoaderSimple", ckpt_name=put(folders, "checkpoints", "x.safetensors", sdxl.checkpoint())
    )
    name, _ = lora(folders, sd15)
    with pytest.raises(ValueError, match=r"l\.safetensors"):
        call("LoraLoader", model=model, clip=clip, lora_name=name)
