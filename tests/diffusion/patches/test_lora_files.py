"""LoRA files of every layout find their modules, change exactly these, and are refused where they do not belong."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from diffusion import latents
from diffusion.checkpoints.errors import CheckpointError
from diffusion.families.family import Family
from diffusion.families.registry import recognise
from diffusion.families.sd15 import SD15
from diffusion.families.sdxl import SDXL
from diffusion.families.unet import EPS
from diffusion.handles import Model, TextEncoders
from diffusion.models.unet import UNet
from diffusion.patches.lora.apply import Applied, LoraDoesNotFit, LoraPatch, apply_lora
from diffusion.patches.lora.file import LoraFile, open_lora
from diffusion.patches.lora.keys import grouped
from diffusion.patches.weights import patched
from diffusion.text.clip import build_clip
from tests.diffusion import inventory
from tests.diffusion.tiny import Tiny, tiny, unet_config

RANK = 2


def full_size(family: Family[Any], unet: str, encoders: dict[str, str]) -> tuple[Model, TextEncoders]:
    """Published sizes, on the meta device."""
    recognised = recognise(inventory.shapes(unet))
    assert recognised
    with torch.device("meta"):
        network = UNet(recognised.config)
    specs = {spec.name: spec for spec in family.text_encoders}
    networks = {
        name: build_clip({k: torch.empty(s, device="meta") for k, s in inventory.shapes(file).items()}, specs[name])
        for name, file in encoders.items()
    }
    model = Model(network, family, recognised.config, EPS, latents.SD15)
    return model, TextEncoders(networks, family)


@pytest.fixture(scope="module")
def published() -> dict[str, tuple[Model, TextEncoders]]:
    return {
        "sd15": full_size(SD15, "unet_sd15", {"clip_l": "te_clip_l"}),
        "sdxl": full_size(SDXL, "unet_sdxl", {"clip_l": "te_clip_l", "clip_g": "te_clip_g"}),
    }


def file_like(name: str) -> LoraFile:
    """A LoRA with the names and shapes of a published layout; free sizes are the rank."""
    document = json.loads((inventory.FOLDER / f"{name}.json").read_text())
    keys, unknown = grouped(document["tensors"])
    shapes = {key: [RANK if isinstance(n, str) else n for n in shape] for key, shape in document["tensors"].items()}
    modules = {
        module: {role: torch.tensor(1.0).expand(shapes[key]) for role, key in roles.items()}
        for module, roles in keys.items()
    }
    return LoraFile(Path(f"{name}.safetensors"), modules, tuple(unknown), (name,))


@pytest.mark.parametrize(
    ("layout", "line"),
    [
        ("lora_sd15_kohya", "sd15"),
        ("lora_sd15_kohya_conv", "sd15"),
        ("lora_sd15_diffusers_old", "sd15"),
        ("lora_sd15_peft", "sd15"),
        ("lora_sdxl_kohya", "sdxl"),
        ("lora_sdxl_peft", "sdxl"),
    ],
)
def test_every_module_of_every_published_layout_is_found(
    published: dict[str, tuple[Model, TextEncoders]], layout: str, line: str
):
    lora = file_like(layout)
    fixed = {module: _square(tensors) for module, tensors in lora.modules.items()}
    applied = apply_lora(replace(lora, modules=fixed), *published[line])
    assert applied.unused == ()
    assert applied.model
    assert applied.text_encoders
    patches = [*applied.model.patches, *(p for found in applied.text_encoders.patches.values() for p in found)]
    changes = [change for patch in patches if isinstance(patch, LoraPatch) for change in patch.adapters.values()]
    assert sum(map(len, changes)) == len(lora.modules)


def _square(tensors: Any) -> dict[str, Tensor]:
    """Some listings hold a file's own rank on one side: give both sides the same."""
    if "up" in tensors and tensors["up"].shape[1] != tensors["down"].shape[0]:
        shape = (tensors["up"].shape[0], tensors["down"].shape[0], *tensors["up"].shape[2:])
        return {**tensors, "up": torch.tensor(1.0).expand(shape)}
    return dict(tensors)


@pytest.mark.parametrize(
    "example", json.loads((inventory.FOLDER / "lora_lycoris.json").read_text())["examples"].items()
)
def test_every_lycoris_family_fits_the_module_it_was_made_for(
    published: dict[str, tuple[Model, TextEncoders]], example: tuple[str, dict[str, list[Any]]]
):
    sizes = {"R": 4, "o1": 16, "i1": 16, "o2": 40, "i2": 48, "nb": 64, "bs": 10}
    glora: dict[str, list[int]] = {"a1": [768, 4], "a2": [4, 768], "b1": [640, 4], "b2": [4, 768]}
    keys, unknown = grouped(example[1])
    modules: dict[str, dict[str, Tensor]] = {}
    for module, roles in keys.items():
        fixed = {**sizes, "i2": 20} if "conv1" in module else sizes
        modules[module] = {}
        for role, key in roles.items():
            shape = glora.get(role) or [fixed[n] if isinstance(n, str) else n for n in example[1][key]]
            modules[module][role] = torch.tensor(1.0).expand(shape)
    assert unknown == []
    applied = apply_lora(LoraFile(Path("x"), modules, (), ("x",)), published["sd15"][0], None)
    assert applied.unused == ()


