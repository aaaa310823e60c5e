"""Pictures to latents and back through a VAE whose answers are known."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffusion.handles import Autoencoder
from tests.nodes import tiny
from tests.nodes.conftest import Call


class Averaging(nn.Module):
    """A latent cell is the mean of its pixels, in -1…1."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(()))
        self.largest = 0

    def encode(self, pixels: Tensor) -> Tensor:
        self.largest = max(self.largest, pixels.shape[2] * pixels.shape[3])
        return F.avg_pool2d(pixels, 8)

    def decode(self, latent: Tensor) -> Tensor:
        return F.interpolate(latent, scale_factor=8.0)


@pytest.fixture
def vae() -> Autoencoder:
    return Autoencoder(Averaging(), channels=3)


def test_encoding_and_decoding_go_through_the_vae(call: Call, vae: Autoencoder):
    image = torch.rand(2, 2, 3, 3).repeat_interleave(8, 1).repeat_interleave(8, 2)
    latent = call("VAEEncode", pixels=image, vae=vae)
    assert torch.allclose(latent["samples"].movedim(1, -1), image[:, ::8, ::8] * 2 - 1, atol=1e-6)
    assert torch.allclose(call("VAEDecode", samples=latent, vae=vae), image, atol=1e-6)


def test_tiles_are_no_larger_than_asked_for_and_fit_together(call: Call, vae: Autoencoder):
    sizes = {"tile_size": 64, "overlap": 32, "temporal_size": 64, "temporal_overlap": 8}
    image = torch.rand(1, 32, 32, 3).repeat_interleave(8, 1).repeat_interleave(8, 2)
    latent = call("VAEEncodeTiled", pixels=image, vae=vae, **sizes)
    assert vae.network.largest == 64 * 64
    assert torch.allclose(latent["samples"], image[:, ::8, ::8].movedim(-1, 1) * 2 - 1, atol=1e-5)
    decoded = call("VAEDecodeTiled", samples=latent, vae=vae, **sizes)
    assert torch.allclose(decoded, image, atol=1e-5)
    assert vae.network.largest == 64 * 64


def test_a_latent_of_another_model_line_is_refused(call: Call, vae: Autoencoder):
    with pytest.raises(ValueError, match="16 channels"):
        call("VAEDecode", samples={"samples": torch.zeros(1, 16, 4, 4)}, vae=vae)


def square_mask() -> Tensor:
    mask = torch.zeros(1, 32, 32)
    mask[:, 8:16, 8:16] = 0.8
    return mask


def test_what_is_painted_anew_is_hidden_from_the_vae_and_grown(call: Call, vae: Autoencoder):
    image = torch.ones(1, 32, 32, 3)
    latent = call("VAEEncodeForInpaint", pixels=image, vae=vae, mask=square_mask(), grow_mask_by=4)
    seen = latent["samples"][0, 0]
    assert seen[1, 1] == 0
    assert seen.sum() == 15
    assert latent["noise_mask"].shape == (1, 1, 32, 32)
    assert latent["noise_mask"][0, 0, 10].nonzero().flatten().tolist() == list(range(7, 18))
    assert image.min() == 1


def test_pictures_and_masks_are_cut_to_whole_cells_together(call: Call, vae: Autoencoder):
    image, mask = torch.rand(1, 37, 42, 3), torch.rand(1, 74, 84)
    latent = call("VAEEncodeForInpaint", pixels=image, vae=vae, mask=mask, grow_mask_by=0)
    assert latent["samples"].shape == (1, 3, 4, 5)
    assert latent["noise_mask"].shape == (1, 1, 32, 40)


@pytest.mark.parametrize("keep", [True, False])
def test_inpainting_models_see_the_picture_around_the_mask(call: Call, vae: Autoencoder, keep: bool):
    sent: dict[str, Any] = {"positive": tiny.prompt(0), "negative": tiny.prompt(1), "pixels": torch.ones(1, 32, 32, 3)}
    positive, negative, latent = call("InpaintModelConditioning", vae=vae, mask=square_mask(), noise_mask=keep, **sent)
    for pair in (positive[0], negative[0]):
        assert pair[1]["concat_latent_image"][0, 0, 1, 1] == 0
        assert pair[1]["concat_mask"].shape == (1, 1, 32, 32)
    assert latent["samples"].min() == 1
    assert ("noise_mask" in latent) is keep


def test_editing_models_see_the_picture(call: Call, vae: Autoencoder):
    sent: dict[str, Any] = {"positive": tiny.prompt(0), "negative": tiny.prompt(1), "pixels": torch.ones(1, 33, 32, 3)}
    positive, negative, latent = call("InstructPixToPixConditioning", vae=vae, **sent)
    assert torch.equal(positive[0][1]["concat_latent_image"], torch.ones(1, 3, 4, 4))
    assert torch.equal(negative[0][1]["concat_latent_image"], torch.ones(1, 3, 4, 4))
    assert torch.equal(latent["samples"], torch.zeros(1, 3, 4, 4))


def test_upscaling_models_see_the_small_picture(call: Call):
    sent: dict[str, Any] = {"positive": tiny.prompt(0), "negative": tiny.prompt(1), "images": torch.ones(2, 32, 48, 3)}
    positive, _, latent = call("SD_4XUpscale_Conditioning", scale_ratio=2.0, noise_augmentation=0.25, **sent)
    assert torch.equal(positive[0][1]["concat_image"], torch.ones(2, 3, 16, 24))
    assert positive[0][1]["noise_augmentation"] == 0.25
    assert latent["samples"].shape == (2, 4, 16, 24)
