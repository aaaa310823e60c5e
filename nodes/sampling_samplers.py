"""Samplers with their options, and noise: menus `sampling/custom_sampling/samplers` and `…/noise`."""

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from diffusion.sampling.noise import initial_noise, no_noise
from diffusion.sampling.solvers import SOLVERS, sampler
from nodes.declare import node
from nodes.markers import SEED, Choice, Number
from nodes.wire import LatentDict, Model, Noise, Sampler

SAMPLER_NAMES = list(SOLVERS)

SamplerName = Annotated[str, Choice(SAMPLER_NAMES)]
Option = Annotated[float, Number(0.0, 100.0, step=0.01, round=False)]
Device = Annotated[str, Choice(["gpu", "cpu"])]


@node("KSamplerSelect", category="sampling/custom_sampling/samplers")
def k_sampler_select(*, sampler_name: SamplerName) -> Sampler:
    """A sampler by its name."""
    return sampler(sampler_name)


@node("SamplerEulerAncestral", category="sampling/custom_sampling/samplers")
def sampler_euler_ancestral(*, eta: Option = 1.0, s_noise: Option = 1.0) -> Sampler:
    """Euler steps with fresh noise.

    eta: how much of each step is replaced by noise; 0 is plain Euler.
    s_noise: strength of that noise.
    """
    return sampler("euler_ancestral", eta=eta, s_noise=s_noise)


@node("SamplerEulerAncestralCFGPP", category="sampling/custom_sampling/samplers", title="SamplerEulerAncestralCFG++")
def sampler_euler_ancestral_cfg_pp(
    *,
    eta: Annotated[float, Number(0.0, 1.0, step=0.01, round=False)] = 1.0,
    s_noise: Annotated[float, Number(0.0, 10.0, step=0.01, round=False)] = 1.0,
) -> Sampler:
    """Euler steps with fresh noise and CFG++ guidance, for low cfg."""
    return sampler("euler_ancestral_cfg_pp", eta=eta, s_noise=s_noise)


@node("SamplerEulerCFGpp", category="_for_testing", title="SamplerEulerCFG++", modern=True, experimental=True)
def sampler_euler_cfg_pp(*, version: Annotated[str, Choice(["regular", "alternative"])]) -> Sampler:
    """Euler steps with CFG++ guidance, for low cfg."""
    return sampler("euler_cfg_pp", version=version)


@node("SamplerLMS", category="sampling/custom_sampling/samplers")
def sampler_lms(*, order: Annotated[int, Number(1, 100)] = 4) -> Sampler:
    """Linear multistep.

    order: how many earlier steps count.
    """
    return sampler("lms", order=order)


@node("SamplerDPMAdaptative", category="sampling/custom_sampling/samplers")
def sampler_dpm_adaptative(
    *,
    order: Annotated[int, Number(2, 3)] = 3,
    rtol: Option = 0.05,
    atol: Option = 0.0078,
    h_init: Option = 0.05,
    pcoeff: Option = 0.0,
    icoeff: Option = 1.0,
    dcoeff: Option = 0.0,
    accept_safety: Option = 0.81,
    eta: Option = 0.0,
    s_noise: Option = 1.0,
) -> Sampler:
    """DPM-Solver that chooses its own steps.

    rtol: tolerated relative error.
    atol: tolerated absolute error.
    """
    return sampler(
        "dpm_adaptive",
        order=order,
        rtol=rtol,
        atol=atol,
        h_init=h_init,
        pcoeff=pcoeff,
        icoeff=icoeff,
        dcoeff=dcoeff,
        accept_safety=accept_safety,
        eta=eta,
        s_noise=s_noise,
    )


@node("SamplerDPMPP_2S_Ancestral", category="sampling/custom_sampling/samplers")
def sampler_dpmpp_2s_ancestral(*, eta: Option = 1.0, s_noise: Option = 1.0) -> Sampler:
    """DPM-Solver++ of second order with fresh noise."""
    return sampler("dpmpp_2s_ancestral", eta=eta, s_noise=s_noise)


@node("SamplerDPMPP_SDE", category="sampling/custom_sampling/samplers")
def sampler_dpmpp_sde(*, eta: Option = 1.0, s_noise: Option = 1.0, r: Option = 0.5, noise_device: Device) -> Sampler:
    """Stochastic DPM-Solver++, two evaluations a step.

    r: where in the step the second evaluation is.
    noise_device: cpu gives the same picture on every machine.
    """
    return sampler("dpmpp_sde", eta=eta, s_noise=s_noise, r=r, noise_device=noise_device)


