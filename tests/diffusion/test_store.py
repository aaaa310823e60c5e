"""Files become handles: the same weights once, whatever the layout, and new ones when the file is new."""

import gc
import json
import os
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from diffusion import latents
from diffusion.checkpoints.errors import CheckpointError
from diffusion.families.diffusers_layout import diffusers_prefixes, rename
from diffusion.families.sd2 import SD2
from diffusion.families.sd15 import SD15
from diffusion.families.sdxl import SDXL, SDXL_REFINER
from diffusion.models.controlnet import ControlNet as ControlNetwork
from diffusion.models.t2i_adapter import T2IAdapter, T2IAdapterConfig
from diffusion.store import ModelStore, Precision
from diffusion.text.encode import encode, prompt_tokens
from tests.diffusion import inventory
from tests.diffusion import tiny as tiny_models
from tests.diffusion.tiny import Tiny, randomised, tensors_of, tiny, unet_config

FAMILIES = [SD15, SD2, SDXL, SDXL_REFINER]
AS_IS = Precision(None, None, None)


@pytest.fixture(scope="module")
def models() -> dict[str, Tiny]:
    return {family.name: tiny(family) for family in FAMILIES}


@pytest.fixture
def store() -> ModelStore:
    return ModelStore(AS_IS)


def saved(path: Path, tensors: dict[str, Tensor]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    return path


def assert_holds(network: torch.nn.Module, tensors: dict[str, Tensor]) -> None:
    state = network.state_dict()
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in state.items())
    assert not any(tensor.is_meta for tensor in [*state.values(), *network.buffers()])


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_whole_checkpoint_gives_model_text_encoders_and_autoencoder(
    tmp_path: Path, models: dict[str, Tiny], store: ModelStore, family: Any
):
    made = models[family.name]
    loaded = store.checkpoint(saved(tmp_path / "m.safetensors", made.checkpoint()))
    assert loaded.model.family is family
    assert loaded.model.config == unet_config(family)
    assert_holds(loaded.model.network, made.network)
    assert loaded.text_encoders is not None
    for name, network in loaded.text_encoders.networks.items():
        assert_holds(network, made.text_encoders[name])
    assert loaded.autoencoder is not None
    assert_holds(loaded.autoencoder.network, made.autoencoder)
    assert (loaded.autoencoder.channels, loaded.autoencoder.downscale) == (4, 8)


def test_a_loaded_checkpoint_makes_a_step_of_a_picture(tmp_path: Path, models: dict[str, Tiny], store: ModelStore):
    loaded = store.checkpoint(saved(tmp_path / "m.safetensors", models["SDXL"].checkpoint()))
    assert loaded.text_encoders is not None
    assert loaded.autoencoder is not None
    prompt = encode(loaded.text_encoders, prompt_tokens(loaded.text_encoders, "a (cat:1.2)"))
    assert prompt.pooled is not None
    vector = torch.cat([prompt.pooled, torch.zeros(1, 6 * 256)], dim=1)
    with torch.no_grad():
        out = loaded.model.network(torch.zeros(1, 4, 8, 8), torch.tensor([500.0]), prompt.context, vector)
        picture: Tensor = loaded.autoencoder.network.decode(out)  # pyright: ignore[reportCallIssue]  # a module's method
    assert picture.shape == (1, 3, 64, 64)
    assert picture.isfinite().all()


def test_the_same_file_is_in_memory_once(tmp_path: Path, models: dict[str, Tiny], store: ModelStore):
    path = saved(tmp_path / "m.safetensors", models["SD 1.x"].checkpoint())
    first, second = store.checkpoint(path), store.checkpoint(path)
    assert first.model.network is second.model.network
    assert first.text_encoders is not None
    assert second.text_encoders is not None
    assert first.text_encoders.networks == second.text_encoders.networks
    assert store.diffusion_model(path).network is first.model.network


