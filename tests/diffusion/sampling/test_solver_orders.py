"""Deterministic solvers find the exact solution, as fast as their papers say when steps get smaller."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion.sampling.denoiser import silent
from diffusion.sampling.marginals import RectifiedFlow, VarianceExploding
from diffusion.sampling.sa_solver import tau_between
from diffusion.sampling.solvers import SOLVERS, sampler
from tests.diffusion.sampling.oracle import Gaussian, TwoHumps, log_spaced

START, END = 10.0, 0.1
QUIET = tau_between(math.inf, 0.0, 0.0)


def no_noise_wanted(sigma: float, sigma_next: float) -> Tensor:
    return torch.zeros(())


def run(name: str, denoiser: Any, x: Tensor, sigmas: Tensor, **options: Any) -> Tensor:
    solver = SOLVERS[name]
    needs: dict[str, Any] = {}
    if solver.marginals:
        needs["marginals"] = getattr(denoiser, "marginals", VarianceExploding())
    if solver.noise:
        needs["noise"] = no_noise_wanted
    return solver.run(denoiser, x, sigmas, silent, **needs, **options)


ORDERS: list[tuple[str, dict[str, Any], float]] = [
    ("euler", {}, 1),
    ("euler_ancestral", {"eta": 0.0}, 1),
    ("euler_cfg_pp", {}, 1),
    ("euler_ancestral_cfg_pp", {"eta": 0.0}, 1),
    ("heun", {}, 2),
    ("heunpp2", {}, 1),
    ("dpm_2", {}, 2),
    ("dpm_2_ancestral", {"eta": 0.0}, 2),
    ("lms", {}, 2),  # the first steps are of low order and their error stays
    ("lms", {"order": 2}, 2),
    ("dpm_fast", {}, 3),
    ("dpmpp_2s_ancestral", {"eta": 0.0}, 2),
    ("dpmpp_sde", {"eta": 0.0}, 2),
    ("dpmpp_2m", {}, 2),
    ("dpmpp_2m_cfg_pp", {}, 2),
    ("dpmpp_2m_sde", {"eta": 0.0}, 2),
    ("dpmpp_2m_sde_heun", {"eta": 0.0}, 2),
    ("dpmpp_3m_sde", {"eta": 0.0}, 2),
    ("ipndm", {"max_order": 2}, 1),  # weights for equal steps, on steps that are not
    ("ipndm_v", {"max_order": 2}, 2),
    ("deis", {}, 2),
    ("res_multistep", {}, 2),
    ("res_multistep_cfg_pp", {}, 2),
    ("res_multistep_ancestral", {"eta": 0.0}, 2),
    ("res_multistep_ancestral_cfg_pp", {"eta": 0.0}, 2),
    ("gradient_estimation", {}, 1),
    ("gradient_estimation_cfg_pp", {}, 1),
    ("er_sde", {"solver_type": "ODE"}, 1.9),  # its integrals are sums of 200 points
    ("er_sde", {"solver_type": "ODE", "max_stage": 1}, 1),
    ("seeds_2", {"eta": 0.0}, 2),
    ("seeds_3", {"eta": 0.0}, 3),
    ("sa_solver", {"tau": QUIET}, 2),
    ("sa_solver", {"tau": QUIET, "simple_order_2": True, "predictor_order": 2, "corrector_order": 2}, 2),
    ("sa_solver_pece", {"tau": QUIET}, 2),
    ("uni_pc", {}, 2),
    ("uni_pc_bh2", {}, 2),
]


def label(case: tuple[str, dict[str, Any], float]) -> str:
    return "-".join([case[0], *(f"{key}={value}" for key, value in case[1].items() if key != "tau")])


@pytest.mark.parametrize(("name", "options", "order"), ORDERS, ids=[label(case) for case in ORDERS])
@pytest.mark.parametrize("denoiser", [Gaussian(), TwoHumps()], ids=["one hump", "two humps"])
def test_halving_the_steps_divides_the_error_as_the_order_says(
    denoiser: Gaussian | TwoHumps, name: str, options: dict[str, Any], order: float
):
    x = torch.tensor([-13.0, -3.0, 1.0, 9.0], dtype=torch.float64).reshape(4, 1, 1, 1)
    exact = denoiser.solution(x, START, END)
    errors = [
        float((run(name, denoiser, x, log_spaced(START, END, steps), **options) - exact).abs().max())
        for steps in (64, 128)
    ]
    assert errors[0] < 0.1
    assert math.log2(errors[0] / errors[1]) > order - 0.3


@pytest.mark.parametrize("name", [name for name in SOLVERS if name != "dpmpp_2s_ancestral_cfg_pp"])
def test_at_zero_noise_all_solvers_arrive_at_the_data(name: str):
    gaussian = Gaussian()
    x = torch.tensor([-9.0, 0.0, 6.0, 12.0], dtype=torch.float64).reshape(4, 1, 1, 1)
    sigmas = torch.cat([log_spaced(START, 0.01, 60), torch.zeros(1, dtype=torch.float64)])
    quiet: dict[str, dict[str, Any]] = {
        "sa_solver": {"tau": QUIET},
        "sa_solver_pece": {"tau": QUIET},
        "er_sde": {"solver_type": "ODE"},
    }
    stochastic = SOLVERS[name].noise and name not in (*quiet, "ddpm", "lcm")
    result = run(name, gaussian, x, sigmas, **quiet.get(name, {"eta": 0.0} if stochastic else {}))
    assert torch.isfinite(result).all()
    if name in ("ddpm", "lcm"):  # without their noise they lead to the mean
        assert float((result - gaussian.mean).abs().max()) < 0.5
    else:
        torch.testing.assert_close(result, gaussian.solution(x, START, 0.0), rtol=0, atol=0.06)


FLOW_SOLVERS = [
    ("euler", {}),
    ("euler_ancestral", {"eta": 0.0}),
    ("euler_cfg_pp", {}),
    ("dpm_2_ancestral", {"eta": 0.0}),
    ("dpmpp_2s_ancestral", {"eta": 0.0}),
    ("dpmpp_2m", {}),
    ("dpmpp_sde", {"eta": 0.0}),
    ("dpmpp_2m_sde", {"eta": 0.0}),
    ("dpmpp_3m_sde", {"eta": 0.0}),
    ("er_sde", {"solver_type": "ODE"}),
    ("seeds_2", {"eta": 0.0}),
    ("seeds_3", {"eta": 0.0}),
    ("sa_solver", {"tau": QUIET}),
    ("uni_pc", {}),
    ("res_multistep", {}),
    ("lms", {}),
]


@pytest.mark.parametrize(("name", "options"), FLOW_SOLVERS, ids=[name for name, _ in FLOW_SOLVERS])
def test_solvers_follow_a_rectified_flow_too(name: str, options: dict[str, Any]):
    gaussian = Gaussian(marginals=RectifiedFlow())
    x = torch.tensor([-2.0, 0.1, 1.0, 2.0], dtype=torch.float64).reshape(4, 1, 1, 1)
    sigmas = torch.linspace(0.999, 0.01, 101, dtype=torch.float64)
    result = run(name, gaussian, x, sigmas, **options)
    torch.testing.assert_close(result, gaussian.solution(x, 0.999, 0.01), rtol=0, atol=0.02)


@pytest.mark.parametrize(
    "name",
    [
        "euler",
        "euler_cfg_pp",
        "heun",
        "dpm_2",
        "dpmpp_2m",
        "dpmpp_2m_cfg_pp",
        "res_multistep",
        "deis",
        "ipndm",
        "uni_pc",
    ],
)
def test_a_flow_can_start_from_noise_alone(name: str):
    gaussian = Gaussian(marginals=RectifiedFlow())
    x = torch.tensor([-2.0, 0.1, 1.0, 2.0], dtype=torch.float64).reshape(4, 1, 1, 1)
    sigmas = torch.linspace(1.0, 0.01, 101, dtype=torch.float64)
    torch.testing.assert_close(run(name, gaussian, x, sigmas), gaussian.solution(x, 1.0, 0.01), rtol=0, atol=0.02)


def test_adaptive_steps_keep_the_error_within_what_was_asked():
    gaussian = Gaussian()
    x = gaussian.noisy(64, START)
    exact = gaussian.solution(x, START, END)
    sigmas = torch.tensor([START, END], dtype=torch.float64)
    for order in (2, 3):
        loose = run("dpm_adaptive", gaussian, x, sigmas, order=order)
        tight = run("dpm_adaptive", gaussian, x, sigmas, order=order, rtol=1e-4, atol=1e-5)
        assert float((loose - exact).abs().max()) < 0.2
        assert float((tight - exact).abs().max()) < 1e-3


def test_dpm_fast_spends_as_many_evaluations_as_there_are_steps():
    gaussian = Gaussian()
    for steps in range(2, 12):
        evaluations: list[float] = []

        def counting(x: Tensor, sigma: Tensor, seen: list[float] = evaluations) -> Tensor:
            seen.append(float(sigma[0]))
            return gaussian(x, sigma)

        run("dpm_fast", counting, gaussian.noisy(2, START), log_spaced(START, END, steps))
        assert len(evaluations) == steps


@pytest.mark.parametrize("version", ["regular", "alternative"])
def test_cfg_pp_without_guidance_is_its_plain_method(version: str):
    gaussian = Gaussian()
    x, sigmas = gaussian.noisy(8, START), log_spaced(START, END, 10)
    for plain, cfg_pp, options in (
        ("euler", "euler_cfg_pp", {"version": version}),
        ("dpmpp_2m", "dpmpp_2m_cfg_pp", {}),
        ("res_multistep", "res_multistep_cfg_pp", {}),
        ("gradient_estimation", "gradient_estimation_cfg_pp", {}),
    ):
        torch.testing.assert_close(run(cfg_pp, gaussian, x, sigmas, **options), run(plain, gaussian, x, sigmas))


def test_cfg_pp_2s_shifts_by_the_newest_unconditional_estimate():
    class Guided:
        """Guided and unconditional estimates are fixed numbers, other ones at the midpoint."""

        def with_unconditional(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
            first = float(sigma[0]) == 4.0
            return torch.full_like(x, 1.0 if first else 0.9), torch.full_like(x, 0.5 if first else 0.3)

    x = torch.full((1, 1, 1, 1), 6.0, dtype=torch.float64)
    result = run("dpmpp_2s_ancestral_cfg_pp", Guided(), x, torch.tensor([4.0, 1.0], dtype=torch.float64), eta=0.0)
    assert float(result) == pytest.approx((6 + (1.0 - 0.3)) / 4 + (1 - 1 / 4) * 0.9)


def test_every_step_is_reported_and_a_listener_may_stop_the_run():
    gaussian = Gaussian()
    x, sigmas = gaussian.noisy(2, START), log_spaced(START, END, 5)
    seen: list[int] = []

    class Stopped(Exception):
        pass

    def stop_at_third(step: Any) -> None:
        seen.append(step.index)
        if step.index == 2:
            raise Stopped

    with pytest.raises(Stopped):
        SOLVERS["euler"].run(gaussian, x, sigmas, stop_at_third)
    assert seen == [0, 1, 2]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("euller", {}, "no sampler 'euller'"),
        ("euler", {"eta": 1.0}, "'euler' has no option eta"),
        ("dpmpp_sde", {"noise_device": "tpu"}, "noise_device"),
    ],
)
def test_samplers_and_options_that_do_not_exist_are_refused(name: str, options: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        sampler(name, **options)


def test_samplers_take_the_options_of_their_functions():
    assert sampler("dpmpp_sde", noise_device="gpu", r=0.4).solver is SOLVERS["dpmpp_sde_gpu"]
    assert sampler("sa_solver", eta=0.5, sde_start_percent=0.1, use_pece=True).options["eta"] == 0.5
    assert sampler("dpmpp_2m_sde_heun", s_noise=1.1).options == {"s_noise": 1.1}