@node("SamplerDPMPP_2M_SDE", category="sampling/custom_sampling/samplers")
def sampler_dpmpp_2m_sde(
    *,
    solver_type: Annotated[str, Choice(["midpoint", "heun"])],
    eta: Option = 1.0,
    s_noise: Option = 1.0,
    noise_device: Device,
) -> Sampler:
    """Stochastic DPM-Solver++ of second order.

    noise_device: cpu gives the same picture on every machine.
    """
    return sampler("dpmpp_2m_sde", solver_type=solver_type, eta=eta, s_noise=s_noise, noise_device=noise_device)


@node("SamplerDPMPP_3M_SDE", category="sampling/custom_sampling/samplers")
def sampler_dpmpp_3m_sde(*, eta: Option = 1.0, s_noise: Option = 1.0, noise_device: Device) -> Sampler:
    """Stochastic DPM-Solver++ of third order.

    noise_device: cpu gives the same picture on every machine.
    """
    return sampler("dpmpp_3m_sde", eta=eta, s_noise=s_noise, noise_device=noise_device)


@node("SamplerER_SDE", category="sampling/custom_sampling/samplers")
def sampler_er_sde(
    *,
    solver_type: Annotated[str, Choice(["ER-SDE", "Reverse-time SDE", "ODE"], classic=False)],
    max_stage: Annotated[int, Number(1, 3)] = 3,
    eta: Option = 1.0,
    s_noise: Option = 1.0,
) -> Sampler:
    """Extended reverse-time SDE solver.

    max_stage: its order.
    """
    return sampler("er_sde", solver_type=solver_type, max_stage=max_stage, eta=eta, s_noise=s_noise)


@node("SamplerSASolver", category="sampling/custom_sampling/samplers")
def sampler_sa_solver(
    *,
    model: Model,
    eta: Annotated[float, Number(0.0, 10.0, step=0.01, round=False)] = 1.0,
    sde_start_percent: Annotated[float, Number(0.0, 1.0, step=0.001)] = 0.2,
    sde_end_percent: Annotated[float, Number(0.0, 1.0, step=0.001)] = 0.8,
    s_noise: Option = 1.0,
    predictor_order: Annotated[int, Number(1, 6)] = 3,
    corrector_order: Annotated[int, Number(0, 6)] = 4,
    use_pece: bool,
    simple_order_2: bool,
) -> Sampler:
    """Stochastic Adams solver.

    sde_start_percent: where in the sampling noise begins to be added.
    sde_end_percent: and where it ends.
    use_pece: evaluate once more after each correction.
    """
    return sampler(
        "sa_solver",
        eta=eta,
        sde_start_percent=sde_start_percent,
        sde_end_percent=sde_end_percent,
        s_noise=s_noise,
        predictor_order=predictor_order,
        corrector_order=corrector_order,
        use_pece=use_pece,
        simple_order_2=simple_order_2,
    )


@node("SamplerLCMUpscale", category="sampling/custom_sampling/samplers", modern=True)
def sampler_lcm_upscale(
    *,
    scale_ratio: Annotated[float, Number(0.1, 20.0, step=0.01)] = 1.0,
    scale_steps: Annotated[int, Number(-1, 1000, step=1)] = -1,
    upscale_method: Annotated[str, Choice(["bislerp", "nearest-exact", "bilinear", "area", "bicubic"])],
) -> Sampler:
    """LCM steps in which the latent grows.

    scale_ratio: how large it is at the end, relative to the start.
    scale_steps: how many steps to grow in; -1 is half of them.
    """
    return sampler("lcm_upscale", scale_ratio=scale_ratio, scale_steps=scale_steps, upscale_method=upscale_method)


@dataclass(frozen=True)
class SeededNoise:
    seed: int

    def generate_noise(self, latent: LatentDict) -> Tensor:
        return initial_noise(latent["samples"].shape, self.seed, latent.get("batch_index"))


@dataclass(frozen=True)
class WithoutNoise:
    seed: int = 0

    def generate_noise(self, latent: LatentDict) -> Tensor:
        return no_noise(latent["samples"].shape)


@node("RandomNoise", category="sampling/custom_sampling/noise")
def random_noise(*, noise_seed: Annotated[int, SEED] = 0) -> Noise:
    """Noise to start from; one seed is one picture."""
    return SeededNoise(noise_seed)


@node("DisableNoise", category="sampling/custom_sampling/noise")
def disable_noise() -> Noise:
    """Start from the latent as it is."""
    return WithoutNoise()