def test_a_file_replaced_on_disk_is_read_again(tmp_path: Path, models: dict[str, Tiny], store: ModelStore):
    tensors = models["SD 1.x"].checkpoint()
    path = saved(tmp_path / "m.safetensors", tensors)
    before = store.diffusion_model(path)
    name = "out.2.bias"
    saved(tmp_path / "new.safetensors", {**tensors, f"model.diffusion_model.{name}": torch.full((4,), 7.0)})
    os.replace(tmp_path / "new.safetensors", path)
    after = store.diffusion_model(path)
    assert after.network is not before.network
    assert after.network.state_dict()[name].tolist() == [7, 7, 7, 7]
    assert torch.equal(before.network.state_dict()[name], models["SD 1.x"].network[name])


def test_weights_nobody_holds_are_freed(tmp_path: Path, models: dict[str, Tiny]):
    store = ModelStore(AS_IS, keep=0)
    model = store.diffusion_model(saved(tmp_path / "m.safetensors", models["SD 1.x"].checkpoint()))
    network = weakref.ref(model.network)
    held = replace(model, source="elsewhere")
    del model
    gc.collect()
    assert network() is held.network
    del held
    gc.collect()
    assert network() is None


def test_precision_is_what_was_asked_for(tmp_path: Path, models: dict[str, Tiny]):
    path = saved(tmp_path / "m.safetensors", {n: t.half() for n, t in models["SD 1.x"].checkpoint().items()})
    loaded = ModelStore(Precision(torch.bfloat16, None, torch.float32)).checkpoint(path)
    assert loaded.text_encoders is not None
    assert loaded.autoencoder is not None
    networks = [loaded.model.network, loaded.text_encoders.networks["clip_l"], loaded.autoencoder.network]
    found = [next(network.parameters()).dtype for network in networks]
    assert found == [torch.bfloat16, torch.float16, torch.float32]


def test_weights_in_their_own_precision_stay_mapped(tmp_path: Path, models: dict[str, Tiny], store: ModelStore):
    path = saved(tmp_path / "m.safetensors", models["SD 1.x"].checkpoint())
    parameters = store.diffusion_model(path).network.state_dict()
    size = path.stat().st_size
    addresses = [tensor.data_ptr() for tensor in parameters.values()]
    assert max(addresses) - min(addresses) < size


def as_diffusers(made: Tiny) -> dict[str, Tensor]:
    prefixes = diffusers_prefixes(unet_config(made.family))
    renamed = {rename(name, prefixes): tensor for name, tensor in made.network.items()}
    return {name: tensor for name, tensor in renamed.items() if name is not None}


def diffusers_folder(folder: Path, made: Tiny, prediction: str = "epsilon") -> Path:
    saved(folder / "unet" / "diffusion_pytorch_model.fp16.safetensors", as_diffusers(made))
    for part, spec in zip(("text_encoder", "text_encoder_2"), made.family.text_encoders, strict=False):
        saved(folder / part / "model.safetensors", made.text_encoders[spec.name])
    saved(folder / "vae" / "diffusion_pytorch_model.safetensors", made.autoencoder)
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps({"prediction_type": prediction}))
    return folder


@pytest.mark.parametrize("family", [SD15, SD2, SDXL], ids=lambda family: family.name)
def test_a_diffusers_folder_is_a_checkpoint(tmp_path: Path, models: dict[str, Tiny], store: ModelStore, family: Any):
    made = models[family.name]
    loaded = store.checkpoint(diffusers_folder(tmp_path, made))
    assert loaded.model.family is family
    assert_holds(loaded.model.network, made.network)
    assert loaded.text_encoders is not None
    for name, network in loaded.text_encoders.networks.items():
        assert_holds(network, made.text_encoders[name])
    assert loaded.autoencoder is not None


def test_a_diffusers_folder_says_what_the_network_predicts(tmp_path: Path, models: dict[str, Tiny], store: ModelStore):
    folder = diffusers_folder(tmp_path, models["SD 2.x"], "v_prediction")
    assert store.checkpoint(folder).model.prediction.kind == "v"


