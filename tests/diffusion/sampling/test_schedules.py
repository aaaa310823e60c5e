"""Schedules and noise levels: closed forms, published numbers, and diffusers where it has the same."""

import math

import pytest
import torch
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler
from diffusers.schedulers.scheduling_utils import AysSchedules

from diffusion.families.prediction import BetaSchedule, EdmSchedule, PredictionSpec
from diffusion.sampling import sigmas as lists
from diffusion.sampling.levels import UNREACHED, Levels, flow_mu
from diffusion.sampling.process import cascade, continuous_edm, continuous_v, discrete, flow, flow_for_size, process_of
from diffusion.sampling.schedules import (
    SCHEDULES,
    align_your_steps,
    exponential,
    karras,
    laplace,
    ltxv,
    polyexponential,
    schedule,
    sd_turbo,
    variance_preserving,
)

SD = PredictionSpec("eps", BetaSchedule())
FLOW_LEVELS = process_of(flow(SD, 3.0)).levels
SD_LEVELS = process_of(SD).levels

SIX_STEPS = {
    "normal": [14.6146, 5.0924, 2.2797, 1.1629, 0.5712, 0.0292, 0],
    "simple": [14.6146, 5.9631, 2.9183, 1.6129, 0.9324, 0.4924, 0],
    "sgm_uniform": [14.6146, 5.9489, 2.9183, 1.6156, 0.9324, 0.4936, 0],
    "karras": [14.6146, 6.0822, 2.2322, 0.6926, 0.1698, 0.0292, 0],
    "exponential": [14.6146, 4.2151, 1.2157, 0.3506, 0.1011, 0.0292, 0],
    "ddim_uniform": [14.4386, 5.9064, 2.9071, 1.6129, 0.9324, 0.4947, 0.0413, 0],
    "beta": [14.6146, 8.7078, 3.6758, 1.6183, 0.7624, 0.3235, 0],
    "linear_quadratic": [14.6146, 14.4929, 14.3711, 14.2493, 12.5848, 7.8351, 0],
    "kl_optimal": [14.6146, 2.6329, 1.2948, 0.7116, 0.3356, 0.0292, 0],
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_six_steps_of_stable_diffusion_are_the_known_numbers(name: str):
    assert schedule(SD_LEVELS, name, 6).tolist() == pytest.approx(SIX_STEPS[name], abs=1e-4)


def test_six_steps_of_sd3_are_the_known_numbers():
    assert schedule(FLOW_LEVELS, "normal", 6).tolist() == pytest.approx(
        [1, 0.9233, 0.8189, 0.6683, 0.4322, 0.0089, 0], abs=1e-4
    )
    assert schedule(FLOW_LEVELS, "simple", 6).tolist() == pytest.approx(
        [1, 0.9378, 0.8573, 0.75, 0.6007, 0.3756, 0], abs=1e-4
    )


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("levels", [SD_LEVELS, FLOW_LEVELS], ids=["sd", "flow"])
@pytest.mark.parametrize("steps", [1, 2, 5, 20, 150, 1000])
def test_every_schedule_falls_to_zero_in_finite_steps(name: str, levels: Levels, steps: int):
    sigmas = schedule(levels, name, steps)
    assert sigmas.dtype == torch.float32
    assert torch.isfinite(sigmas).all()
    assert sigmas[-1] == 0
    assert (sigmas.diff() <= 0).all()
    assert float(sigmas[0]) <= levels.sigma_max * (1 + 1e-5)
    if name not in ("ddim_uniform", "beta"):  # these two do not promise the number
        assert len(sigmas) == steps + 1


def test_the_ends_of_the_noise_levels_are_the_published_ones():
    assert (SD_LEVELS.sigma_min, SD_LEVELS.sigma_max) == pytest.approx((0.0291672, 14.614641), abs=1e-6)
    for betas, ends in (
        (BetaSchedule(1e-4, 0.02, "linear"), (0.0100005, 157.407)),
        (BetaSchedule(0.00085, 0.018), (0.0291672, 45.3836)),
        (BetaSchedule(0.00085, 0.03), (0.0291672, 419.879)),
        (BetaSchedule(zero_terminal_snr=True), (0.0291672, 4518.76)),
    ):
        levels = process_of(PredictionSpec("v", betas)).levels
        assert (levels.sigma_min, levels.sigma_max) == pytest.approx(ends, rel=1e-5)


def test_zero_terminal_snr_is_the_rescaling_that_diffusers_has():
    theirs = EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", rescale_betas_zero_snr=True
    )
    abar = theirs.alphas_cumprod.double()
    ours = process_of(PredictionSpec("v", BetaSchedule(zero_terminal_snr=True))).levels.sigmas
    torch.testing.assert_close(ours[:-1], (((1 - abar) / abar) ** 0.5)[:-1].float(), rtol=2e-4, atol=0)


