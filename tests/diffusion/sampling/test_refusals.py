"""What cannot give a picture is refused before the first step, with the file, what it is, and what was expected."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch

from diffusion.handles import Model
from diffusion.sampling.checks import DamagedWeights
from diffusion.sampling.conditioning import Condition
from diffusion.sampling.sample import sample
from diffusion.sampling.solvers import sampler
from tests.diffusion.sampling import tiny

SIGMAS = torch.tensor([8.0, 2.0, 0.0])
LATENT = torch.zeros(1, 4, 8, 8)
LAYER = "input_blocks.1.0.in_layers.2.weight"


class Untouched(torch.nn.Module):
    """A network that must not be asked."""

    def __init__(self, network: torch.nn.Module):
        super().__init__()
        self.inner = network

    def forward(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("the network was run")


def untouched(model: Model) -> Model:
    return replace(model, network=Untouched(model.network))


def run(model: Model, positive: Condition, latent: torch.Tensor = LATENT, noise: torch.Tensor | None = None) -> None:
    noise = torch.randn_like(latent) if noise is None else noise
    sample(untouched(model), latent, noise, [positive], [tiny.text(2)], 4.0, sampler("euler"), SIGMAS)


@pytest.mark.parametrize(
    ("dtype", "bad"),
    [
        *product((torch.float32, torch.float16, torch.float8_e5m2), (torch.nan, torch.inf, -torch.inf)),
        (torch.float8_e4m3fn, torch.nan),  # which has no infinity
    ],
)
def test_weights_that_are_no_numbers(dtype: torch.dtype, bad: float):
    model = tiny.model()
    weight = model.network.get_parameter(LAYER).clone()
    weight.view(-1)[5] = bad
    model.network.get_parameter(LAYER).data = weight.to(dtype)
    with pytest.raises(DamagedWeights, match=rf"^tiny\.safetensors: 1 tensors hold NaN .*{LAYER}"):
        run(model, tiny.text(1))


def test_weights_are_looked_through_once():
    model = untouched(tiny.model())
    with pytest.raises(AssertionError, match="the network was run"):
        sample(model, LATENT, LATENT, [tiny.text(1)], [], 1.0, sampler("euler"), SIGMAS)
    model.network.get_parameter(f"inner.{LAYER}").data.fill_(torch.nan)
    with pytest.raises(AssertionError, match="the network was run"):
        sample(model, LATENT, LATENT, [tiny.text(1)], [], 1.0, sampler("euler"), SIGMAS)


def test_a_text_for_another_model():
    wide = Condition(torch.zeros(1, 77, 2048))
    expected = (
        r"^tiny\.safetensors is SD 1\.x and reads a text of width 16; this one has width 2048, as that for SDXL: "
        "encode the prompt with the text encoder of this model"
    )
    with pytest.raises(ValueError, match=expected):
        run(tiny.model(), wide)


def test_a_pooled_text_for_another_model():
    model = tiny.model(pooled_width=32)
    with pytest.raises(ValueError, match=r"is SDXL and needs a vector of width 1568 .* it is 1552"):
        run(model, tiny.text(1, pooled=torch.zeros(1, 16)))


def test_a_text_that_is_not_made_of_numbers():
    with pytest.raises(ValueError, match="The encoded text holds NaN"):
        run(tiny.model(), Condition(torch.full((1, 7, tiny.CONTEXT_WIDTH), torch.nan)))
    with pytest.raises(ValueError, match="The encoded pooled text holds NaN"):
        run(tiny.model(), tiny.text(1, pooled=torch.full((1, 16), torch.inf)))


def test_a_latent_or_noise_that_is_not_made_of_numbers():
    with pytest.raises(ValueError, match="The latent to sample from holds NaN"):
        run(tiny.model(), tiny.text(1), LATENT + torch.nan)
    with pytest.raises(ValueError, match="The noise to sample from holds NaN"):
        run(tiny.model(), tiny.text(1), noise=LATENT + torch.inf)
