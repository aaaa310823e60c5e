"""The autoencoder of Wan 2.1 and Qwen-Image, for single pictures, against diffusers' for video."""

from typing import Any

import torch
from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan

from diffusion.models.wan_autoencoder import Step, WanAutoencoder, WanAutoencoderConfig, read_wan_autoencoder_config
from tests.diffusion import inventory
from tests.diffusion.models.oracle import TOLERANCE, randomised, relative_error

WIDTH = 16


def block(into: int, out: int) -> Step:
    return Step(into, out, resamples=False)


def resample(into: int, out: int, *, frames: bool) -> Step:
    return Step(into, out, resamples=True, between_frames=frames)


CONFIG = WanAutoencoderConfig(
    latent_channels=4,
    down=(
        *(block(16, 16), block(16, 16), resample(16, 16, frames=False)),
        *(block(16, 32), block(32, 32), resample(32, 32, frames=True)),
        *(block(32, 64), block(64, 64), resample(64, 64, frames=True)),
        *(block(64, 64), block(64, 64)),
    ),
    up=(
        *(*[block(64, 64)] * 3, resample(64, 32, frames=True)),
        *(block(32, 64), block(64, 64), block(64, 64), resample(64, 32, frames=True)),
        *(*[block(32, 32)] * 3, resample(32, 16, frames=False)),
        *[block(16, 16)] * 3,
    ),
)


@torch.no_grad()
def test_a_single_picture_is_encoded_and_decoded_as_a_video_of_one_frame():
    ours: Any = randomised(WanAutoencoder(CONFIG))
    state = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    theirs: Any = AutoencoderKLWan(
        base_dim=WIDTH, z_dim=4, dim_mult=[1, 2, 4, 4], latents_mean=[0.0] * 4, latents_std=[1.0] * 4
    )
    theirs.load_state_dict(convert_wan_vae_to_diffusers(state))
    theirs.eval()
    generator = torch.Generator().manual_seed(1)
    pixels, latent = torch.randn(1, 3, 32, 48, generator=generator), torch.randn(1, 4, 4, 6, generator=generator)
    encoded = theirs.encode(pixels[:, :, None]).latent_dist.mean[:, :, 0]
    assert relative_error(ours.encode(pixels), encoded) < TOLERANCE
    decoded = theirs.decode(latent[:, :, None]).sample[:, :, 0]
    assert relative_error(ours.decode(latent), decoded) < TOLERANCE


def test_the_published_file_is_read_off_its_shapes():
    shapes = inventory.shapes("vae_wan21")
    config = read_wan_autoencoder_config(shapes)
    assert config is not None
    assert (config.latent_channels, config.downscale) == (16, 8)
    with torch.device("meta"):
        network = WanAutoencoder(config)
    assert {name: tuple(t.shape) for name, t in network.state_dict().items()} == shapes