def test_karras_and_exponential_are_those_of_diffusers():
    for name in ("karras", "exponential"):
        theirs = EulerDiscreteScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            use_karras_sigmas=name == "karras",
            use_exponential_sigmas=name == "exponential",
        )
        theirs.set_timesteps(20)
        torch.testing.assert_close(schedule(SD_LEVELS, name, 20), theirs.sigmas.float(), rtol=1e-4, atol=0)


def test_a_time_is_the_nearest_entry_in_log_sigma_and_a_sigma_is_interpolated():
    table = SD_LEVELS.sigmas
    assert SD_LEVELS.timestep(table[[0, 17, 999]]).tolist() == [0, 17, 999]
    between = (table[17] * table[18]).sqrt()
    assert SD_LEVELS.sigma(torch.tensor(17.5)) == pytest.approx(float(between), rel=1e-6)
    assert SD_LEVELS.timestep(between * 1.0001) == 18
    assert SD_LEVELS.timestep(torch.tensor([1e-6, 1e6])).tolist() == [0, 999]


def test_continuous_clocks_are_inverses_of_each_other():
    sigmas = torch.tensor([0.01, 0.5, 3.0, 70.0])
    for spec in (
        continuous_edm("edm", 80.0, 0.002),
        continuous_v(80.0, 0.002),
        continuous_edm("cosmos_rflow", 80, 0.002),
    ):
        levels = process_of(spec).levels
        torch.testing.assert_close(levels.sigma(levels.timestep(sigmas)), sigmas, rtol=1e-3, atol=0)
    edm = process_of(continuous_edm("edm", 80.0, 0.002)).levels
    torch.testing.assert_close(edm.timestep(sigmas), sigmas.log() / 4)
    assert (edm.sigma_min, edm.sigma_max) == pytest.approx((0.002, 80.0))


def test_the_cosine_schedule_is_inverted_without_shift():
    levels = process_of(cascade(1.0)).levels
    times = torch.tensor([0.05, 0.4, 0.9])
    torch.testing.assert_close(levels.timestep(levels.sigma(times)), times, rtol=1e-4, atol=1e-5)


def test_a_shift_moves_the_cosine_schedule_in_log_snr():
    times = torch.tensor([0.2, 0.5, 0.8], dtype=torch.float64)
    plain, shifted = (process_of(cascade(shift)).levels.sigma(times) for shift in (1.0, 2.0))
    torch.testing.assert_close(shifted, plain * 2)


def test_percent_counts_from_the_start_of_sampling():
    assert SD_LEVELS.percent_to_sigma(0) == UNREACHED
    assert SD_LEVELS.percent_to_sigma(1) == 0
    assert SD_LEVELS.percent_to_sigma(0.5) == pytest.approx(float(SD_LEVELS.sigma(torch.tensor(499.5))))
    assert FLOW_LEVELS.percent_to_sigma(0) == 1
    assert FLOW_LEVELS.percent_to_sigma(0.5) == pytest.approx(0.75)
    assert lists.at_percent(SD_LEVELS, 0, actual=True) == SD_LEVELS.sigma_max
    assert lists.at_percent(SD_LEVELS, 1, actual=True) == SD_LEVELS.sigma_min