@pytest.mark.parametrize(
    ("layout", "line", "message"),
    [
        ("lora_sdxl_kohya", "sd15", "this LoRA is for SDXL; the model is SD 1.x"),
        ("lora_sdxl_peft", "sd15", "this LoRA is for SDXL; the model is SD 1.x"),
        ("lora_sd15_kohya", "sdxl", "this LoRA is for SD 1.x; the model is SDXL"),
        ("lora_sd15_peft", "sdxl", "this LoRA is for SD 1.x; the model is SDXL"),
        ("lora_sd15_diffusers_old", "sdxl", "this LoRA is for SD 1.x; the model is SDXL"),
    ],
)
def test_a_lora_for_another_model_line_is_refused_by_name(
    published: dict[str, tuple[Model, TextEncoders]], layout: str, line: str, message: str
):
    model, encoders = published[line]
    lora = file_like(layout)
    fixed = replace(lora, modules={module: _square(tensors) for module, tensors in lora.modules.items()})
    with pytest.raises(LoraDoesNotFit, match=message):
        apply_lora(fixed, model, encoders)


@pytest.fixture(scope="module")
def made() -> Tiny:
    return tiny(SD15)


@pytest.fixture(scope="module")
def handles(made: Tiny) -> tuple[Model, TextEncoders]:
    network = UNet(unet_config(SD15))
    network.load_state_dict(made.network)
    encoder = build_clip(made.text_encoders["clip_l"], SD15.text_encoders[0])
    return Model(network, SD15, unet_config(SD15), EPS, latents.SD15), TextEncoders({"clip_l": encoder}, SD15)


UNET = "input_blocks.1.1.transformer_blocks.0.attn1.to_q"
TEXT = "text_model.encoder.layers.0.mlp.fc1"
NAMES = ("lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q", f"lora_te_{TEXT.replace('.', '_')}")


@pytest.fixture
def factors() -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {
        f"{NAMES[0]}.lora_up.weight": torch.randn(32, RANK),
        f"{NAMES[0]}.lora_down.weight": torch.randn(RANK, 32),
        f"{NAMES[0]}.alpha": torch.tensor(4.0),
        f"{NAMES[1]}.lora_up.weight": torch.randn(128, RANK),
        f"{NAMES[1]}.lora_down.weight": torch.randn(RANK, 64),
    }


def lora(path: Path, tensors: dict[str, Tensor], **metadata: str) -> LoraFile:
    save_file(tensors, path, metadata=metadata)
    return open_lora(path)


def weights(applied: Applied) -> tuple[Tensor, Tensor]:
    assert applied.model
    assert applied.text_encoders
    text = patched(applied.text_encoders.networks["clip_l"], applied.text_encoders.patches.get("clip_l", ()))
    network = patched(applied.model.network, applied.model.patches)
    return network.state_dict()[f"{UNET}.weight"], text.state_dict()[f"{TEXT}.weight"]


def test_applying_equals_adding_the_difference_by_hand(
    tmp_path: Path, made: Tiny, handles: tuple[Model, TextEncoders], factors: dict[str, Tensor]
):
    file = lora(tmp_path / "l.safetensors", factors)
    network, text = weights(apply_lora(file, *handles, 0.5, -2.0))
    up, down = factors[f"{NAMES[0]}.lora_up.weight"], factors[f"{NAMES[0]}.lora_down.weight"]
    torch.testing.assert_close(network, made.network[f"{UNET}.weight"] + 0.5 * 4 / RANK * up @ down)
    up, down = factors[f"{NAMES[1]}.lora_up.weight"], factors[f"{NAMES[1]}.lora_down.weight"]
    torch.testing.assert_close(text, made.text_encoders["clip_l"][f"{TEXT}.weight"] - 2 * up @ down)


def test_several_loras_add_up(
    tmp_path: Path, made: Tiny, handles: tuple[Model, TextEncoders], factors: dict[str, Tensor]
):
    first = lora(tmp_path / "a.safetensors", factors)
    second = lora(tmp_path / "b.safetensors", {name: 2 * tensor for name, tensor in factors.items()})
    once = apply_lora(first, *handles)
    both, _ = weights(apply_lora(second, once.model, once.text_encoders))
    alone, _ = weights(once)
    other, _ = weights(apply_lora(second, *handles))
    torch.testing.assert_close(both, alone + other - made.network[f"{UNET}.weight"])


