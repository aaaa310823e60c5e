"""What a perfect network would answer, turned back into the clean latent."""

import math
from typing import Any

import pytest
import torch

from diffusion.families.prediction import BetaSchedule, EdmSchedule, FlowSchedule, PredictionSpec
from diffusion.sampling.prediction import Consistency, CosmosFlow, Edm, Eps, Flow, ImageToImage, Sample, Velocity
from diffusion.sampling.process import cascade, continuous_edm, continuous_v, discrete, flow, flow_for_size, process_of

CLEAN = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
NOISE = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(2))
SIGMA = torch.tensor([0.4, 3.0]).view(2, 1, 1, 1)
ALPHA = 1 / (1 + SIGMA**2).sqrt()
NOISY = CLEAN + SIGMA * NOISE
SD = PredictionSpec("eps", BetaSchedule())
ABAR_19 = math.prod(1 - (0.00085**0.5 + i / 999 * (0.012**0.5 - 0.00085**0.5)) ** 2 for i in range(20))
TIME = torch.tensor([100.0, 900.0]).view(2, 1, 1, 1)


def edm_target(sigma_data: float) -> torch.Tensor:
    """Karras et al., eq. 8: (clean - c_skip x) / c_out."""
    total = SIGMA**2 + sigma_data**2
    return (CLEAN - NOISY * sigma_data**2 / total) / (SIGMA * sigma_data / total.sqrt())


@pytest.mark.parametrize(
    ("prediction", "answer"),
    [
        (Eps(), NOISE),
        (Velocity(), ALPHA * NOISE - ALPHA * SIGMA * CLEAN),
        (Velocity(0.5), -edm_target(0.5)),
        (Edm(0.5), edm_target(0.5)),
        (Sample(), CLEAN),
        (ImageToImage(), CLEAN),
        (CosmosFlow(), NOISE - CLEAN),
    ],
    ids=["eps", "v", "v of other data", "edm", "sample", "image to image", "cosmos"],
)
def test_the_right_answer_gives_the_clean_latent(prediction: Any, answer: torch.Tensor):
    torch.testing.assert_close(prediction.denoised(NOISY, SIGMA, TIME, answer), CLEAN, rtol=1e-4, atol=1e-4)


def test_the_right_velocity_of_a_flow_gives_the_clean_latent():
    sigma = torch.tensor([0.2, 0.9]).view(2, 1, 1, 1)
    noisy = (1 - sigma) * CLEAN + sigma * NOISE
    torch.testing.assert_close(Flow().denoised(noisy, sigma, TIME, NOISE - CLEAN), CLEAN, rtol=1e-4, atol=1e-5)
    assert Flow().network_input(noisy, sigma) is noisy


def test_a_consistency_model_is_the_identity_at_time_zero():
    zero = torch.zeros(2, 1, 1, 1)
    torch.testing.assert_close(Consistency().denoised(NOISY, SIGMA, zero, NOISE), NOISY)
    far = torch.full((2, 1, 1, 1), 999.0)
    torch.testing.assert_close(Consistency().denoised(NOISY, SIGMA, far, NOISE), CLEAN, rtol=1e-3, atol=1e-3)


def test_networks_are_shown_latents_of_unit_variance():
    for prediction, data in ((Eps(), 1.0), (Velocity(), 1.0), (Edm(0.5), 0.5)):
        shown = prediction.network_input(CLEAN * data + SIGMA * NOISE, SIGMA)
        assert float(shown.std()) == pytest.approx(1.0, abs=0.1)


def test_a_run_starts_from_pure_noise_at_the_highest_level_only():
    eps = Eps()
    torch.testing.assert_close(eps.start(CLEAN, NOISE, 14.6, 14.6), CLEAN + NOISE * math.sqrt(1 + 14.6**2))
    torch.testing.assert_close(
        eps.start(CLEAN, NOISE, 14.6 * (1 + 5e-6), 14.6), CLEAN + NOISE * math.sqrt(1 + 14.6**2), rtol=1e-4, atol=1e-4
    )
    torch.testing.assert_close(eps.start(CLEAN, NOISE, 14.5, 14.6), CLEAN + NOISE * 14.5)
    torch.testing.assert_close(eps.start(CLEAN, NOISE, 20.0, 14.6), CLEAN + NOISE * math.sqrt(401))
    torch.testing.assert_close(Flow().start(CLEAN, NOISE, 0.7, 1.0), 0.3 * CLEAN + 0.7 * NOISE)


def test_a_flow_that_stops_early_is_scaled_so_that_another_run_can_start_from_it():
    x = Flow().start(CLEAN, NOISE, 0.6, 1.0)
    left = Flow().finish(x, 0.6)
    torch.testing.assert_close(Flow().start(left, torch.zeros_like(NOISE), 0.6, 1.0), x)
    assert Eps().finish(x, 3.0) is x


@pytest.mark.parametrize(
    ("spec", "kind", "ends"),
    [
        (discrete(SD, "v_prediction", zero_terminal_snr=True), Velocity, (0.0291672, 4518.76)),
        (discrete(SD, "lcm"), Consistency, (math.sqrt(1 / ABAR_19 - 1), 14.6146)),
        (discrete(PredictionSpec("flow", FlowSchedule()), "x0"), Sample, (0.0291672, 14.6146)),
        (discrete(SD, "img_to_img"), ImageToImage, (0.0291672, 14.6146)),
        (continuous_edm("v_prediction", 120.0, 0.002), Velocity, (0.002, 120.0)),
        (continuous_edm("edm_playground_v2.5", 80.0, 0.002), Edm, (0.002, 80.0)),
        (continuous_edm("cosmos_rflow", 80.0, 0.002), CosmosFlow, (0.002, 80.0)),
        (continuous_v(500.0, 0.03), Velocity, (0.03, 500.0)),
        (flow(SD, 3.0), Flow, (0.003 / 1.002, 1.0)),
        (flow_for_size(flow(SD, 1.0), 1024, 1024), Flow, (math.exp(1.15) / (math.exp(1.15) + 9999), 1.0)),
        (cascade(2.0), Eps, None),
        (PredictionSpec("edm", EdmSchedule(), 0.5), Edm, (0.002, 80.0)),
    ],
)  # fmt: skip
def test_processes_are_what_their_descriptions_say(spec: PredictionSpec, kind: type, ends: tuple[float, float] | None):
    process = process_of(spec)
    assert isinstance(process.prediction, kind)
    if ends is not None:
        assert (process.levels.sigma_min, process.levels.sigma_max) == pytest.approx(ends, rel=1e-3)
    assert (process.levels.sigmas.diff() >= 0).all()
