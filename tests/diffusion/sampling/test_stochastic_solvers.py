"""Stochastic solvers turn noise into draws from the data: checked on a Gaussian, by mean and deviation."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from diffusion.sampling.denoiser import silent
from diffusion.sampling.marginals import RectifiedFlow, VarianceExploding
from diffusion.sampling.noise import BrownianNoise, SeededNoise
from diffusion.sampling.sa_solver import tau_between
from diffusion.sampling.solvers import SOLVERS
from tests.diffusion.sampling.oracle import Gaussian, log_spaced

DRAWS = 20_000
STOCHASTIC = [name for name, solver in SOLVERS.items() if solver.noise and name not in ("dpm_fast", "dpm_adaptive")]


def run(name: str, gaussian: Gaussian, x: Tensor, sigmas: Tensor, seed: int = 7, **options: Any) -> Tensor:
    solver = SOLVERS[name]
    needs: dict[str, Any] = {}
    if solver.marginals:
        needs["marginals"] = gaussian.marginals
    if solver.tau:
        needs["tau"] = tau_between(math.inf, 0.0, 1.0)
    if solver.noise == "step":
        needs["noise"] = SeededNoise(x, seed)
    elif solver.noise:
        needs["noise"] = BrownianNoise(x, float(sigmas.min()), float(sigmas.max()), seed)
    return solver.run(gaussian, x, sigmas, silent, **needs, **options)


def assert_drawn_from(result: Tensor, mean: float, deviation: float):
    """Within three standard errors, and 2 % for the finite steps."""
    assert float(result.mean()) == pytest.approx(mean, abs=3 * deviation / DRAWS**0.5 + 0.02 * deviation)
    assert float(result.std()) == pytest.approx(deviation, rel=3 / (2 * DRAWS) ** 0.5 + 0.02)


@pytest.mark.parametrize("name", [name for name in STOCHASTIC if name not in ("lcm", "dpmpp_2s_ancestral_cfg_pp")])
def test_the_marginals_are_kept(name: str):
    gaussian = Gaussian()
    x = gaussian.noisy(DRAWS, 10.0).float()
    result = run(name, gaussian, x, log_spaced(10.0, 0.1, 120))
    assert_drawn_from(result, gaussian.mean, math.hypot(gaussian.deviation, 0.1))


@pytest.mark.parametrize(
    "name",
    ["euler_ancestral", "dpm_2_ancestral", "dpmpp_2s_ancestral", "dpmpp_sde", "dpmpp_2m_sde", "dpmpp_2m_sde_heun",
     "dpmpp_3m_sde", "er_sde", "seeds_2", "seeds_3", "sa_solver", "sa_solver_pece", "euler_ancestral_cfg_pp"],
)  # fmt: skip
def test_the_marginals_of_a_flow_are_kept(name: str):
    gaussian = Gaussian(marginals=RectifiedFlow())
    x = gaussian.noisy(DRAWS, 0.999).float()
    times = torch.linspace(1, 0, 121, dtype=torch.float64)
    sigmas = RectifiedFlow().sigma_at(-6.9) * times**2 + 0.05 * (1 - times**2)
    result = run(name, gaussian, x, sigmas)
    last = float(sigmas[-1])
    assert_drawn_from(result, (1 - last) * gaussian.mean, math.hypot((1 - last) * gaussian.deviation, last))


@pytest.mark.parametrize("name", ["euler_ancestral", "dpm_2_ancestral", "dpmpp_2s_ancestral", "euler_ancestral_cfg_pp"])
def test_a_flow_can_start_from_noise_alone(name: str):
    gaussian = Gaussian(marginals=RectifiedFlow())
    x = gaussian.noisy(DRAWS, 1.0).float()
    result = run(name, gaussian, x, torch.linspace(1.0, 0.05, 121, dtype=torch.float64))
    assert_drawn_from(result, 0.95 * gaussian.mean, math.hypot(0.95 * gaussian.deviation, 0.05))


def test_half_the_noise_is_still_the_right_distribution():
    gaussian = Gaussian()
    x = gaussian.noisy(DRAWS, 10.0).float()
    for name in ("euler_ancestral", "dpmpp_2m_sde", "dpmpp_sde", "seeds_2"):
        result = run(name, gaussian, x, log_spaced(10.0, 0.1, 120), eta=0.5)
        assert_drawn_from(result, gaussian.mean, math.hypot(gaussian.deviation, 0.1))


def test_adaptive_and_fast_steps_may_be_stochastic_too():
    gaussian = Gaussian()
    x = gaussian.noisy(DRAWS, 10.0).float()
    for name, sigmas in (("dpm_fast", log_spaced(10.0, 0.1, 180)), ("dpm_adaptive", log_spaced(10.0, 0.1, 1))):
        options = {"rtol": 0.005, "atol": 0.001} if name == "dpm_adaptive" else {}
        result = SOLVERS[name].run(gaussian, x, sigmas, silent, noise=SeededNoise(x, 3), eta=1.0, **options)
        assert_drawn_from(result, gaussian.mean, math.hypot(gaussian.deviation, 0.1))


def test_lcm_noises_the_estimate_to_the_next_level():
    gaussian = Gaussian()
    x = gaussian.noisy(DRAWS, 10.0).float()
    sigmas = torch.tensor([10.0, 1.0])
    result = run("lcm", gaussian, x, sigmas)
    estimate = gaussian(x, torch.full((DRAWS,), 10.0))
    torch.testing.assert_close(result, estimate + SeededNoise(x, 7)(10.0, 1.0))


@pytest.mark.parametrize("name", STOCHASTIC)
def test_one_seed_is_one_result_and_another_seed_another(name: str):
    gaussian = Gaussian()
    x, sigmas = gaussian.noisy(16, 10.0).float(), log_spaced(10.0, 0.1, 6)
    first, again, other = (run(name, gaussian, x, sigmas, seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_ancestral_steps_split_a_level_into_what_is_kept_and_what_is_added():
    step = VarianceExploding().ancestral(2.0, 1.0, eta=1.0)
    assert step.up == pytest.approx(math.sqrt(3) / 2)
    assert step.down**2 + step.up**2 == pytest.approx(1.0)
    assert VarianceExploding().ancestral(2.0, 1.0, eta=0.0).up == 0
    flow = RectifiedFlow().ancestral(0.8, 0.4, eta=1.0)
    assert flow.down == pytest.approx(0.2)
    assert flow.keep * (1 - flow.down) == pytest.approx(1 - 0.4)
    assert (flow.keep * flow.down) ** 2 + flow.up**2 == pytest.approx(0.4**2)