def test_the_flow_shift_of_a_picture_grows_with_its_tokens():
    assert flow_mu(256) == pytest.approx(0.5)
    assert flow_mu(4096) == pytest.approx(1.15)
    levels = process_of(flow_for_size(flow(SD, 1.0), 1024, 1024)).levels
    assert len(levels.sigmas) == 10_000
    time = torch.tensor(0.3 * 1000)
    mu = math.exp(1.15)
    assert float(levels.sigma(time)) == pytest.approx(mu / (mu + (1 / 0.3 - 1)))


def test_distilled_levels_are_every_twentieth_timestep():
    levels = process_of(discrete(SD, "lcm")).levels
    assert len(levels.sigmas) == 50
    assert levels.sigma_max == SD_LEVELS.sigma_max
    assert levels.timestep(levels.sigmas[[0, 1, 49]]).tolist() == [19, 39, 999]
    torch.testing.assert_close(levels.sigma(torch.tensor([19.0, 999.0])), levels.sigmas[[0, 49]])


def test_below_full_denoise_the_end_of_a_longer_schedule_is_used():
    half = schedule(SD_LEVELS, "karras", 10, denoise=0.5)
    assert torch.equal(half, schedule(SD_LEVELS, "karras", 20)[-11:])
    assert torch.equal(schedule(SD_LEVELS, "karras", 10, denoise=0.3), schedule(SD_LEVELS, "karras", 33)[-11:])
    assert torch.equal(schedule(SD_LEVELS, "karras", 10, denoise=0.99995), schedule(SD_LEVELS, "karras", 10))
    assert len(schedule(SD_LEVELS, "karras", 10, denoise=0)) == 0


def test_the_penultimate_level_can_be_left_out():
    longer = schedule(SD_LEVELS, "karras", 11)
    assert torch.equal(
        schedule(SD_LEVELS, "karras", 10, discard_penultimate=True), torch.cat([longer[:-2], longer[-1:]])
    )


