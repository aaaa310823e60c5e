"""Schedules, lists of sigmas, samplers and noise as graphs pass them around."""

import math
from typing import Any

import pytest
import torch

from diffusion.families.prediction import BetaSchedule
from diffusion.sampling.solvers import SOLVERS
from nodes.sampling_samplers import SAMPLER_NAMES
from tests.nodes import tiny
from tests.nodes.conftest import Call

LEVELS = torch.tensor([8.0, 4.0, 2.0, 1.0, 0.0])


@pytest.fixture(scope="module")
def model():
    return tiny.model()


def sd_sigmas() -> torch.Tensor:
    """sqrt((1 - abar) / abar) of the published betas of Stable Diffusion 1."""
    betas = torch.linspace(BetaSchedule().start ** 0.5, BetaSchedule().end ** 0.5, 1000, dtype=torch.float64) ** 2
    abar = torch.cumprod(1 - betas, 0)
    return ((1 - abar) / abar).sqrt()


def test_the_simple_schedule_takes_every_kth_level(call: Call, model: Any):
    sigmas = call("BasicScheduler", model=model, scheduler="simple", steps=10, denoise=1.0)
    expected = [*sd_sigmas().flip(0)[::100].tolist(), 0.0]
    assert sigmas.tolist() == pytest.approx(expected, rel=1e-5)


def test_less_denoising_keeps_the_end_of_a_longer_schedule(call: Call, model: Any):
    whole = call("BasicScheduler", model=model, scheduler="simple", steps=20, denoise=1.0)
    half = call("BasicScheduler", model=model, scheduler="simple", steps=10, denoise=0.5)
    assert torch.equal(half, whole[-11:])
    assert len(call("BasicScheduler", model=model, scheduler="simple", steps=10, denoise=0.0)) == 0


@pytest.mark.parametrize("name", ["simple", "sgm_uniform", "karras", "exponential", "ddim_uniform", "beta", "normal"])
def test_every_schedule_falls_to_zero(call: Call, model: Any, name: str):
    sigmas = call("BasicScheduler", model=model, scheduler=name, steps=12, denoise=1.0)
    assert (sigmas.diff() < 0).all()
    assert sigmas[-1] == 0


@pytest.mark.parametrize(
    ("id", "sent", "expected"),
    [
        ("KarrasScheduler", {"rho": 2.0}, lambda t: ((1 - t) * 4 + t * 1) ** 2),
        ("ExponentialScheduler", {}, lambda t: 16 ** (1 - t)),
        ("PolyexponentialScheduler", {"rho": 2.0}, lambda t: 16 ** ((1 - t) ** 2)),
    ],
)
def test_schedules_without_a_model_follow_their_formulas(call: Call, id: str, sent: Any, expected: Any):
    sigmas = call(id, steps=5, sigma_max=16.0, sigma_min=1.0, **sent)
    assert sigmas.tolist() == pytest.approx([*(expected(i / 4) for i in range(5)), 0], rel=1e-5)


def test_the_vp_schedule_follows_its_formula(call: Call):
    sigmas = call("VPScheduler", steps=3, beta_d=10.0, beta_min=0.1, eps_s=0.01)
    expected = [math.sqrt(math.expm1(5 * t * t + 0.1 * t)) for t in (1, 0.505, 0.01)]
    assert sigmas.tolist() == pytest.approx([*expected, 0], rel=1e-5)


def test_the_laplace_schedule_passes_its_middle(call: Call):
    sigmas = call("LaplaceScheduler", steps=5, sigma_max=14.6, sigma_min=0.03, mu=1.0, beta=0.5)
    assert sigmas[2].item() == pytest.approx(math.e, rel=1e-3)
    assert (sigmas[:-1].diff() < 0).all()


def test_turbo_steps_are_those_it_was_distilled_on(call: Call, model: Any):
    sigmas = call("SDTurboScheduler", model=model, steps=2, denoise=1.0)
    assert sigmas.tolist() == pytest.approx([sd_sigmas()[999].item(), sd_sigmas()[899].item(), 0], rel=1e-5)


def test_the_beta_schedule_is_symmetric_for_equal_parameters(call: Call, model: Any):
    sigmas = call("BetaSamplingScheduler", model=model, steps=4, alpha=1.0, beta=1.0)  # uniform
    expected = [sd_sigmas()[round(999 * share)].item() for share in (1, 0.75, 0.5, 0.25)]
    assert sigmas.tolist() == pytest.approx([*expected, 0], rel=1e-2)


def test_align_your_steps_is_the_published_table_at_ten_steps(call: Call):
    sigmas = call("AlignYourStepsScheduler", model_type="SD1", steps=10, denoise=1.0)
    assert sigmas[1].item() == pytest.approx(6.4745760956)
    assert len(sigmas) == 11
    assert sigmas[-1] == 0


def test_a_schedule_is_split_and_turned(call: Call):
    high, low = call("SplitSigmas", sigmas=LEVELS, step=1)
    assert (high.tolist(), low.tolist()) == ([8, 4], [4, 2, 1, 0])
    high, low = call("SplitSigmasDenoise", sigmas=LEVELS, denoise=0.5)
    assert (high.tolist(), low.tolist()) == ([8, 4, 2], [2, 1, 0])
    assert call("FlipSigmas", sigmas=LEVELS).tolist() == pytest.approx([0.0001, 1, 2, 4, 8])
    assert call("SetFirstSigma", sigmas=LEVELS, sigma=9.0).tolist() == [9, 4, 2, 1, 0]
    assert LEVELS[0] == 8