def test_a_yaml_beside_a_checkpoint_says_what_the_network_predicts(
    tmp_path: Path, models: dict[str, Tiny], store: ModelStore
):
    path = saved(tmp_path / "m.safetensors", models["SD 2.x"].checkpoint())
    assert store.checkpoint(path).model.prediction.kind == "eps"
    (tmp_path / "m.yaml").write_text('model:\n  params:\n    parameterization: "v"\n')
    assert store.checkpoint(path).model.prediction.kind == "v"


def test_markers_beside_the_network_say_what_it_predicts(tmp_path: Path, models: dict[str, Tiny], store: ModelStore):
    tensors = {**models["SDXL"].checkpoint(), "v_pred": torch.empty(0), "ztsnr": torch.empty(0)}
    prediction = store.checkpoint(saved(tmp_path / "m.safetensors", tensors)).model.prediction
    assert (prediction.kind, getattr(prediction.schedule, "zero_terminal_snr", None)) == ("v", True)


@pytest.mark.parametrize("layout", ["ours", "diffusers"])
def test_a_diffusion_network_alone_is_a_model(tmp_path: Path, models: dict[str, Tiny], store: ModelStore, layout: str):
    made = models["SDXL"]
    path = saved(tmp_path / "unet.safetensors", made.network if layout == "ours" else as_diffusers(made))
    assert_holds(store.diffusion_model(path).network, made.network)
    loaded = store.checkpoint(path)
    assert (loaded.text_encoders, loaded.autoencoder) == (None, None)


@pytest.mark.parametrize("prefix", ["", "first_stage_model.", "vae."])
def test_an_autoencoder_alone_is_found_behind_any_prefix(
    tmp_path: Path, models: dict[str, Tiny], store: ModelStore, prefix: str
):
    tensors = models["SD 1.x"].autoencoder
    path = saved(tmp_path / "vae.safetensors", {prefix + name: tensor for name, tensor in tensors.items()})
    assert_holds(store.vae(path).network, tensors)


def test_text_encoders_alone_tell_which_model_line_reads_them(
    tmp_path: Path, models: dict[str, Tiny], store: ModelStore
):
    small = models["SD 1.x"].text_encoders["clip_l"]
    path = saved(tmp_path / "l.safetensors", {f"text_encoders.clip_l.transformer.{n}": t for n, t in small.items()})
    encoders = store.text_encoders([path])
    assert encoders.family is SD15
    assert_holds(encoders.networks["clip_l"], small)


def test_of_two_text_encoders_the_wider_one_is_the_large_one(
    tmp_path: Path, models: dict[str, Tiny], store: ModelStore, monkeypatch: pytest.MonkeyPatch
):
    small = models["SD 1.x"].text_encoders["clip_l"]
    monkeypatch.setattr(tiny_models, "WIDTH", 128)
    large = tiny_models.text_encoder(SDXL.text_encoders[1], 3)
    paths = [saved(tmp_path / "g.safetensors", large), saved(tmp_path / "l.safetensors", small)]
    encoders = store.text_encoders(paths)
    assert encoders.family is SDXL
    assert_holds(encoders.networks["clip_g"], large)
    assert_holds(encoders.networks["clip_l"], small)


@pytest.mark.parametrize("prefix", ["", "control_model."])
def test_a_controlnet_knows_its_model_line(tmp_path: Path, store: ModelStore, prefix: str):
    tensors = tensors_of(randomised(ControlNetwork(unet_config(SD15)), 3))
    path = saved(tmp_path / "c.safetensors", {prefix + name: tensor for name, tensor in tensors.items()})
    control = store.controlnet(path)
    assert control.family is SD15
    assert_holds(control.network, tensors)