def test_closed_forms_of_the_free_schedules():
    high, low = 14.0, 0.03
    ramp = torch.linspace(0, 1, 7, dtype=torch.float64)
    expected = (high ** (1 / 5) + ramp * (low ** (1 / 5) - high ** (1 / 5))) ** 5
    torch.testing.assert_close(karras(7, low, high, rho=5.0)[:-1].double(), expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(
        exponential(7, low, high)[:-1].double(), high ** (1 - ramp) * low**ramp, rtol=1e-6, atol=0
    )
    torch.testing.assert_close(
        polyexponential(7, low, high, rho=2.0)[:-1].double(), low * (high / low) ** ((1 - ramp) ** 2), rtol=1e-6, atol=0
    )
    time = 1 + ramp * (1e-3 - 1)
    torch.testing.assert_close(
        variance_preserving(7)[:-1].double(),
        ((19.9 * time**2 / 2 + 0.1 * time).exp() - 1).sqrt(),
        rtol=1e-6,
        atol=0,
    )


def test_laplace_is_symmetric_in_log_sigma_and_stays_in_its_range():
    sigmas = laplace(11, 0.03, 14.0, mu=0.5, beta=0.5)
    assert len(sigmas) == 12
    assert float(sigmas[5]) == pytest.approx(math.exp(0.5), rel=1e-4)
    assert float(sigmas[4] * sigmas[6]) == pytest.approx(math.exp(1.0), rel=1e-4)
    assert float(sigmas.max()) <= 14.0
    assert float(sigmas[:-1].min()) >= 0.03 - 1e-6


def test_sd_turbo_runs_on_the_timesteps_it_was_distilled_on():
    one = sd_turbo(SD_LEVELS, 1)
    assert one.tolist() == pytest.approx([14.614641, 0])
    four = sd_turbo(SD_LEVELS, 4, denoise=0.6)
    torch.testing.assert_close(four[:-1], SD_LEVELS.sigma(torch.tensor([599, 499, 399, 299])))


def test_align_your_steps_tables_are_the_published_ones():
    for model_type, key in (
        ("SD1", "StableDiffusionSigmas"),
        ("SDXL", "StableDiffusionXLSigmas"),
        ("SVD", "StableDiffusionVideoSigmas"),
    ):
        ours = align_your_steps(model_type, 10)
        torch.testing.assert_close(ours, torch.tensor(AysSchedules[key]), rtol=0.015, atol=1e-3)
    assert len(align_your_steps("SDXL", 25)) == 26
    assert torch.equal(align_your_steps("SD1", 10, denoise=0.5), align_your_steps("SD1", 10)[-6:])
    assert len(align_your_steps("SD1", 10, denoise=0)) == 0
    with pytest.raises(ValueError, match="SD1, SDXL, SVD"):
        align_your_steps("SD4", 10)


def test_ltxv_ends_at_its_terminal_level():
    sigmas = ltxv(10, tokens=4096)
    assert len(sigmas) == 11
    assert sigmas[0] == 1
    assert float(sigmas[-2]) == pytest.approx(0.1)
    plain = ltxv(10, tokens=4096, terminal=None)
    assert float(plain[5]) == pytest.approx(math.exp(2.05) / (math.exp(2.05) + 1))


def test_lists_of_sigmas_can_be_cut_split_flipped_and_extended():
    sigmas = torch.tensor([8.0, 4.0, 2.0, 1.0, 0.0])
    assert [part.tolist() for part in lists.split(sigmas, 2)] == [[8, 4, 2], [2, 1, 0]]
    assert [part.tolist() for part in lists.split_by_denoise(sigmas, 0.25)] == [[8, 4, 2, 1], [1, 0]]
    assert [part.tolist() for part in lists.split_by_denoise(sigmas, 0.0)] == [[8, 4, 2, 1, 0], [0]]
    assert lists.flip(sigmas).tolist() == pytest.approx([0.0001, 1, 2, 4, 8])
    assert lists.flip(torch.empty(0)).tolist() == []
    assert lists.with_first(sigmas, 9.0).tolist() == [9, 4, 2, 1, 0]
    assert lists.cut(sigmas, 1, 3).tolist() == [4, 2, 1]
    assert lists.cut(sigmas, 1, 3, leftover_noise=False).tolist() == [4, 2, 0]
    assert lists.cut(sigmas, 4).tolist() == []
    assert lists.cut(sigmas, 0, 10_000).tolist() == sigmas.tolist()
    assert sigmas.tolist() == [8, 4, 2, 1, 0]


def test_extending_divides_only_the_intervals_in_the_range():
    sigmas = torch.tensor([8.0, 4.0, 2.0, 1.0, 0.0])
    assert lists.extend(sigmas, 2, -1, 3.0, "linear").tolist() == [8, 6, 4, 3, 2, 1, 0]
    assert lists.extend(sigmas, 2, 5.0, 3.0, "linear").tolist() == [8, 4, 3, 2, 1, 0]
    middle = 4 - 2 * math.sin(math.pi / 4)
    assert lists.extend(sigmas, 2, 5.0, 3.0, "cosine").tolist() == pytest.approx([8, 4, middle, 2, 1, 0])


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda: schedule(SD_LEVELS, "karas", 5), "karas"),
        (lambda: schedule(SD_LEVELS, "karras", 0), "at least one step"),
        (lambda: exponential(5, 0.0, 14.0), "above 0"),
        (lambda: karras(5, 0.03, 14.0, rho=0.0), "rho"),
        (lambda: continuous_edm("edm", 0.002, 80.0), "sigma_min"),
    ],
)
def test_impossible_schedules_are_refused_with_the_reason(broken: object, message: str):
    assert callable(broken)
    with pytest.raises(ValueError, match=message):
        broken()


def test_the_table_of_an_edm_model_is_even_in_log_sigma():
    levels = process_of(PredictionSpec("edm", EdmSchedule(), 0.5)).levels
    torch.testing.assert_close(
        levels.sigmas.log().diff(), torch.full((999,), math.log(80 / 0.002) / 999), rtol=2e-2, atol=0
    )
