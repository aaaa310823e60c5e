"""All solvers by the names people use, and what each needs besides a denoiser, a latent and sigmas."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from inspect import signature
from types import MappingProxyType
from typing import Any, Literal

from torch import Tensor

from diffusion.sampling.ddpm import sample_ddpm
from diffusion.sampling.deis import sample_deis
from diffusion.sampling.dpm_2 import sample_dpm_2, sample_dpm_2_ancestral
from diffusion.sampling.dpm_solver import sample_dpm_adaptive, sample_dpm_fast
from diffusion.sampling.dpmpp_2m import sample_dpmpp_2m, sample_dpmpp_2m_cfg_pp
from diffusion.sampling.dpmpp_2m_sde import sample_dpmpp_2m_sde
from diffusion.sampling.dpmpp_2s_ancestral import sample_dpmpp_2s_ancestral, sample_dpmpp_2s_ancestral_cfg_pp
from diffusion.sampling.dpmpp_3m_sde import sample_dpmpp_3m_sde
from diffusion.sampling.dpmpp_sde import sample_dpmpp_sde
from diffusion.sampling.er_sde import sample_er_sde
from diffusion.sampling.euler import sample_euler
from diffusion.sampling.euler_ancestral import sample_euler_ancestral
from diffusion.sampling.euler_cfg_pp import sample_euler_ancestral_cfg_pp, sample_euler_cfg_pp
from diffusion.sampling.gradient_estimation import sample_gradient_estimation, sample_gradient_estimation_cfg_pp
from diffusion.sampling.heun import sample_heun
from diffusion.sampling.heunpp2 import sample_heunpp2
from diffusion.sampling.ipndm import sample_ipndm, sample_ipndm_v
from diffusion.sampling.lcm import sample_lcm
from diffusion.sampling.lcm_upscale import sample_lcm_upscale
from diffusion.sampling.lms import sample_lms
from diffusion.sampling.res_multistep import (
    sample_res_multistep,
    sample_res_multistep_ancestral,
    sample_res_multistep_ancestral_cfg_pp,
    sample_res_multistep_cfg_pp,
)
from diffusion.sampling.sa_solver import sample_sa_solver
from diffusion.sampling.seeds import sample_seeds_2, sample_seeds_3
from diffusion.sampling.uni_pc import sample_uni_pc, sample_uni_pc_bh2

NoiseKind = Literal["step", "brownian", "brownian_on_device"]
"""step: fresh draws on the sampling device. brownian: one path over sigma, drawn on the CPU, or on the device."""


Solve = Callable[..., Tensor]
"""A solver: denoiser, x, sigmas, on_step, and by keyword what its `Solver` says it needs and its own options."""


@dataclass(frozen=True, slots=True)
class Solver:
    run: Solve
    noise: NoiseKind | None = None
    """Kind of the `noise` keyword; None if it takes none."""
    marginals: bool = False
    """Takes the keyword `marginals`."""
    draw: bool = False
    """Takes the keyword `draw`: noise of any shape."""
    tau: bool = False
    """Takes the keyword `tau`, made from its options `eta`, `sde_start_percent` and `sde_end_percent`."""
    finite_start: bool = False
    """Works in lambda: where the first level holds no signal at all, one just below it takes its place."""
    unconditional: bool = False
    """Takes a `GuidedDenoiser`: the unconditional estimate is made even where guidance could do without."""
    discard_penultimate: bool = False
    """Wants a schedule one step longer, without its last level above 0."""
    fresh_mask_noise: bool = False
    """In inpainting, the kept area is noised with noise of the next seed instead of the initial noise."""


def _sde(run: Solve, noise: NoiseKind = "brownian") -> Solver:
    return Solver(run, noise=noise, marginals=True, finite_start=True)


_heun = partial(sample_dpmpp_2m_sde, solver_type="heun")
_pece = partial(sample_sa_solver, use_pece=True)

SOLVERS: Mapping[str, Solver] = MappingProxyType(
    {
        "euler": Solver(sample_euler),
        "euler_cfg_pp": Solver(sample_euler_cfg_pp, marginals=True, unconditional=True),
        "euler_ancestral": Solver(sample_euler_ancestral, noise="step", marginals=True),
        "euler_ancestral_cfg_pp": Solver(
            sample_euler_ancestral_cfg_pp, noise="step", marginals=True, unconditional=True
        ),
        "heun": Solver(sample_heun),
        "heunpp2": Solver(sample_heunpp2),
        "dpm_2": Solver(sample_dpm_2, discard_penultimate=True),
        "dpm_2_ancestral": Solver(sample_dpm_2_ancestral, noise="step", marginals=True, discard_penultimate=True),
        "lms": Solver(sample_lms),
        "dpm_fast": Solver(sample_dpm_fast, noise="step"),
        "dpm_adaptive": Solver(sample_dpm_adaptive, noise="step"),
        "dpmpp_2s_ancestral": Solver(sample_dpmpp_2s_ancestral, noise="step", marginals=True),
        "dpmpp_2s_ancestral_cfg_pp": Solver(
            sample_dpmpp_2s_ancestral_cfg_pp, noise="step", marginals=True, unconditional=True
        ),
        "dpmpp_sde": _sde(sample_dpmpp_sde),
        "dpmpp_sde_gpu": _sde(sample_dpmpp_sde, "brownian_on_device"),
        "dpmpp_2m": Solver(sample_dpmpp_2m),
        "dpmpp_2m_cfg_pp": Solver(sample_dpmpp_2m_cfg_pp, unconditional=True),
        "dpmpp_2m_sde": _sde(sample_dpmpp_2m_sde),
        "dpmpp_2m_sde_gpu": _sde(sample_dpmpp_2m_sde, "brownian_on_device"),
        "dpmpp_2m_sde_heun": _sde(_heun),
        "dpmpp_2m_sde_heun_gpu": _sde(_heun, "brownian_on_device"),
        "dpmpp_3m_sde": _sde(sample_dpmpp_3m_sde),
        "dpmpp_3m_sde_gpu": _sde(sample_dpmpp_3m_sde, "brownian_on_device"),
        "ddpm": Solver(sample_ddpm, noise="step"),
        "lcm": Solver(sample_lcm, noise="step", marginals=True),
        "ipndm": Solver(sample_ipndm),
        "ipndm_v": Solver(sample_ipndm_v),
        "deis": Solver(sample_deis),
        "res_multistep": Solver(sample_res_multistep),
        "res_multistep_cfg_pp": Solver(sample_res_multistep_cfg_pp, unconditional=True),
        "res_multistep_ancestral": Solver(sample_res_multistep_ancestral, noise="step"),
        "res_multistep_ancestral_cfg_pp": Solver(
            sample_res_multistep_ancestral_cfg_pp, noise="step", unconditional=True
        ),
        "gradient_estimation": Solver(sample_gradient_estimation),
        "gradient_estimation_cfg_pp": Solver(sample_gradient_estimation_cfg_pp, unconditional=True),
        "er_sde": _sde(sample_er_sde, "step"),
        "seeds_2": _sde(sample_seeds_2, "step"),
        "seeds_3": _sde(sample_seeds_3, "step"),
        "sa_solver": Solver(sample_sa_solver, noise="step", marginals=True, finite_start=True, tau=True),
        "sa_solver_pece": Solver(_pece, noise="step", marginals=True, finite_start=True, tau=True),
        # In the form used here DDIM without noise and Euler are one method.
        "ddim": Solver(sample_euler, fresh_mask_noise=True),
        "uni_pc": Solver(sample_uni_pc, discard_penultimate=True),
        "uni_pc_bh2": Solver(sample_uni_pc_bh2, discard_penultimate=True),
    }
)
"""In the order of the menu."""

_TAU_OPTIONS = frozenset({"eta", "sde_start_percent", "sde_end_percent"})

UNLISTED: Mapping[str, Solver] = MappingProxyType({"lcm_upscale": Solver(sample_lcm_upscale, draw=True)})
"""Solvers that only make sense with options of their own."""


@dataclass(frozen=True, slots=True)
class Sampler:
    """A solver with its options: what a graph passes around as a sampler."""

    solver: Solver
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Keyword arguments of the solver's function."""
    driver: object | None = None
    """A sampling loop of its own, see `driver`."""


def sampler(name: str, **options: Any) -> Sampler:
    """The sampler of that name; options are keyword arguments of its function.

    noise_device "gpu" or "cpu", where a solver has a Brownian path, says where that is drawn.
    """
    device = options.pop("noise_device", "cpu")
    if device not in ("cpu", "gpu"):
        raise ValueError(f'noise_device is "cpu" or "gpu", not {device!r}')
    if device == "gpu" and f"{name}_gpu" in SOLVERS:
        name = f"{name}_gpu"
    known = {**SOLVERS, **UNLISTED}
    if name not in known:
        raise ValueError(f"There is no sampler {name!r}; there are {', '.join(known)}")
    solver = known[name]
    accepted = {*signature(solver.run).parameters, *(_TAU_OPTIONS if solver.tau else ())}
    if unknown := sorted(set(options) - accepted):
        raise ValueError(f"The sampler {name!r} has no option {', '.join(unknown)}")
    return Sampler(solver, MappingProxyType(options))
