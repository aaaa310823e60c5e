"""Pictures become latents and latents pictures; tiles and odd sizes included."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffusion.autoencode import NotFinite, decode, decode_tiled, encode, encode_tiled
from diffusion.handles import Autoencoder
from diffusion.models.autoencoder import AutoencoderConfig, AutoencoderKL
from diffusion.tiles import count_tiles, run_tiled
from tests.diffusion.models.oracle import randomised


class Resampler(nn.Module):
    """An autoencoder without context: every latent position is the mean of its pixels."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(()))
        self.largest = 0

    def encode(self, pixels: Tensor) -> Tensor:
        self.largest = max(self.largest, pixels.shape[2], pixels.shape[3])
        return F.avg_pool2d(pixels, 8)

    def decode(self, latent: Tensor) -> Tensor:
        self.largest = max(self.largest, latent.shape[2], latent.shape[3])
        return F.interpolate(latent, scale_factor=8.0)


@pytest.fixture
def plain() -> Autoencoder:
    return Autoencoder(Resampler(), channels=3)


@pytest.fixture
def kl() -> Autoencoder:
    network = AutoencoderKL(AutoencoderConfig(4, (32, 32, 64, 64), 1, quantised=True))
    randomised(network)
    return Autoencoder(network, source="small.safetensors")


def test_a_picture_comes_back_from_an_autoencoder_that_loses_nothing(plain: Autoencoder):
    image = torch.rand(2, 3, 4, 3).repeat_interleave(8, 1).repeat_interleave(8, 2)
    latent = encode(plain, image)
    assert latent.shape == (2, 3, 3, 4)
    torch.testing.assert_close(decode(plain, latent), image)


def test_pictures_are_cropped_around_the_centre(plain: Autoencoder):
    image = torch.zeros(1, 20, 30, 3)
    image[:, 2:18, 3:27] = 1
    latent = encode(plain, image)
    assert latent.shape == (1, 3, 2, 3)
    assert torch.all(latent == 1)


def test_a_picture_smaller_than_one_position_is_refused(plain: Autoencoder):
    with pytest.raises(ValueError, match="30x7 is too small"):
        encode(plain, torch.zeros(1, 7, 30, 3))


def test_an_alpha_channel_is_ignored(plain: Autoencoder):
    image = torch.rand(1, 16, 16, 4)
    torch.testing.assert_close(encode(plain, image), encode(plain, image[..., :3]))


def test_decoded_pictures_stay_within_range(plain: Autoencoder):
    image = decode(plain, torch.full((1, 3, 2, 2), 5.0))
    assert image.shape == (1, 16, 16, 3)
    assert torch.all(image == 1)


def test_a_batch_is_the_same_as_its_members_one_by_one(kl: Autoencoder):
    latent = torch.randn(3, 4, 4, 5)
    together = decode(kl, latent)
    torch.testing.assert_close(together, torch.cat([decode(kl, latent[i : i + 1]) for i in range(3)]))


def test_tiles_of_an_autoencoder_without_context_join_to_the_whole(plain: Autoencoder):
    latent = torch.rand(1, 3, 23, 37) * 2 - 1
    torch.testing.assert_close(decode_tiled(plain, latent, tile=128, overlap=32), decode(plain, latent))
    image = torch.rand(1, 184, 296, 3)
    torch.testing.assert_close(encode_tiled(plain, image, tile=128, overlap=32), encode(plain, image))


def test_tiles_are_no_larger_than_asked(plain: Autoencoder):
    """Of the three tilings two are stretched to half and twice the size."""
    decode_tiled(plain, torch.rand(1, 3, 50, 50), tile=128, overlap=32)
    assert plain.network.largest == 32
    encode_tiled(plain, torch.rand(1, 400, 400, 3), tile=128, overlap=32)
    assert plain.network.largest == 256


def test_tiled_and_whole_results_of_a_real_network_are_close(kl: Autoencoder):
    latent = torch.randn(1, 4, 20, 24)
    whole, tiled = decode(kl, latent), decode_tiled(kl, latent, tile=96, overlap=32)
    assert whole.shape == tiled.shape
    # Not equal: group norms see one tile at a time.
    assert (whole - tiled).abs().mean() < 0.2 * whole.std()


def test_a_latent_of_another_model_line_is_refused(kl: Autoencoder):
    with pytest.raises(ValueError, match=r"16 channels; the autoencoder small\.safetensors decodes 4"):
        decode(kl, torch.randn(1, 16, 4, 4))


def test_a_picture_that_is_not_a_number_is_an_error(kl: Autoencoder):
    latent = torch.randn(1, 4, 4, 4)
    latent[0, 0, 0, 0] = torch.nan
    with pytest.raises(NotFinite, match=r"NaN.*small\.safetensors.*float32"):
        decode(kl, latent)


def test_half_precision_networks_take_and_give_float32(kl: Autoencoder):
    image = torch.rand(1, 32, 32, 3)
    expected = encode(kl, image)
    kl.network.bfloat16()
    latent = encode(kl, image)
    assert latent.dtype == torch.float32
    assert (latent - expected).abs().max() < 0.1 * expected.std()


def test_tiles_fade_into_each_other_linearly():
    """Two tiles, 0 and 1, that overlap by 4: the result climbs evenly from the one to the other."""
    tiles = iter([0.0, 1.0])
    joined = run_tiled(lambda x: torch.full_like(x, next(tiles)), torch.zeros(1, 1, 1, 12), (1, 8), 4)
    expected = torch.tensor([0, 0, 0, 0, 0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1])
    torch.testing.assert_close(joined.flatten(), expected)


def test_tiles_are_counted_beforehand():
    sizes: list[torch.Size] = []

    def keep(x: Tensor) -> Tensor:
        sizes.append(x.shape)
        return x

    run_tiled(keep, torch.zeros(1, 1, 30, 70), (16, 32), 8)
    assert len(sizes) == count_tiles((30, 70), (16, 32), 8)


def test_tiles_cannot_overlap_by_their_whole_size():
    with pytest.raises(ValueError, match="cannot overlap"):
        run_tiled(lambda x: x, torch.zeros(1, 1, 64, 64), (16, 16), 16)
