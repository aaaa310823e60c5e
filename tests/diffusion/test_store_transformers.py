"""Files of SD3 and Flux become handles: all in one, parts alone, any subset of text encoders, in any naming."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
from safetensors.torch import save_file
from torch import Tensor

from diffusion.autoencode import decode as decode_latent
from diffusion.autoencode import encode as encode_picture
from diffusion.checkpoints.errors import CheckpointError
from diffusion.checkpoints.write import save_checkpoint, save_text_encoder
from diffusion.families.flux import DEV, FLUX, SCHNELL
from diffusion.families.sd3 import SD3
from diffusion.models.wan_autoencoder import WanAutoencoder
from diffusion.ops.stored import compute_dtype
from diffusion.store import ModelStore, Precision
from diffusion.text.encode import encode, prompt_tokens
from diffusion.text.tokenizers import TokenizerFolders, TokenizerMissing
from tests.diffusion.models.oracle import randomised
from tests.diffusion.models.test_transformer_parity import FLUX as THEIR_FLUX
from tests.diffusion.models.test_wan_autoencoder import CONFIG as WAN
from tests.diffusion.text.sentencepieces import model as sentencepiece_model
from tests.diffusion.tiny import randomised as tiny_random
from tests.diffusion.tiny import tensors_of
from tests.diffusion.tiny_transformers import FAMILIES, T5_WIDTH, TinyTransformer, t5, tiny_transformer


@pytest.fixture(scope="module")
def models() -> dict[str, TinyTransformer]:
    return {family.name: tiny_transformer(family) for family in FAMILIES}


@pytest.fixture
def store() -> ModelStore:
    return ModelStore(Precision(text_encoders=torch.float32))


def saved(path: Path, tensors: dict[str, Tensor]) -> Path:
    save_file(tensors, path)
    return path


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_an_all_in_one_file_gives_everything(
    tmp_path: Path, models: dict[str, TinyTransformer], store: ModelStore, family: Any
):
    made = models[family.name]
    loaded = store.checkpoint(saved(tmp_path / "m.safetensors", made.checkpoint()))
    assert loaded.model.family is family
    assert loaded.model.config == made.config
    assert all(torch.equal(made.network[n], t) for n, t in loaded.model.network.state_dict().items())
    assert loaded.text_encoders
    assert set(loaded.text_encoders.networks) == {spec.name for spec in family.text_encoders}
    prompt = encode(loaded.text_encoders, prompt_tokens(loaded.text_encoders, "a (red:1.3) star"))
    assert prompt.context.shape[2] == T5_WIDTH
    assert loaded.autoencoder
    assert loaded.autoencoder.channels == 16


def test_sd3_without_some_of_its_text_encoders(tmp_path: Path, models: dict[str, TinyTransformer], store: ModelStore):
    made = models["SD3"].checkpoint()
    without = {n: t for n, t in made.items() if not n.startswith("text_encoders.t5xxl")}
    loaded = store.checkpoint(saved(tmp_path / "clips.safetensors", without))
    assert loaded.text_encoders
    assert set(loaded.text_encoders.networks) == {"clip_l", "clip_g"}
    none = {n: t for n, t in made.items() if not n.startswith("text_encoders")}
    assert store.checkpoint(saved(tmp_path / "none.safetensors", none)).text_encoders is None


@pytest.mark.parametrize(
    ("names", "loader_type", "line"),
    [
        (("clip_l", "t5xxl"), "flux", "Flux"),
        (("t5xxl", "clip_l"), "flux", "Flux"),
        (("clip_l", "t5xxl"), "sd3", "SD3"),
        (("clip_l", "clip_g"), "sd3", "SD3"),
        (("clip_l", "clip_g"), "sdxl", "SDXL"),
        (("clip_l", "clip_g", "t5xxl"), "sd3", "SD3"),
        (("t5xxl",), "sd3", "SD3"),
        (("clip_l", "t5xxl"), None, "Flux"),
    ],
)
def test_files_of_their_own_and_the_loaders_menu_tell_the_line(
    tmp_path: Path,
    models: dict[str, TinyTransformer],
    store: ModelStore,
    names: tuple[str, ...],
    loader_type: str | None,
    line: str,
):
    made = models["SD3"].text_encoders
    wide = {n: torch.zeros(t.shape[0], 96) if "position_emb" in n else t for n, t in made["clip_g"].items()}
    assert wide
    paths = [saved(tmp_path / f"{name}.safetensors", _distinct(made, name)) for name in names]
    found = store.text_encoders(paths, loader_type)
    assert (found.family.name, set(found.networks)) == (line, set(names))


def _distinct(made: dict[str, dict[str, Tensor]], name: str) -> dict[str, Tensor]:
    """As deep as published, by which a file of CLIP bigG is told from CLIP L."""
    if name != "clip_g":
        return made[name]
    first = "text_model.encoder.layers.0."
    layer = {n.removeprefix(first): t for n, t in made[name].items() if n.startswith(first)}
    deep = {f"text_model.encoder.layers.{i}.{n}": t.clone() for i in range(32) for n, t in layer.items()}
    return {**made[name], **deep}


def test_text_encoders_that_no_line_reads_are_refused(tmp_path: Path, store: ModelStore):
    path = saved(tmp_path / "t5.safetensors", t5(0))
    with pytest.raises(CheckpointError, match="no supported model line reads t5xxl and t5xxl"):
        store.text_encoders([path, path])


def test_a_tokeniser_is_wanted_only_when_a_prompt_comes(tmp_path: Path):
    path = saved(tmp_path / "t5.safetensors", t5(0))
    store = ModelStore(tokenizers=TokenizerFolders((tmp_path,)))
    encoders = store.text_encoders([path], "sd3")
    with pytest.raises(TokenizerMissing, match="fetch tokenizer t5"):
        prompt_tokens(encoders, "a cat")
    (tmp_path / "t5").mkdir()
    (tmp_path / "t5" / "spiece.model").write_bytes(sentencepiece_model())
    assert prompt_tokens(encoders, "a cat").chunks["t5xxl"]


def test_guidance_in_the_file_tells_dev_from_schnell(tmp_path: Path, store: ModelStore):
    made = tiny_transformer(FLUX).network
    plain = {n: t for n, t in made.items() if not n.startswith("guidance_in.")}
    assert store.diffusion_model(saved(tmp_path / "dev.safetensors", made)).prediction == DEV
    assert store.diffusion_model(saved(tmp_path / "schnell.safetensors", plain)).prediction == SCHNELL


def test_a_network_in_diffusers_layout_is_the_same_model(tmp_path: Path, store: ModelStore):
    theirs: Any = randomised(FluxTransformer2DModel(**THEIR_FLUX, guidance_embeds=True))
    model = store.diffusion_model(saved(tmp_path / "m.safetensors", dict(theirs.state_dict())))
    assert model.family is FLUX
    q, k, v = (theirs.transformer_blocks[0].attn.get_submodule(f"to_{name}").weight for name in "qkv")
    assert torch.equal(model.network.get_parameter("double_blocks.0.img_attn.qkv.weight"), torch.cat([q, k, v]))


def test_what_was_read_is_written_and_read_again(tmp_path: Path, models: dict[str, TinyTransformer], store: ModelStore):
    loaded = store.checkpoint(saved(tmp_path / "m.safetensors", models["SD3"].checkpoint()))
    assert loaded.text_encoders
    save_checkpoint(tmp_path / "again.safetensors", loaded.model, loaded.text_encoders, loaded.autoencoder)
    again = store.checkpoint(tmp_path / "again.safetensors")
    assert again.model.family is SD3
    assert again.text_encoders
    assert set(again.text_encoders.networks) == {"clip_l", "clip_g", "t5xxl"}
    save_text_encoder(tmp_path / "t5.safetensors", loaded.text_encoders, "t5xxl")
    assert set(store.text_encoders([tmp_path / "t5.safetensors"], "sd3").networks) == {"t5xxl"}


def test_a_diffusers_folder_of_a_transformer_is_a_checkpoint(
    tmp_path: Path, models: dict[str, TinyTransformer], store: ModelStore
):
    made = models["Flux"]
    theirs: Any = randomised(FluxTransformer2DModel(**THEIR_FLUX, guidance_embeds=True))
    for part, name, tensors in (
        ("transformer", "diffusion_pytorch_model", dict(theirs.state_dict())),
        ("text_encoder", "model", made.text_encoders["clip_l"]),
        ("text_encoder_2", "model", made.text_encoders["t5xxl"]),
        ("vae", "diffusion_pytorch_model", made.autoencoder),
    ):
        (tmp_path / part).mkdir()
        saved(tmp_path / part / f"{name}.safetensors", tensors)
    loaded = store.checkpoint(tmp_path)
    assert loaded.model.family is FLUX
    assert loaded.text_encoders
    assert set(loaded.text_encoders.networks) == {"clip_l", "t5xxl"}
    assert loaded.autoencoder


def test_eight_bit_weights_of_another_layout_are_stacked_and_stay_in_eight_bits(tmp_path: Path):
    theirs: Any = randomised(FluxTransformer2DModel(**THEIR_FLUX))
    tensors = {n: t.to(torch.float8_e4m3fn) for n, t in theirs.state_dict().items()}
    model = ModelStore().diffusion_model(saved(tmp_path / "m.safetensors", tensors))
    layer: Any = model.network.get_submodule("double_blocks.0.img_attn.qkv")
    assert layer.weight.dtype == torch.float8_e4m3fn
    q, k, v = (tensors[f"transformer_blocks.0.attn.to_{name}.weight"].float() for name in "qkv")
    assert torch.equal(layer.weight_in(torch.float32), torch.cat([q, k, v]))


def test_the_autoencoder_of_wan_and_qwen_image_is_a_vae(tmp_path: Path, store: ModelStore):
    network = WanAutoencoder(WAN)
    vae = store.vae(saved(tmp_path / "vae.safetensors", tensors_of(tiny_random(network, 1))))
    assert (vae.channels, vae.downscale) == (4, 8)
    latent = encode_picture(vae, torch.rand(1, 32, 48, 3))
    assert decode_latent(vae, latent).shape == (1, 32, 48, 3)


@pytest.mark.parametrize(("family", "expected"), [("Flux", torch.bfloat16), ("SD3", torch.float16)])
def test_eight_bit_weights_are_computed_with_in_a_range_that_the_line_fits(
    tmp_path: Path, models: dict[str, TinyTransformer], family: str, expected: torch.dtype
):
    tensors = {n: t.to(torch.float8_e4m3fn) for n, t in models[family].network.items()}
    on_a_card = ModelStore(Precision(None, None, compute=torch.float16))
    model = on_a_card.diffusion_model(saved(tmp_path / "m.safetensors", tensors))
    assert compute_dtype(model.network) == expected
