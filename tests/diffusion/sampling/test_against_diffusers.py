"""Solvers give the numbers of diffusers' schedulers, step by step, on the same sigmas."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers.schedulers.scheduling_deis_multistep import DEISMultistepScheduler
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_dpmsolver_singlestep import DPMSolverSinglestepScheduler
from diffusers.schedulers.scheduling_euler_ancestral_discrete import EulerAncestralDiscreteScheduler
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler
from diffusers.schedulers.scheduling_heun_discrete import HeunDiscreteScheduler
from diffusers.schedulers.scheduling_lms_discrete import LMSDiscreteScheduler
from diffusers.schedulers.scheduling_sasolver import SASolverScheduler
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler
from torch import Tensor

from diffusion.families.prediction import BetaSchedule, PredictionSpec
from diffusion.sampling.denoiser import silent
from diffusion.sampling.marginals import VarianceExploding
from diffusion.sampling.process import process_of
from diffusion.sampling.sa_solver import tau_between
from diffusion.sampling.solvers import SOLVERS
from tests.diffusion.sampling.oracle import TwoHumps

STEPS = 12
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
LEVELS = process_of(PredictionSpec("eps", BetaSchedule())).levels
DENOISER = TwoHumps()


class Tape:
    """The same noise for both: draws of one generator, in order."""

    def __init__(self, shape: torch.Size, dtype: torch.dtype):
        self._shape, self._dtype, self._generator = shape, dtype, torch.Generator().manual_seed(2)

    def __call__(self, sigma: float, sigma_next: float) -> Tensor:
        return torch.randn(self._shape, generator=self._generator, dtype=self._dtype).double()


def start(sigma: float) -> Tensor:
    return torch.randn(4, 1, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float32).double() * sigma


def theirs(scheduler: Any, x: Tensor, *, preserving: bool, seeded: bool = False) -> Tensor:
    """Runs a scheduler with our denoiser. preserving: its state is x / sqrt(1 + sigma²).

    The noise level of an evaluation is looked up by its timestep, as a network does.
    """
    generator = torch.Generator().manual_seed(2)
    if preserving:
        x = x / (1 + scheduler.sigmas[0] ** 2) ** 0.5
    for time in scheduler.timesteps:
        sigma = scheduler.sigmas[scheduler.step_index] if scheduler.step_index is not None else scheduler.sigmas[0]
        sigma = sigma.double()
        scale = (1 + sigma**2) ** 0.5 if preserving else 1.0
        exploded = x * scale
        eps = (exploded - DENOISER(exploded, sigma.expand(len(x)))) / sigma
        x = scheduler.step(eps, time, x, **({"generator": generator} if seeded else {})).prev_sample
    return x


def ours(name: str, x: Tensor, sigmas: Tensor, draws: torch.dtype = torch.float32, **options: Any) -> Tensor:
    solver = SOLVERS[name]
    needs: dict[str, Any] = {}
    if solver.marginals:
        needs["marginals"] = VarianceExploding()
    if solver.noise:
        needs["noise"] = Tape(x.shape, draws)
    return solver.run(DENOISER, x, sigmas.double(), silent, **needs, **options)


def prepared(make: Callable[[], Any]) -> Any:
    scheduler = make()
    scheduler.set_timesteps(STEPS)
    return scheduler


EXPLODING: list[tuple[str, Callable[[], Any], int]] = [
    ("euler", lambda: EulerDiscreteScheduler(**BETAS, use_karras_sigmas=True), 1),
    ("heun", lambda: HeunDiscreteScheduler(**BETAS, use_karras_sigmas=True), 2),
]


@pytest.mark.parametrize(("name", "make", "each"), EXPLODING, ids=[name for name, _, _ in EXPLODING])
def test_methods_on_the_exploding_process(name: str, make: Callable[[], Any], each: int):
    scheduler = prepared(make)
    # Schedulers with two evaluations a step hold every level but the ends twice.
    sigmas = torch.cat([scheduler.sigmas[:1], scheduler.sigmas[1::each]]) if each == 2 else scheduler.sigmas
    x = start(float(sigmas[0]))
    result = theirs(scheduler, x, preserving=False)
    torch.testing.assert_close(ours(name, x, sigmas), result, rtol=1e-4, atol=1e-4)


def test_linear_multistep_up_to_the_step_to_zero():
    scheduler = prepared(lambda: LMSDiscreteScheduler(**BETAS, use_karras_sigmas=True))
    sigmas = scheduler.sigmas[:-1]  # to 0 theirs extrapolates, ours takes the estimate
    x = start(float(sigmas[0]))
    scheduler.scale_model_input(x, scheduler.timesteps[0])
    scheduler.timesteps = scheduler.timesteps[:-1]
    result = theirs(scheduler, x, preserving=False)
    torch.testing.assert_close(ours("lms", x, sigmas), result, rtol=1e-3, atol=1e-3)


def test_euler_ancestral_with_the_same_noise():
    scheduler = prepared(lambda: EulerAncestralDiscreteScheduler(**BETAS))
    x = start(float(scheduler.sigmas[0]))
    scheduler.scale_model_input(x, scheduler.timesteps[0])
    result = theirs(scheduler, x, preserving=False, seeded=True)
    torch.testing.assert_close(
        ours("euler_ancestral", x, scheduler.sigmas, draws=torch.float64), result, rtol=1e-4, atol=1e-4
    )


PRESERVING: list[tuple[str, Callable[[], Any], dict[str, Any]]] = [
    (
        "dpmpp_2m",
        lambda: DPMSolverMultistepScheduler(**BETAS, use_karras_sigmas=True, algorithm_type="dpmsolver++"),
        {},
    ),
    (
        "dpmpp_2m_sde",
        lambda: DPMSolverMultistepScheduler(**BETAS, use_karras_sigmas=True, algorithm_type="sde-dpmsolver++"),
        {},
    ),
    (
        "dpmpp_2m_sde_heun",
        lambda: DPMSolverMultistepScheduler(
            **BETAS, use_karras_sigmas=True, algorithm_type="sde-dpmsolver++", solver_type="heun"
        ),
        {},
    ),
]


@pytest.mark.parametrize(("name", "make", "options"), PRESERVING, ids=[name for name, _, _ in PRESERVING])
def test_multistep_data_prediction(name: str, make: Callable[[], Any], options: dict[str, Any]):
    scheduler = prepared(make)
    # Its last step is of first order, which is what a step to sigma 0 is.
    x = start(float(scheduler.sigmas[0]))
    result = theirs(scheduler, x, preserving=True, seeded="sde" in name)
    torch.testing.assert_close(ours(name, x, scheduler.sigmas, **options), result, rtol=2e-4, atol=2e-4)


def test_single_step_data_prediction_of_second_order():
    scheduler = DPMSolverSinglestepScheduler(**BETAS, use_karras_sigmas=True, solver_order=2, final_sigmas_type="zero")
    assert scheduler.config["algorithm_type"] == "dpmsolver++"
    # Written out: its midpoints lie on the schedule, ours halfway in the logarithm.
    sigma, sigma_next = 2.0, 0.5
    x = start(sigma)
    first = DENOISER(x, torch.full((4,), sigma, dtype=torch.float64))
    middle = (sigma * sigma_next) ** 0.5
    x_middle = x * (middle / sigma) + first * (1 - middle / sigma)
    second = DENOISER(x_middle, torch.full((4,), middle, dtype=torch.float64))
    expected = x * (sigma_next / sigma) + second * (1 - sigma_next / sigma)
    result = ours("dpmpp_2s_ancestral", x, torch.tensor([sigma, sigma_next]), eta=0.0)
    torch.testing.assert_close(result, expected)


@pytest.mark.parametrize("variant", ["bh1", "bh2"])
def test_unified_predictor_corrector(variant: Any):
    scheduler = prepared(
        lambda: UniPCMultistepScheduler(
            **BETAS, use_karras_sigmas=True, solver_order=3, solver_type=variant, final_sigmas_type="sigma_min"
        )
    )
    sigmas = scheduler.sigmas.clone()
    sigmas[-1] = 0.02  # below the level before it, as ours ends below its own
    scheduler.sigmas[-1] = 0.02
    x = start(float(sigmas[0]))
    result = theirs(scheduler, x, preserving=True) * (1 + 0.02**2) ** 0.5
    name = "uni_pc" if variant == "bh1" else "uni_pc_bh2"
    torch.testing.assert_close(ours(name, x, sigmas), result, rtol=1e-3, atol=1e-3)


def test_stochastic_adams_solver():
    scheduler = prepared(
        lambda: SASolverScheduler(
            **BETAS,
            use_karras_sigmas=True,
            predictor_order=3,
            corrector_order=4,
            algorithm_type="data_prediction",
            tau_func=lambda time: 0.0,
        )
    )
    x = start(float(scheduler.sigmas[0]))
    result = theirs(scheduler, x, preserving=True, seeded=True)
    exact = DENOISER.solution(x, float(scheduler.sigmas[0]), 1e-4)
    mine = ours("sa_solver", x, scheduler.sigmas, tau=tau_between(0.0, 1.0, 0.0))
    # Theirs raises its order later; both have to be near the exact solution and so near each other.
    assert float((mine - exact).abs().max()) < 0.1
    assert float((result - exact).abs().max()) < 0.2


def test_deis_is_near_the_version_with_other_integrals():
    scheduler = prepared(lambda: DEISMultistepScheduler(**BETAS, use_karras_sigmas=True, solver_order=3))
    x = start(float(scheduler.sigmas[0]))
    exact = DENOISER.solution(x, float(scheduler.sigmas[0]), 1e-4)
    mine = ours("deis", x, scheduler.sigmas)
    result = theirs(scheduler, x, preserving=True)
    assert float((mine - exact).abs().max()) < 2 * float((result - exact).abs().max()) + 0.02


def test_the_sigmas_are_those_of_our_schedule():
    scheduler = prepared(lambda: EulerDiscreteScheduler(**BETAS, use_karras_sigmas=True))
    assert float(scheduler.sigmas[0]) == pytest.approx(LEVELS.sigma_max, rel=1e-5)