def test_steps_between_two_levels_are_divided(call: Call):
    sent = {"steps": 2, "start_at_sigma": 5.0, "end_at_sigma": 1.5, "spacing": "linear"}
    assert call("ExtendIntermediateSigmas", sigmas=LEVELS, **sent).tolist() == [8, 4, 3, 2, 1.5, 1, 0]


def test_a_share_of_the_sampling_is_a_noise_level(call: Call, model: Any):
    half = call("SamplingPercentToSigma", model=model, sampling_percent=0.5, return_actual_sigma=False)
    table = sd_sigmas().log()
    assert half == pytest.approx(math.exp((table[499] + table[500]).item() / 2), rel=1e-4)
    first = call("SamplingPercentToSigma", model=model, sampling_percent=0.0, return_actual_sigma=True)
    assert first == pytest.approx(sd_sigmas()[-1].item(), rel=1e-5)


@pytest.mark.parametrize("name", SAMPLER_NAMES)
def test_every_sampler_is_found_by_its_name(call: Call, name: str):
    assert call("KSamplerSelect", sampler_name=name).solver is SOLVERS[name]


@pytest.mark.parametrize(
    ("id", "solver", "options"),
    [
        ("SamplerEulerAncestral", "euler_ancestral", {"eta": 0.5, "s_noise": 0.9}),
        ("SamplerEulerAncestralCFGPP", "euler_ancestral_cfg_pp", {"eta": 0.5, "s_noise": 0.9}),
        ("SamplerEulerCFGpp", "euler_cfg_pp", {"version": "alternative"}),
        ("SamplerLMS", "lms", {"order": 2}),
        ("SamplerDPMAdaptative", "dpm_adaptive", {"order": 2, "rtol": 0.1, "atol": 0.01, "eta": 0.5}),
        ("SamplerDPMPP_2S_Ancestral", "dpmpp_2s_ancestral", {"eta": 0.5, "s_noise": 0.9}),
        ("SamplerER_SDE", "er_sde", {"solver_type": "ODE", "max_stage": 2, "eta": 0.5, "s_noise": 0.9}),
    ],
)
def test_samplers_carry_their_options(call: Call, id: str, solver: str, options: dict[str, Any]):
    made = call(id, **options)
    assert made.solver is SOLVERS[solver]
    assert options.items() <= made.options.items()


@pytest.mark.parametrize("device", ["cpu", "gpu"])
@pytest.mark.parametrize(
    ("id", "solver", "options"),
    [
        ("SamplerDPMPP_SDE", "dpmpp_sde", {"eta": 0.5, "s_noise": 0.9, "r": 0.4}),
        ("SamplerDPMPP_2M_SDE", "dpmpp_2m_sde", {"solver_type": "heun", "eta": 0.5, "s_noise": 0.9}),
        ("SamplerDPMPP_3M_SDE", "dpmpp_3m_sde", {"eta": 0.5, "s_noise": 0.9}),
    ],
)
def test_brownian_noise_is_drawn_where_asked(call: Call, id: str, solver: str, options: dict[str, Any], device: str):
    made = call(id, noise_device=device, **options)
    assert made.solver is SOLVERS[f"{solver}_gpu" if device == "gpu" else solver]
    assert dict(made.options) == options


def test_the_stochastic_adams_solver_carries_its_options(call: Call, model: Any):
    made = call("SamplerSASolver", model=model, use_pece=True, simple_order_2=False, predictor_order=2)
    assert made.solver is SOLVERS["sa_solver"]
    assert (made.options["use_pece"], made.options["predictor_order"], made.options["eta"]) == (True, 2, 1.0)


def test_a_sampler_whose_latent_grows_carries_how_far(call: Call):
    made = call("SamplerLCMUpscale", scale_ratio=1.5, scale_steps=2, upscale_method="bislerp")
    assert (made.options["scale_ratio"], made.options["scale_steps"]) == (1.5, 2)
    assert made.options["upscale_method"] == "bislerp"


def test_one_seed_is_one_noise(call: Call):
    noise = call("RandomNoise", noise_seed=0)
    drawn = noise.generate_noise({"samples": torch.zeros(1, 4, 8, 8)})
    # The first numbers of torch's CPU generator for seed 0.
    assert drawn.flatten()[:4].tolist() == pytest.approx([-1.12583983, -1.15236020, -0.25057858, -0.43387881])
    assert noise.seed == 0


def test_a_latent_out_of_a_batch_gets_the_noise_it_would_have_had(call: Call):
    noise = call("RandomNoise", noise_seed=7)
    batch = noise.generate_noise({"samples": torch.zeros(3, 4, 8, 8)})
    alone = noise.generate_noise({"samples": torch.zeros(1, 4, 8, 8), "batch_index": [2]})
    assert torch.equal(alone[0], batch[2])


def test_noise_can_be_left_out(call: Call):
    assert call("DisableNoise").generate_noise({"samples": torch.ones(1, 4, 8, 8)}).abs().max() == 0
