"""Merged models are sums of weights, and what is saved loads again with everything done to it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from diffusion.families.sd15 import SD15
from diffusion.handles import Model, TextEncoders
from diffusion.patches.weights import patched
from diffusion.store import ModelStore
from execution.spec import NodeSpec
from storage.folders import Folders
from storage.outputs import Outputs
from tests.diffusion import inventory
from tests.diffusion.tiny import tiny as whole
from tests.nodes.conftest import Call, FakeRun
from tests.nodes.test_loaders import put

SHARES = {"input_blocks.1.0.in_layers.2.weight": 0, "middle_block.0.in_layers.2.weight": 1, "out.2.weight": 2}
TEXT = "text_model.encoder.layers.0.mlp.fc1.weight"


@pytest.fixture
def folders(given: dict[str, Any], tmp_path: Path) -> Folders:
    folders = Folders(tmp_path)
    given["folders"], given["store"] = folders, ModelStore()
    given["outputs"] = Outputs(folders.output, folders.temp)
    return folders


@pytest.fixture(scope="module")
def files() -> list[dict[str, torch.Tensor]]:
    return [whole(SD15, seed).checkpoint() for seed in (0, 20)]


@pytest.fixture
def both(call: Call, folders: Folders, files: list[dict[str, torch.Tensor]]) -> list[tuple[Model, TextEncoders, Any]]:
    return [
        call("CheckpointLoaderSimple", ckpt_name=put(folders, "checkpoints", f"{place}.safetensors", tensors))
        for place, tensors in enumerate(files)
    ]


def weight(model: Model, name: str) -> torch.Tensor:
    return patched(model.network, model.patches).state_dict()[name]


def weight_names(model: Model) -> list[str]:
    return list(model.network.state_dict())


def text_weight(clip: TextEncoders) -> torch.Tensor:
    return patched(clip.networks["clip_l"], clip.patches.get("clip_l", ())).state_dict()[TEXT].float()


@pytest.mark.parametrize(
    ("kind", "sent", "factors"),
    [
        ("Simple", {"ratio": 0.25}, (0.25, 0.75)),
        ("Add", {}, (1, 1)),
        ("Subtract", {"multiplier": 2.0}, (2, -2)),
    ],
)
def test_models_and_text_encoders_are_merged_weight_by_weight(
    call: Call, both: Any, kind: str, sent: Any, factors: tuple[float, float]
):
    (model1, clip1, _), (model2, clip2, _) = both
    model = call(f"ModelMerge{kind}", model1=model1, model2=model2, **sent)
    name = "middle_block.0.in_layers.2.weight"
    expected = factors[0] * weight(model1, name) + factors[1] * weight(model2, name)
    assert torch.allclose(weight(model, name), expected, atol=1e-5)
    clip = call(f"CLIPMerge{kind}", clip1=clip1, clip2=clip2, **sent)
    expected = factors[0] * text_weight(clip1) + factors[1] * text_weight(clip2)
    assert torch.allclose(text_weight(clip), expected, atol=5e-3)  # held in half precision


def test_parts_of_a_network_have_ratios_of_their_own(call: Call, both: Any):
    (model1, *_), (model2, *_) = both
    ratios = (0.2, 0.5, 0.9)
    sent = dict(zip(("input", "middle", "out"), ratios, strict=True))
    model = call("ModelMergeBlocks", model1=model1, model2=model2, **sent)
    for name, place in SHARES.items():
        expected = torch.lerp(weight(model2, name), weight(model1, name), ratios[place])
        assert torch.allclose(weight(model, name), expected, atol=1e-5), name


def test_every_block_has_a_ratio_of_its_own(call: Call, both: Any):
    (model1, *_), (model2, *_) = both
    ratios = {"time_embed.": 0.7, "input_blocks.1.": 0.2, "middle_block.0.": 0.5, "out.": 0.9}
    model = call("ModelMergeSD1", model1=model1, model2=model2, **ratios)
    for name in weight_names(model1):
        ratio = next((ratio for beginning, ratio in ratios.items() if name.startswith(beginning)), 1.0)
        expected = torch.lerp(weight(model2, name), weight(model1, name), ratio)
        assert torch.allclose(weight(model, name), expected, atol=1e-5), name


@pytest.mark.parametrize(
    ("id", "file", "unused", "rest"),
    [
        ("ModelMergeSD1", "unet_sd15", {"label_emb."}, set[str]()),
        ("ModelMergeSD2", "unet_sd21", {"label_emb."}, set[str]()),
        ("ModelMergeSDXL", "unet_sdxl", set[str](), set[str]()),
        ("ModelMergeSD3_2B", "dit_sd3_medium", {"pos_embed."}, {"pos_embed"}),
        ("ModelMergeSD35_Large", "dit_sd35_large", {"pos_embed."}, {"pos_embed"}),
        ("ModelMergeFlux1", "dit_flux_dev", set[str](), set[str]()),
        ("ModelMergeAuraflow", "dit_auraflow", set[str](), set[str]()),
        ("ModelMergeQwenImage", "dit_qwen_image", {"pos_embeds."}, {"norm_out.linear.weight", "norm_out.linear.bias"}),
    ],
)
def test_ratios_are_for_the_weights_of_published_files(
    specs: dict[str, NodeSpec], id: str, file: str, unused: set[str], rest: set[str]
):
    """unused: ratios by whose name no weight begins. rest: weights without one of their own; they take the first."""
    beginnings = [each.name for each in specs[id].declaration.inputs if each.type == "FLOAT"]
    names = {name.removeprefix("model.diffusion_model.").removeprefix("model.") for name in inventory.shapes(file)}
    assert {b for b in beginnings if not any(name.startswith(b) for name in names)} == unused
    assert {name for name in names if not name.startswith(tuple(beginnings))} == rest


def test_a_saved_checkpoint_loads_with_what_was_done_to_it(call: Call, both: Any, folders: Folders, run: FakeRun):
    (model1, clip, vae), (model2, *_) = both
    merged = call("ModelMergeSimple", model1=model1, model2=model2, ratio=0.5)
    call("CheckpointSave", model=merged, clip=clip, vae=vae, filename_prefix="checkpoints/merged")
    name = "merged_00001_.safetensors"
    assert name in folders.files("checkpoints")
    with safe_open(folders.output / "checkpoints" / name, "pt") as file:
        assert json.loads(file.metadata()["prompt"]) == run.prompt
    again, clip_again, vae_again = call("CheckpointLoaderSimple", ckpt_name=name)
    assert torch.equal(weight(again, "out.2.weight"), weight(merged, "out.2.weight"))
    assert torch.equal(text_weight(clip_again), text_weight(clip))
    latent = {"samples": torch.ones(1, 4, 2, 2)}
    decoded = [call("VAEDecode", samples=latent, vae=each) for each in (vae, vae_again)]
    assert torch.allclose(*decoded, atol=1e-5)


def test_parts_are_saved_alone(call: Call, both: Any, folders: Folders):
    model, clip, vae = both[0]
    call("ModelSave", model=model, filename_prefix="diffusion_models/m")
    call("CLIPSave", clip=clip, filename_prefix="clip/c")
    call("VAESave", vae=vae, filename_prefix="vae/v")
    alone = call("UNETLoader", unet_name="m_00001_.safetensors", weight_dtype="default")
    assert torch.equal(weight(alone, "out.2.weight"), weight(model, "out.2.weight"))
    text = call("CLIPLoader", clip_name="c_clip_l_00001_.safetensors", type="stable_diffusion")
    assert torch.equal(text_weight(text), text_weight(clip))
    assert call("VAELoader", vae_name="v_00001_.safetensors").channels == 4


def test_a_tiny_vae_is_loaded_from_its_halves(call: Call, folders: Folders, specs: dict[str, NodeSpec]):
    from diffusion.models.taesd import TaesdConfig, decoder, encoder
    from tests.diffusion.models.oracle import randomised

    for half, network in (("encoder", encoder(TaesdConfig(4))), ("decoder", decoder(TaesdConfig(4)))):
        put(folders, "vae_approx", f"taesd_{half}.safetensors", dict(randomised(network).state_dict()))
    vae = call("VAELoader", vae_name="taesd")
    assert call("VAEDecode", samples={"samples": torch.zeros(1, 4, 2, 2)}, vae=vae).shape == (1, 16, 16, 3)
    assert call("VAEEncode", pixels=torch.rand(1, 16, 16, 3), vae=vae)["samples"].shape == (1, 4, 2, 2)
    sign = specs["VAELoader"].fingerprint
    assert sign is not None
    assert len(sign(vae_name="taesd", folders=folders)) == 2
