"""Our autoencoders and diffusers' give the same latents and pictures for the same weights."""

from typing import Any

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL as TheirAutoencoderKL
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny

from diffusion.checkpoints.layouts.autoencoder import autoencoder_table
from diffusion.models.autoencoder import AutoencoderKL, read_autoencoder_config
from diffusion.models.taesd import TaesdConfig, TinyAutoencoder, read_taesd_config
from tests.diffusion import inventory
from tests.diffusion.models.oracle import TOLERANCE, copy_weights, randomised, relative_error

PUBLISHED = ("vae_kl_f8_4ch", "vae_16ch")
WIDTHS = (32, 64, 96, 96)


def published_names(shapes: dict[str, tuple[int, ...]]) -> dict[str, str]:
    """diffusers' name → ours, by the table that checkpoints are read with."""
    return {name: part.name for name, (part,) in autoencoder_table(shapes).items()}


def kl_pair(latent_channels: int) -> tuple[AutoencoderKL, Any]:
    quantised = latent_channels == 4
    kl: Any = TheirAutoencoderKL  # its annotations are narrower than what it takes
    theirs = kl(
        block_out_channels=WIDTHS,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        latent_channels=latent_channels,
        use_quant_conv=quantised,
        use_post_quant_conv=quantised,
    )
    randomised(theirs)
    shapes = {key: tuple(tensor.shape) for key, tensor in theirs.state_dict().items()}
    names = published_names(shapes)
    config = read_autoencoder_config({ours: shapes[key] for key, ours in names.items()})
    assert config is not None
    assert config.widths == WIDTHS
    with torch.device("meta"):
        ours = AutoencoderKL(config)
    copy_weights(theirs, ours, names)
    return ours, theirs


@pytest.mark.parametrize("channels", [4, 16])
def test_encoding_is_the_mean_of_the_posterior(channels: int):
    ours, theirs = kl_pair(channels)
    pixels = torch.rand(2, 3, 32, 48) * 2 - 1
    assert relative_error(ours.encode(pixels), theirs.encode(pixels).latent_dist.mean) < TOLERANCE


@pytest.mark.parametrize("channels", [4, 16])
def test_decoded_pictures_agree(channels: int):
    ours, theirs = kl_pair(channels)
    latent = torch.randn(2, channels, 5, 6)
    assert relative_error(ours.decode(latent), theirs.decode(latent).sample) < TOLERANCE


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_autoencoder_has_exactly_the_tensors_of_the_file(name: str):
    shapes = inventory.shapes(name)
    config = read_autoencoder_config(shapes)
    assert config is not None
    assert config.downscale == 8
    with torch.device("meta"):
        network = AutoencoderKL(config)
    assert {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()} == shapes


@pytest.mark.parametrize("name", sorted(set(inventory.names()) - set(PUBLISHED)))
def test_nothing_else_is_taken_for_an_autoencoder(name: str):
    assert read_autoencoder_config(inventory.shapes(name)) is None


def test_renaming_a_diffusers_autoencoder_gives_the_published_names():
    names = published_names(inventory.shapes("vae_kl_f8_4ch_diffusers"))
    assert set(names.values()) == set(inventory.shapes("vae_kl_f8_4ch"))
    assert set(names) == set(inventory.shapes("vae_kl_f8_4ch_diffusers"))


def test_the_older_names_of_diffusers_attention_are_known():
    older = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    shapes = inventory.shapes("vae_kl_f8_4ch_diffusers")
    for new, old in older.items():
        shapes = {key.replace(f"attentions.0.{new}.", f"attentions.0.{old}."): s for key, s in shapes.items()}
    names = published_names(shapes)
    assert set(names.values()) == set(inventory.shapes("vae_kl_f8_4ch"))


def tiny_pair(channels: int) -> tuple[TinyAutoencoder, Any]:
    theirs: Any = AutoencoderTiny(latent_channels=channels)
    randomised(theirs)
    ours = TinyAutoencoder(TaesdConfig(channels), scale=0.5, shift=0.25)
    names: dict[str, str] = {}
    for key in theirs.state_dict():
        half, _, index, *rest = key.split(".")
        # Their list of decoder layers lacks the clamp, which is ours at 0.
        position = int(index) + (half == "decoder")
        names[key] = ".".join([f"taesd_{half}", str(position), *rest])
    weights = {ours_key: theirs.state_dict()[key] for key, ours_key in names.items()}
    missing, unexpected = ours.load_state_dict(weights, strict=False)
    assert (set(missing), unexpected) == ({"vae_scale", "vae_shift"}, [])
    return ours.eval().requires_grad_(False), theirs


@pytest.mark.parametrize("channels", [4, 16])
def test_tiny_autoencoders_agree_and_speak_in_vae_scale(channels: int):
    ours, theirs = tiny_pair(channels)
    pixels = torch.rand(2, 3, 32, 48) * 2 - 1
    latent = torch.randn(2, channels, 5, 6)
    assert relative_error(ours.encode(pixels), theirs.encode(pixels).latents / 0.5 + 0.25) < TOLERANCE
    assert relative_error(ours.decode(latent / 0.5 + 0.25), theirs.decode(latent).sample) < TOLERANCE


@pytest.mark.parametrize(("name", "channels"), [("taesd_", 4), ("taesd_16ch_", 16)])
def test_the_tiny_autoencoder_has_exactly_the_tensors_of_the_files(name: str, channels: int):
    shapes = inventory.shapes("taesd_combined")
    for half in ("encoder", "decoder"):
        shapes |= {f"taesd_{half}.{key}": shape for key, shape in inventory.shapes(f"{name}{half}").items()}
    config = read_taesd_config(shapes)
    assert config == TaesdConfig(channels)
    network = TinyAutoencoder(TaesdConfig(channels))
    assert {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()} == shapes
