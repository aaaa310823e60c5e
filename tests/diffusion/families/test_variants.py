"""Files of identical shapes may predict different things; what tells them apart."""

import pytest
import torch

from diffusion import latents
from diffusion.families.prediction import BetaSchedule, EdmSchedule
from diffusion.families.sd2 import SD2
from diffusion.families.sd15 import SD15
from diffusion.families.sdxl import SDXL

EMPTY = torch.zeros(0)


def test_sd1_predicts_eps_in_its_own_latent_space():
    variant = SD15.variant({})
    assert variant.prediction.kind == "eps"
    assert variant.prediction.schedule == BetaSchedule(0.00085, 0.012, "scaled_linear", 1000)
    assert variant.latent is latents.SD15


@pytest.mark.parametrize(("spread", "kind"), [(0.03, "eps"), (0.089, "eps"), (0.091, "v"), (0.2, "v")])
def test_sd2_is_told_by_the_spread_of_one_bias(spread: float, kind: str):
    bias = torch.tensor([-spread, spread]).repeat(160).half()
    variant = SD2.variant({"output_blocks.11.1.transformer_blocks.0.norm1.bias": bias})
    assert variant.prediction.kind == kind


def test_a_small_sd2_without_that_bias_predicts_eps():
    assert SD2.variant({}).prediction.kind == "eps"


@pytest.mark.parametrize(
    ("markers", "kind", "schedule"),
    [
        ((), "eps", BetaSchedule()),
        (("v_pred",), "v", BetaSchedule()),
        (("v_pred", "ztsnr"), "v", BetaSchedule(zero_terminal_snr=True)),
    ],
)
def test_sdxl_fine_tunes_say_by_markers_what_they_predict(markers: tuple[str, ...], kind: str, schedule: BetaSchedule):
    variant = SDXL.variant(dict.fromkeys(markers, EMPTY))
    assert (variant.prediction.kind, variant.prediction.schedule) == (kind, schedule)
    assert variant.latent is latents.SDXL


def test_cosxl_carries_its_range_of_noise_levels():
    markers = {"edm_vpred.sigma_max": torch.tensor(120.0), "edm_vpred.sigma_min": torch.tensor(0.002)}
    prediction = SDXL.variant(markers).prediction
    assert prediction.kind == "v"
    assert isinstance(prediction.schedule, EdmSchedule)
    assert prediction.schedule.sigma_max == 120.0
    assert prediction.schedule.sigma_min == pytest.approx(0.002)


def test_playground_carries_the_mean_and_deviation_of_its_latents():
    mean, std = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([2.0, 4.0, 5.0, 8.0])
    variant = SDXL.variant({"edm_mean": mean.view(1, 4, 1, 1), "edm_std": std.view(1, 4, 1, 1)})
    assert (variant.prediction.kind, variant.prediction.sigma_data) == ("edm", 0.5)
    latent = torch.randn(2, 4, 3, 3)
    expected = (latent - mean.view(4, 1, 1)) * 0.5 / std.view(4, 1, 1)
    torch.testing.assert_close(variant.latent.to_model(latent), expected)


def test_empty_playground_markers_mean_the_published_numbers():
    assert SDXL.variant({"edm_mean": EMPTY, "edm_std": EMPTY}).latent == latents.PLAYGROUND
