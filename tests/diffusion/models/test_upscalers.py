"""Upscaling networks, against the same arithmetic written straight over a file's tensors."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from diffusion.models.rrdb import RRDBConfig, RRDBNet, read_rrdb_config, rrdb_names
from diffusion.models.srvgg import SRVGG, SRVGGConfig, read_srvgg_config
from diffusion.upscale import upscale
from tests.diffusion import inventory
from tests.diffusion.models.oracle import TOLERANCE, randomised, relative_error

RRDB_FILES = {
    "upscaler_esrgan_old_x1": RRDBConfig(3, 3, 64, 32, 23, doublings=0),
    "upscaler_esrgan_old_x2": RRDBConfig(3, 3, 64, 32, 23, doublings=1),
    "upscaler_esrgan_old_x4": RRDBConfig(3, 3, 64, 32, 23, doublings=2),
    "upscaler_realesrgan_x2plus": RRDBConfig(3, 3, 64, 32, 23, doublings=2, shrink=2),
    "upscaler_realesrgan_x4plus": RRDBConfig(3, 3, 64, 32, 23, doublings=2),
    "upscaler_realesrgan_x4plus_anime_6b": RRDBConfig(3, 3, 64, 32, 6, doublings=2),
}
SCALES = {"upscaler_esrgan_old_x1": 1, "upscaler_esrgan_old_x2": 2, "upscaler_realesrgan_x2plus": 2}


@pytest.mark.parametrize("name", RRDB_FILES)
def test_an_rrdb_network_has_exactly_the_tensors_of_the_file(name: str):
    shapes = inventory.shapes(name)
    names = rrdb_names(shapes) or {key: key for key in shapes}
    renamed = {ours: shapes[key] for key, ours in names.items()}
    config = read_rrdb_config(renamed)
    assert config is not None
    assert config == RRDB_FILES[name]
    assert config.scale == SCALES.get(name, 4)
    with torch.device("meta"):
        network = RRDBNet(config)
    assert {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()} == renamed


def test_esrgans_second_naming_is_known():
    current = inventory.shapes("upscaler_realesrgan_x4plus")
    second = {
        key.replace("body.", "RRDB_trunk.", key.startswith("body."))
        .replace("rdb", "RDB")
        .replace("conv_body", "trunk_conv")
        .replace("conv_up", "upconv")
        .replace("conv_hr", "HRconv"): shape
        for key, shape in current.items()
    }
    names = rrdb_names(second)
    assert names is not None
    assert {ours: second[key] for key, ours in names.items()} == current


@pytest.mark.parametrize("name", inventory.names())
def test_only_upscalers_are_taken_for_upscalers(name: str):
    shapes = inventory.shapes(name)
    assert (rrdb_names(shapes) is not None) == name.startswith("upscaler_esrgan_old")
    assert (read_rrdb_config(shapes) is not None) == name.startswith("upscaler_realesrgan")
    assert (read_srvgg_config(shapes) is not None) == (name == "upscaler_realesr_general_x4v3")


def conv(weights: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1)


def rrdb_by_hand(weights: dict[str, Tensor], x: Tensor, blocks: int, doublings: int) -> Tensor:
    first = x = conv(weights, "conv_first", x)
    for block in range(blocks):
        before_block = x
        for dense in (1, 2, 3):
            grown = [x]
            for i in (1, 2, 3, 4):
                step = conv(weights, f"body.{block}.rdb{dense}.conv{i}", torch.cat(grown, 1))
                grown.append(F.leaky_relu(step, 0.2))
            x = x + 0.2 * conv(weights, f"body.{block}.rdb{dense}.conv5", torch.cat(grown, 1))
        x = before_block + 0.2 * x
    x = first + conv(weights, "conv_body", x)
    for i in range(doublings):
        x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
        x = F.leaky_relu(conv(weights, f"conv_up{i + 1}", x), 0.2)
    return conv(weights, "conv_last", F.leaky_relu(conv(weights, "conv_hr", x), 0.2))


@pytest.mark.parametrize("doublings", [0, 1, 2, 3])
def test_an_rrdb_network_computes_what_the_paper_says(doublings: int):
    network = RRDBNet(RRDBConfig(3, 3, 16, 8, 2, doublings))
    randomised(network)
    pixels = torch.rand(2, 3, 6, 9)
    expected = rrdb_by_hand(dict(network.state_dict()), pixels, 2, doublings)
    assert network(pixels).shape == (2, 3, 6 * network.scale, 9 * network.scale)
    assert relative_error(network(pixels), expected) < TOLERANCE


def test_with_shrinking_pixels_become_channels_first():
    network = RRDBNet(RRDBConfig(3, 3, 16, 8, 2, doublings=2, shrink=2))
    randomised(network)
    pixels = torch.rand(1, 3, 6, 8)
    corners = pixels.unfold(2, 2, 2).unfold(3, 2, 2)  # (B, 3, 3, 4, 2, 2)
    channels = corners.permute(0, 1, 4, 5, 2, 3).reshape(1, 12, 3, 4)
    assert relative_error(network(pixels), rrdb_by_hand(dict(network.state_dict()), channels, 2, 2)) < TOLERANCE
    assert network(pixels).shape == (1, 3, 12, 16)


def test_the_compact_network_has_exactly_the_tensors_of_the_file():
    shapes = inventory.shapes("upscaler_realesr_general_x4v3")
    config = read_srvgg_config(shapes)
    assert config == SRVGGConfig(3, 64, 32, 4)
    assert {key: tuple(tensor.shape) for key, tensor in SRVGG(SRVGGConfig(3, 64, 32, 4)).state_dict().items()} == shapes


def test_the_compact_network_adds_details_to_the_enlarged_picture():
    network = SRVGG(SRVGGConfig(3, 8, 2, 2))
    randomised(network)
    weights = dict(network.state_dict())
    pixels = torch.rand(1, 3, 4, 5)
    x = pixels
    for i in (0, 2, 4):
        x = conv(weights, f"body.{i}", x)
        x = torch.where(x > 0, x, x * weights[f"body.{i + 1}.weight"].view(-1, 1, 1))
    x = conv(weights, "body.6", x).view(1, 3, 2, 2, 4, 5)  # channel, row and column within the pixel
    expected = x.permute(0, 1, 4, 2, 5, 3).reshape(1, 3, 8, 10)
    expected = expected + pixels.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert relative_error(network(pixels), expected) < TOLERANCE


class Doubling(torch.nn.Module):
    """Enlarges plainly; runs out of memory above a certain size."""

    def __init__(self, most: int):
        super().__init__()
        self.most = most
        self.unused = torch.nn.Parameter(torch.zeros(()))
        self.sizes: list[tuple[int, ...]] = []

    def forward(self, x: Tensor) -> Tensor:
        if max(x.shape[2:]) > self.most:
            raise torch.OutOfMemoryError
        self.sizes.append(tuple(x.shape[2:]))
        return F.interpolate(x, scale_factor=2.0)


def test_a_large_picture_is_enlarged_by_tiles_without_seams():
    image = torch.rand(1, 700, 530, 3)
    network, told = Doubling(512), list[tuple[int, int]]()
    enlarged = upscale(network, image, lambda done, total: told.append((done, total)))
    expected = image.repeat_interleave(2, 1).repeat_interleave(2, 2)
    torch.testing.assert_close(enlarged, expected)
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_tiles_are_halved_when_memory_runs_out():
    network = Doubling(200)
    upscale(network, torch.rand(1, 300, 256, 3))
    assert max(max(size) for size in network.sizes) == 128


def test_when_the_smallest_tiles_do_not_fit_it_gives_up():
    with pytest.raises(torch.OutOfMemoryError):
        upscale(Doubling(100), torch.rand(1, 300, 256, 3))