def test_a_controlnet_of_differences_is_added_to_its_model(tmp_path: Path, models: dict[str, Tiny], store: ModelStore):
    tensors = tensors_of(randomised(ControlNetwork(unet_config(SD15)), 3))
    path = saved(tmp_path / "c.safetensors", {**tensors, "difference": torch.empty(0)})
    model = store.diffusion_model(saved(tmp_path / "m.safetensors", models["SD 1.x"].network))
    found = store.controlnet(path, model).network.state_dict()
    name = "input_blocks.1.0.in_layers.2.weight"
    torch.testing.assert_close(found[name], tensors[name] + models["SD 1.x"].network[name])
    assert torch.equal(found["zero_convs.0.0.weight"], tensors["zero_convs.0.0.weight"])
    with pytest.raises(CheckpointError, match="load it together with that model"):
        store.controlnet(path)


def half_of(name: str, half: str) -> dict[str, Tensor]:
    torch.manual_seed(len(half))
    return {key: torch.rand(shape) for key, shape in inventory.shapes(f"{name}{half}").items()}


def test_a_tiny_autoencoder_is_read_from_one_file_from_two_and_from_diffusers(tmp_path: Path, store: ModelStore):
    halves = {half: half_of("taesd_", half) for half in ("encoder", "decoder")}
    paths = [saved(tmp_path / f"taesd_{half}.safetensors", tensors) for half, tensors in halves.items()]
    named = {f"taesd_{half}.{key}": tensor for half, tensors in halves.items() for key, tensor in tensors.items()}
    scale = {"vae_scale": torch.tensor(latents.SDXL.scale), "vae_shift": torch.tensor(0.0)}
    one = saved(tmp_path / "one.safetensors", {**named, **scale})
    theirs = {
        f"{half}.layers.{int(key.split('.')[0]) - (half == 'decoder')}.{key.split('.', 1)[1]}": tensor
        for half, tensors in halves.items()
        for key, tensor in tensors.items()
    }
    diffusers = saved(tmp_path / "diffusers.safetensors", theirs)
    for vae in (
        store.tiny_autoencoder(*paths, latent=latents.SDXL),
        store.tiny_autoencoder(one),
        store.vae(one),
        store.tiny_autoencoder(diffusers, latent=latents.SDXL),
    ):
        assert_holds(vae.network, {**named, **scale})
        assert vae.channels == 4
    with pytest.raises(CheckpointError, match="does not say its latent scale"):
        store.tiny_autoencoder(diffusers)
    with pytest.raises(CheckpointError, match="expected both halves"):
        store.tiny_autoencoder(paths[1], latent=latents.SDXL)
    assert_holds(store.preview_decoder(paths[1]), halves["decoder"])


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        ("upscaler_esrgan_old_x1", 1),
        ("upscaler_esrgan_old_x4", 4),
        ("upscaler_realesr_general_x4v3", 4),
        ("upscaler_realesrgan_x2plus", 2),
        ("upscaler_realesrgan_x4plus_anime_6b", 4),
    ],
)
def test_upscalers_of_every_layout_are_networks_that_know_their_scale(
    tmp_path: Path, store: ModelStore, name: str, scale: int
):
    tensors = {key: torch.zeros(1).expand(shape) for key, shape in inventory.shapes(name).items()}
    torch.save({"params_ema": {key: tensor.half() for key, tensor in tensors.items()}}, tmp_path / "up.pth")
    assert store.upscaler(tmp_path / "up.pth").scale == scale


def test_an_image_encoder_is_built_from_its_shapes(tmp_path: Path, store: ModelStore):
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    config = CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=16, image_size=28, patch_size=14
    )
    theirs = CLIPVisionModelWithProjection(config)
    network = store.clip_vision(saved(tmp_path / "v.safetensors", tensors_of(theirs)))
    assert_holds(network, tensors_of(theirs))


def test_an_adapter_is_a_controlnet_too(tmp_path: Path, store: ModelStore):
    network = T2IAdapter(T2IAdapterConfig("full", 3, (32, 32, 64, 64), 2))
    control = store.controlnet(saved(tmp_path / "a.safetensors", tensors_of(network)))
    assert isinstance(control.network, T2IAdapter)
    assert_holds(control.network, tensors_of(network))


