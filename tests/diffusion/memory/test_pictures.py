"""Whole pictures from a checkpoint, on a card with less memory than its weights."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from diffusion import autoencode
from diffusion.families.sd15 import SD15
from diffusion.families.sdxl import SDXL
from diffusion.handles import ControlNet
from diffusion.memory.conveyor import BUFFERS
from diffusion.memory.keeper import keep
from diffusion.memory.leaves import leaves_of
from diffusion.memory.pretend import PretendDevice
from diffusion.memory.residency import Policy, Residency
from diffusion.models.controlnet import ControlNet as ControlNetwork
from diffusion.sampling.conditioning import Condition
from diffusion.sampling.control import ControlLink
from diffusion.sampling.noise import initial_noise
from diffusion.sampling.process import process_of
from diffusion.sampling.sample import sample
from diffusion.sampling.schedules import schedule
from diffusion.sampling.solvers import sampler
from diffusion.store import Keepers, Loaded, ModelStore, Precision
from diffusion.text.encode import encode, prompt_tokens
from tests.diffusion.tiny import randomised, tiny, unet_config

PLENTY = 2**40
STEPS = 3


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("checkpoints")
    paths = {family.name: folder / f"{number}.safetensors" for number, family in enumerate((SD15, SDXL))}
    for family in (SD15, SDXL):
        tensors = {name: tensor.contiguous() for name, tensor in tiny(family).checkpoint().items()}
        save_file(tensors, paths[family.name])
    return paths


def loaded(path: Path, keeper: Residency | None = None) -> Loaded:
    keepers = Keepers() if keeper is None else Keepers(keeper)
    return ModelStore(Precision(torch.float32, torch.float16, torch.float32), keepers=keepers).checkpoint(path)


def picture(parts: Loaded, control: Any = None) -> Tensor:
    """Text, noise, a few steps, a picture."""
    assert parts.text_encoders is not None
    assert parts.autoencoder is not None
    model = parts.model
    prompts = [encode(parts.text_encoders, prompt_tokens(parts.text_encoders, text)) for text in ("a (cat:1.3)", "")]
    positive, negative = (Condition(each.context, each.pooled, control=control) for each in prompts)
    solver = sampler("euler")
    sigmas = schedule(process_of(model.prediction).levels, "normal", STEPS)
    latent = torch.zeros(1, 4, 8, 8)
    noise = initial_noise(latent.shape, 1)
    made = sample(model, latent, noise, [positive], [negative], 4.0, solver, sigmas, seed=1)
    return autoencode.decode(parts.autoencoder, made)


def parts_of(parts: Loaded) -> list[torch.nn.Module]:
    assert parts.text_encoders is not None
    assert parts.autoencoder is not None
    return [parts.model.network, parts.autoencoder.network, *parts.text_encoders.networks.values()]


@pytest.mark.parametrize("family", ["SD 1.x", "SDXL"])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.75, 1.0])
def test_a_picture_does_not_depend_on_how_much_of_the_weights_fits(files: dict[str, Path], family: str, share: float):
    expected = picture(loaded(files[family]))
    weights = sum(leaf.bytes for network in parts_of(loaded(files[family])) for leaf in leaves_of(network))
    leaf = max(leaf.bytes for network in parts_of(loaded(files[family])) for leaf in leaves_of(network))
    activations = 40 * 2**20  # of the decoder, as estimated; a step takes less
    capacity = int(share * weights) + activations + BUFFERS * leaf
    device = PretendDevice(capacity)
    told: list[str] = []
    keeper = Residency(device, tell=told.append)
    parts = loaded(files[family], keeper)
    with device.computing() as watch:
        assert torch.equal(picture(parts), expected)
        before = device.ledger.moved
        assert torch.equal(picture(parts), expected)
        assert watch.peak <= capacity
    if share == 1.0:
        assert device.ledger.moved == before
        assert told == []
    device.close()


def test_a_control_network_runs_beside_the_model_it_controls(files: dict[str, Path]):
    network = randomised(ControlNetwork(unet_config(SD15)), 4).eval().requires_grad_(False)
    link = ControlLink(ControlNet(network), torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(5)))
    expected = picture(loaded(files["SD 1.x"]), link)
    assert not torch.equal(expected, picture(loaded(files["SD 1.x"])))
    keeper = Residency(PretendDevice(PLENTY), Policy(share=0.0))
    keep(network, keeper, "ControlNet")
    assert torch.equal(picture(loaded(files["SD 1.x"], keeper), link), expected)


def test_conditions_are_answered_one_at_a_time_where_both_do_not_fit(files: dict[str, Path]):
    parts = loaded(files["SD 1.x"])
    told: list[str] = []
    device = PretendDevice(PLENTY)
    model = replace(parts.model, family=replace(SD15, activation_factor=1000.0))
    needed = 0.01 * 2**20 * 1000 * 8 * 8 * 4  # for one condition, as estimated
    keeper = Residency(device, Policy(reserve=PLENTY - int(1.5 * needed)), tell=told.append)
    keep(model.network, keeper, "network")
    made, expected = picture(parts._replace(model=model)), picture(loaded(files["SD 1.x"]))
    assert torch.allclose(made, expected, atol=1e-4)
    assert told == ["SD 1.x sampling one condition at a time: 5.0 GB needed, 3.8 GB free"]


def test_a_picture_is_decoded_by_tiles_where_the_whole_does_not_fit(files: dict[str, Path]):
    vae = loaded(files["SD 1.x"]).autoencoder
    assert vae is not None
    latent = torch.randn(1, 4, 40, 32, generator=torch.Generator().manual_seed(1))
    told: list[str] = []
    keep(vae.network, Residency(PretendDevice(200 * 2**20), tell=told.append), "VAE")
    small = autoencode.decode(vae, latent)
    assert small.shape == (1, 320, 256, 3)
    assert told == ["VAE decode in 26 tiles: 0.3 GB needed, 0.2 GB free"]
    assert torch.equal(small, autoencode.decode_tiled(vae, latent, 128, 16))
