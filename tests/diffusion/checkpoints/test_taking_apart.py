"""Every published checkpoint is taken apart without a tensor left over, and every other file says what it is."""

import re
from pathlib import Path

import pytest
import torch

from diffusion.checkpoints.describe import describe
from diffusion.checkpoints.errors import CheckpointError
from diffusion.checkpoints.read import Checkpoint
from diffusion.checkpoints.recognise import Found, Parts, take_apart
from diffusion.checkpoints.weights import Source, Weights
from tests.diffusion import inventory


def checkpoint(shapes: dict[str, tuple[int, ...]]) -> Checkpoint:
    """A file with these names and shapes whose tensors are not to be read."""

    def unread() -> torch.Tensor:
        raise AssertionError("a tensor was read to recognise a file")

    sources = {name: Source(shape, torch.float32, unread) for name, shape in shapes.items()}
    return Checkpoint(Path("file.safetensors"), Weights(sources), {}, ("file",))


SIXTEEN = [name for name in inventory.names() if re.match(r"sd3|flux", name)]
"""Those whose autoencoder has sixteen channels."""
LINES = "sd3|flux|pixart_sigma|chroma|lumina2|z_image|auraflow|qwen"
SUPPORTED = [name for name in inventory.names() if re.match(rf"(dit_)?({LINES})", name)]


def left_over(parts: Parts) -> set[str]:
    parted: list[Found] = [parts.network, *parts.text_encoders.values()]
    parted += [parts.autoencoder] if parts.autoencoder else []
    used = {found.prefix + name for found in parted for name in found.table}
    return set(parts.checkpoint.weights) - used - set(parts.markers)


@pytest.mark.parametrize(
    ("name", "family", "encoders"),
    [
        ("sd15", "SD 1.x", {"clip_l"}),
        ("sd15_inpaint", "SD 1.x inpainting", {"clip_l"}),
        ("sd21", "SD 2.x", {"clip_h"}),
        ("sdxl_base", "SDXL", {"clip_l", "clip_g"}),
        ("sdxl_refiner", "SDXL refiner", {"clip_g"}),
        ("sd3_medium", "SD3", set()),
        ("sd3_medium_incl_clips_t5", "SD3", {"clip_l", "clip_g", "t5xxl"}),
        ("sd35_medium_incl_clips_t5", "SD3", {"clip_l", "clip_g", "t5xxl"}),
        ("sd35_large_incl_clips_t5", "SD3", {"clip_l", "clip_g", "t5xxl"}),
        ("flux_dev_all_in_one", "Flux", {"clip_l", "t5xxl"}),
        ("flux_schnell_all_in_one", "Flux", {"clip_l", "t5xxl"}),
    ],
)
def test_published_checkpoints(name: str, family: str, encoders: set[str]):
    parts = take_apart(checkpoint(inventory.shapes(name)))
    assert parts.recognised.family.name == family
    assert set(parts.text_encoders) == encoders
    assert parts.autoencoder
    assert parts.autoencoder.weights.shapes == inventory.shapes("vae_16ch" if name in SIXTEEN else "vae_kl_f8_4ch")
    assert {name.rpartition(".")[2] for name in left_over(parts)} <= {"logit_scale", "position_ids"}


@pytest.mark.parametrize("layout", ["", "_diffusers"])
@pytest.mark.parametrize("name", ["unet_sd15", "unet_sd21", "unet_sdxl", "unet_sdxl_refiner"])
def test_networks_alone(name: str, layout: str):
    parts = take_apart(checkpoint(inventory.shapes(name + layout)))
    assert parts.network.weights.shapes == inventory.shapes(name)
    assert (parts.text_encoders, parts.autoencoder, left_over(parts)) == ({}, None, set())


@pytest.mark.parametrize("prefix", ["model.diffusion_model.", "model.model.", "net.", "model.", ""])
def test_the_prefix_of_the_network_is_found(prefix: str):
    shapes = {prefix + name: shape for name, shape in inventory.shapes("unet_sd15").items()}
    assert take_apart(checkpoint(shapes)).network.prefix == prefix


@pytest.mark.parametrize("prefix", ["cond_stage_model.model.", "conditioner.embedders.0.model."])
def test_the_text_encoder_of_sd2_is_found_in_files_of_both_codes(prefix: str):
    shapes = {n.replace("cond_stage_model.model.", prefix): s for n, s in inventory.shapes("sd21").items()}
    assert set(take_apart(checkpoint(shapes)).text_encoders) == {"clip_h"}


def test_early_checkpoints_without_the_outer_level_of_the_text_encoder():
    shapes = {n.replace(".text_model.", "."): s for n, s in inventory.shapes("sd15").items()}
    parts = take_apart(checkpoint(shapes))
    assert "text_model.final_layer_norm.weight" in parts.text_encoders["clip_l"].weights


def test_a_second_network_of_averaged_weights_is_ignored():
    shapes = inventory.shapes("sd15")
    network = {n: s for n, s in shapes.items() if n.startswith("model.diffusion_model.")}
    averaged = {"model_ema." + n.removeprefix("model.").replace(".", ""): s for n, s in network.items()}
    parts = take_apart(checkpoint({**shapes, **averaged, "model_ema.decay": ()}))
    assert parts.network.weights.shapes == inventory.shapes("unet_sd15")
    assert not any(name.startswith("model_ema") for name in parts.markers)


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        (r"lora_(?!lycoris)", "a LoRA"),
        (r"controlnet_", "a ControlNet"),
        (r"dit_sd3|sd3", "an SD3 model"),
        (r"dit_flux|flux_", "a Flux model"),
        (r"dit_chroma", "a Chroma model"),
        (r"dit_auraflow", "an AuraFlow model"),
        (r"dit_hunyuan_dit", "a HunyuanDiT model"),
        (r"dit_lumina2|dit_z_image", "a Lumina 2 or Z-Image model"),
        (r"dit_pixart", "a PixArt or LTX model"),
        (r"dit_qwen", "a Qwen-Image model"),
        (r"dit_wan", "a Wan video model"),
        (r"taesd_", "a tiny autoencoder (TAESD)"),
        (r"te_clip", "a CLIP text encoder"),
        (r"te_t5", "a T5 text encoder"),
        (r"clip_vision", "a CLIP vision encoder"),
        (r"upscaler_", "an upscaler"),
        (r"vae_", "a VAE"),
    ],
)
def test_a_file_says_what_it_looks_like_and_that_is_all_one_hears_of_an_unsupported_one(pattern: str, what: str):
    files = [name for name in inventory.names() if re.match(pattern, name)]
    assert files
    for name in files:
        shapes = {key: tuple(4 if isinstance(n, str) else n for n in s) for key, s in inventory.shapes(name).items()}
        assert describe(shapes) == what, name
        if name in SUPPORTED:
            continue
        with pytest.raises(CheckpointError, match=re.escape(f"this looks like {what}; expected a diffusion model")):
            take_apart(checkpoint(shapes))


def test_an_embedding_and_an_unknown_file_are_described():
    assert describe({"emb_params": (2, 768)}) == "a textual inversion embedding"
    assert describe({"<token>": (768,)}) == "a textual inversion embedding"
    unknown = {f"x{i}.weight": (3, 3, 3) for i in range(9)}
    assert describe(unknown) == "something unknown (9 tensors: x0.weight, x1.weight, x2.weight, …)"