def test_a_lora_is_read_once_until_its_file_changes(tmp_path: Path, store: ModelStore):
    tensors = {"lora_unet_x.lora_up.weight": torch.ones(2, 1), "lora_unet_x.lora_down.weight": torch.ones(1, 2)}
    path = saved(tmp_path / "l.safetensors", tensors)
    first = store.lora(path)
    assert store.lora(path) is first
    saved(path, {**tensors, "lora_unet_x.alpha": torch.tensor(1.0)})
    assert set(store.lora(path).modules["lora_unet_x"]) == {"up", "down", "alpha"}


def test_a_file_in_the_wrong_place_says_what_it_is(tmp_path: Path, models: dict[str, Tiny], store: ModelStore):
    made = models["SD 1.x"]
    vae = saved(tmp_path / "vae.safetensors", made.autoencoder)
    text = saved(tmp_path / "text.safetensors", made.text_encoders["clip_l"])
    lora = saved(tmp_path / "lora.safetensors", {"lora_unet_x.lora_up.weight": torch.ones(1, 1)})
    network = saved(tmp_path / "unet.safetensors", made.network)
    for path, what in ((vae, "a VAE"), (text, "a CLIP text encoder"), (lora, "a LoRA")):
        with pytest.raises(CheckpointError, match=f"{path.name}: this looks like {what}; expected a diffusion model"):
            store.checkpoint(path)
    with pytest.raises(CheckpointError, match="this looks like a diffusion UNet; expected a VAE"):
        store.vae(network)
    with pytest.raises(CheckpointError, match="this looks like a VAE; expected a text encoder"):
        store.text_encoders([vae])
    with pytest.raises(CheckpointError, match="this looks like a CLIP text encoder; expected a ControlNet"):
        store.controlnet(text)


def test_a_network_with_a_missing_tensor_names_it(tmp_path: Path, models: dict[str, Tiny], store: ModelStore):
    tensors = {**models["SD 1.x"].network}
    del tensors["middle_block.0.in_layers.2.bias"]
    path = saved(tmp_path / "m.safetensors", tensors)
    with pytest.raises(CheckpointError, match=r"1 of \d+ tensors of the SD 1.x network are missing, for instance"):
        store.diffusion_model(path)


def test_an_autoencoder_for_other_pictures_is_refused(tmp_path: Path, models: dict[str, Tiny], store: ModelStore):
    tensors = {**models["SD 1.x"].autoencoder}
    tensors["encoder.conv_in.weight"] = tensors["encoder.conv_in.weight"][:, :1]
    with pytest.raises(CheckpointError, match="1 image and 4 latent channels"):
        store.vae(saved(tmp_path / "vae.safetensors", tensors))


def test_a_vae_and_a_controlnet_of_nan_are_refused_when_they_are_opened(tmp_path: Path, models: dict[str, Tiny]):
    vae = dict(models["SD 1.x"].autoencoder)
    vae["decoder.conv_in.weight"] = torch.full_like(vae["decoder.conv_in.weight"], torch.nan)
    with pytest.raises(CheckpointError, match=r"^v\.safetensors: 1 tensors hold NaN .*'decoder\.conv_in\.weight'"):
        ModelStore().vae(saved(tmp_path / "v.safetensors", vae))
    control = tensors_of(randomised(ControlNetwork(unet_config(SD15)), 3))
    control["middle_block_out.0.bias"][0] = torch.inf
    with pytest.raises(CheckpointError, match=r"^c\.safetensors: 1 tensors hold NaN .*'middle_block_out\.0\.bias'"):
        ModelStore().controlnet(saved(tmp_path / "c.safetensors", control))


def test_a_controlnet_follows_the_network_into_eight_bits(tmp_path: Path):
    path = saved(tmp_path / "c.safetensors", tensors_of(randomised(ControlNetwork(unet_config(SD15)), 3)))
    network = ModelStore(Precision(torch.float8_e4m3fn)).controlnet(path).network
    assert network.get_parameter("middle_block_out.0.weight").dtype == torch.float8_e4m3fn
    assert network.get_parameter("middle_block_out.0.bias").dtype == torch.float32