def test_the_same_file_at_the_same_strength_is_the_same_patch(
    tmp_path: Path, handles: tuple[Model, TextEncoders], factors: dict[str, Tensor]
):
    path = tmp_path / "l.safetensors"
    file = lora(path, factors)
    first, again = apply_lora(file, *handles), apply_lora(open_lora(path), *handles)
    assert first.model
    assert again.model
    assert first.model.patches == again.model.patches
    assert hash(first.model.patches) == hash(again.model.patches)
    assert patched(first.model.network, first.model.patches) is patched(again.model.network, again.model.patches)
    stronger = apply_lora(file, *handles, 2.0).model
    assert stronger
    assert stronger.patches != first.model.patches


def test_a_strength_of_zero_leaves_that_part_alone(
    tmp_path: Path, handles: tuple[Model, TextEncoders], factors: dict[str, Tensor]
):
    applied = apply_lora(lora(tmp_path / "l.safetensors", factors), *handles, 0.0, 1.0)
    assert applied.model is handles[0]
    assert applied.text_encoders
    assert len(applied.text_encoders.patches["clip_l"]) == 1


def test_on_a_model_alone_the_text_part_is_not_missed(
    tmp_path: Path, handles: tuple[Model, TextEncoders], factors: dict[str, Tensor]
):
    applied = apply_lora(lora(tmp_path / "l.safetensors", factors), handles[0], None)
    assert applied.unused == ()
    assert applied.text_encoders is None


def test_biases_are_changed_by_their_own_differences(tmp_path: Path, made: Tiny, handles: tuple[Model, TextEncoders]):
    file = lora(tmp_path / "l.safetensors", {"lora_unet_conv_in.diff_b": torch.ones(32)})
    model = apply_lora(file, handles[0], None, 3.0).model
    assert model
    found = patched(model.network, model.patches).state_dict()
    torch.testing.assert_close(found["input_blocks.0.0.bias"], made.network["input_blocks.0.0.bias"] + 3)
    assert torch.equal(found["input_blocks.0.0.weight"], made.network["input_blocks.0.0.weight"])


def test_what_belongs_to_nothing_is_listed(
    tmp_path: Path, handles: tuple[Model, TextEncoders], factors: dict[str, Tensor]
):
    more = {
        "lora_unet_strange.lora_up.weight": torch.ones(1, 1),
        "lora_unet_strange.lora_down.weight": torch.ones(1, 1),
    }
    file = lora(tmp_path / "l.safetensors", {**factors, **more, "unrelated": torch.ones(1)})
    assert apply_lora(file, *handles).unused == ("lora_unet_strange", "unrelated")


def test_alpha_in_the_metadata_of_diffusers_counts(tmp_path: Path, made: Tiny, handles: tuple[Model, TextEncoders]):
    module = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
    tensors = {f"{module}.lora_A.weight": torch.ones(RANK, 32), f"{module}.lora_B.weight": torch.ones(32, RANK)}
    config = json.dumps({"unet.r": RANK, "unet.lora_alpha": 8})
    model = apply_lora(lora(tmp_path / "l.safetensors", tensors, lora_adapter_metadata=config), handles[0], None).model
    assert model
    found = patched(model.network, model.patches).state_dict()[f"{UNET}.weight"]
    torch.testing.assert_close(found, made.network[f"{UNET}.weight"] + 8 / RANK * RANK)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_lora_that_is_not_finite_is_refused(tmp_path: Path, factors: dict[str, Tensor], bad: float):
    factors[f"{NAMES[1]}.lora_up.weight"][0, 0] = bad
    with pytest.raises(CheckpointError, match=r"l\.safetensors: 'up' of .* holds NaN or infinity"):
        lora(tmp_path / "l.safetensors", factors)


@pytest.mark.parametrize("tensors", [{"a.alpha": torch.ones(1)}, {"decoder.conv_in.weight": torch.ones(1)}])
def test_a_file_that_is_no_lora_is_refused(tmp_path: Path, tensors: dict[str, Tensor]):
    with pytest.raises(CheckpointError, match="expected a LoRA"):
        lora(tmp_path / "l.safetensors", tensors)


def test_strengths_that_are_no_numbers_are_refused(
    tmp_path: Path, handles: tuple[Model, TextEncoders], factors: dict[str, Tensor]
):
    with pytest.raises(ValueError, match="expected finite numbers"):
        apply_lora(lora(tmp_path / "l.safetensors", factors), *handles, float("nan"))


def test_a_lora_whose_modules_are_all_unknown_is_refused(tmp_path: Path, handles: tuple[Model, TextEncoders]):
    name = "lora_unet_nowhere"
    tensors = {f"{name}.lora_up.weight": torch.ones(1, 1), f"{name}.lora_down.weight": torch.ones(1, 1)}
    with pytest.raises(LoraDoesNotFit, match=r"0 of its modules have another shape and 1 are unknown, for instance"):
        apply_lora(lora(tmp_path / "l.safetensors", tensors), *handles)
