"""A picture of a transformer, with its text encoders, is the same however much of the weights fits on the card."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from diffusion import autoencode
from diffusion.memory.pretend import PretendDevice
from diffusion.memory.residency import Policy, Residency
from diffusion.sampling.conditioning import Condition
from diffusion.sampling.noise import initial_noise
from diffusion.sampling.process import process_of
from diffusion.sampling.sample import sample
from diffusion.sampling.schedules import simple
from diffusion.sampling.solvers import sampler
from diffusion.store import Keepers, Loaded, ModelStore, Precision
from diffusion.text.encode import encode, prompt_tokens
from tests.diffusion.tiny_transformers import FAMILIES, tiny_transformer


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("checkpoints")
    paths = {family.name: folder / f"{family.name}.safetensors" for family in FAMILIES}
    for family in FAMILIES:
        save_file(tiny_transformer(family).checkpoint(), paths[family.name])
    return paths


def loaded(path: Path, keeper: Residency | None = None) -> Loaded:
    keepers = Keepers() if keeper is None else Keepers(keeper)
    return ModelStore(Precision(torch.float32, torch.float32, torch.float32), keepers=keepers).checkpoint(path)


def picture(parts: Loaded) -> Tensor:
    assert parts.text_encoders is not None
    assert parts.autoencoder is not None
    prompts = [encode(parts.text_encoders, prompt_tokens(parts.text_encoders, text)) for text in ("a (cat:1.3)", "")]
    positive, negative = (Condition(each.context, each.pooled) for each in prompts)
    latent = torch.zeros(1, 16, 8, 8)
    sigmas = simple(process_of(parts.model.prediction).levels, 2)
    noise = initial_noise(latent.shape, 1)
    made = sample(parts.model, latent, noise, [positive], [negative], 2.0, sampler("euler"), sigmas)
    return autoencode.decode(parts.autoencoder, made)


@pytest.mark.parametrize("family", [family.name for family in FAMILIES])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_picture_does_not_depend_on_how_much_of_the_weights_fits(files: dict[str, Path], family: str, share: float):
    """But for the last bits: how a product with a single row rounds depends on where in memory its matrix lies."""
    expected = picture(loaded(files[family]))
    device = PretendDevice(2**40)
    made = picture(loaded(files[family], Residency(device, Policy(share=share))))
    assert device.ledger.moved > 0
    assert torch.allclose(made, expected, rtol=0, atol=1e-5)
    device.close()
