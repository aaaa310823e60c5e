"""Solvers as functions `sample_<name>(model, x, sigmas, extra_args=, callback=, disable=, …)`, and what packs build
their own of. The solvers are the library's; packs put more functions beside them, and replace `default_noise_sampler`.
"""

import torch

from compat.inside import native_sampler
from diffusion.sampling.noise import BrownianNoise
from diffusion.sampling.solvers import SOLVERS


def append_zero(x):
    return torch.cat([x, x.new_zeros([1])])


def append_dims(x, target_dims):
    """Dimensions of size 1 at the end, up to so many."""
    missing = target_dims - x.ndim
    if missing < 0:
        raise ValueError(f"a tensor of {x.ndim} dimensions cannot be given only {target_dims}")
    return x[(...,) + (None,) * missing]


def get_sigmas_karras(n, sigma_min, sigma_max, rho=7.0, device="cpu"):
    """Levels after Karras et al. (arXiv:2206.00364, eq. 5), and a 0."""
    from diffusion.sampling.schedules import karras

    return karras(n, float(sigma_min), float(sigma_max), rho).to(device)


def get_sigmas_exponential(n, sigma_min, sigma_max, device="cpu"):
    from diffusion.sampling.schedules import exponential

    return exponential(n, float(sigma_min), float(sigma_max)).to(device)


def get_sigmas_polyexponential(n, sigma_min, sigma_max, rho=1.0, device="cpu"):
    from diffusion.sampling.schedules import polyexponential

    return polyexponential(n, float(sigma_min), float(sigma_max), rho).to(device)


def get_sigmas_vp(n, beta_d=19.9, beta_min=0.1, eps_s=1e-3, device="cpu"):
    from diffusion.sampling.schedules import variance_preserving

    return variance_preserving(n, beta_d, beta_min, eps_s).to(device)


def get_sigmas_laplace(n, sigma_min, sigma_max, mu=0.0, beta=0.5, device="cpu"):
    from diffusion.sampling.schedules import laplace

    return laplace(n, float(sigma_min), float(sigma_max), mu, beta).to(device)


def to_d(x, sigma, denoised):
    """The slope of the probability-flow ODE."""
    return (x - denoised) / append_dims(sigma, x.ndim)


def get_ancestral_step(sigma_from, sigma_to, eta=1.0):
    """(sigma to go down to, deviation of the noise to add)."""
    if not eta:
        return sigma_to, 0.0
    up = eta * (sigma_to**2 * (sigma_from**2 - sigma_to**2) / sigma_from**2) ** 0.5
    up = (
        torch.minimum(sigma_to, up)
        if isinstance(sigma_to, torch.Tensor) and isinstance(up, torch.Tensor)
        else min(sigma_to, up)
    )
    return (sigma_to**2 - up**2) ** 0.5, up


def default_noise_sampler(x, seed=None):
    """noise(sigma, sigma_next): fresh draws shaped as x."""
    if seed is None:
        return lambda sigma, sigma_next: torch.randn_like(x)
    generator = torch.Generator(device=x.device).manual_seed(seed % 2**64)
    return lambda sigma, sigma_next: torch.randn(
        x.size(), dtype=x.dtype, layout=x.layout, device=x.device, generator=generator
    )


class BrownianTreeNoiseSampler:
    """noise(sigma, sigma_next) from one Brownian path, so that any two subdivisions see the same path.

    seed: a number, or one for each row. transform: of the levels. cpu: draw there.
    """

    def __init__(self, x, sigma_min, sigma_max, seed=None, transform=lambda x: x, cpu=False):
        self.transform = transform
        low, high = (float(transform(torch.as_tensor(float(level)))) for level in (sigma_min, sigma_max))
        seeds = (
            [int(torch.randint(0, 2**62, []))] if seed is None else seed if isinstance(seed, (list, tuple)) else [seed]
        )
        device = "cpu" if cpu else x.device
        rows = x.split(1) if len(seeds) > 1 else [x]
        self._paths = [
            BrownianNoise(row, min(low, high), max(low, high), int(one), device)
            for row, one in zip(rows, seeds, strict=True)
        ]

    def __call__(self, sigma, sigma_next):
        low = float(self.transform(torch.as_tensor(float(sigma))))
        high = float(self.transform(torch.as_tensor(float(sigma_next))))
        return torch.cat([path(low, high) for path in self._paths])


class PIDStepSizeController:
    """Step sizes of adaptive solvers (arXiv:1009.5687, §3.3 and the code published with k-diffusion)."""

    def __init__(self, h, pcoeff, icoeff, dcoeff, order=1, accept_safety=0.81, eps=1e-8):
        self.h = h
        self.b1 = (pcoeff + icoeff + dcoeff) / order
        self.b2 = -(pcoeff + 2 * dcoeff) / order
        self.b3 = dcoeff / order
        self.accept_safety = accept_safety
        self.eps = eps
        self.errs = []

    def limiter(self, x):
        import math

        return 1 + math.atan(x - 1)

    def propose_step(self, error):
        inverse = 1 / (float(error) + self.eps)
        if not self.errs:
            self.errs = [inverse] * 3
        self.errs[0] = inverse
        factor = self.limiter(self.errs[0] ** self.b1 * self.errs[1] ** self.b2 * self.errs[2] ** self.b3)
        accept = factor >= self.accept_safety
        if accept:
            self.errs[2], self.errs[1] = self.errs[1], self.errs[0]
        self.h *= factor
        return accept


def linear_multistep_coeff(order, t, i, j):
    """The integral of the j-th Lagrange polynomial over step i of t."""
    from numpy.polynomial import Polynomial

    polynomial = Polynomial([1.0])
    for k in range(order):
        if k != j:
            polynomial *= Polynomial([-t[i - k], 1.0]) / (t[i - j] - t[i - k])
    whole = polynomial.integ()
    return float(whole(t[i + 1]) - whole(t[i]))


def sigma_to_half_log_snr(sigma, model_sampling):
    """Half the logarithm of the signal-to-noise ratio."""
    from comfy.model_sampling import CONST

    if isinstance(model_sampling, CONST):
        return sigma.logit().neg()
    return sigma.log().neg()


def half_log_snr_to_sigma(half_log_snr, model_sampling):
    from comfy.model_sampling import CONST

    if isinstance(model_sampling, CONST):
        return half_log_snr.neg().sigmoid()
    return half_log_snr.neg().exp()


def offset_first_sigma_for_snr(sigmas, model_sampling, percent_offset=1e-4):
    """A first level of a flow that holds some signal."""
    from comfy.model_sampling import CONST

    if len(sigmas) > 1 and isinstance(model_sampling, CONST) and sigmas[0] >= 1:
        sigmas = sigmas.clone()
        sigmas[0] = model_sampling.percent_to_sigma(percent_offset)
    return sigmas


def ei_h_phi_1(h):
    return torch.expm1(h)


def ei_h_phi_2(h):
    return (torch.expm1(h) - h) / h


def _solver(name):
    def sample(model, x, sigmas, extra_args=None, callback=None, disable=None, noise_sampler=None, **options):
        return native_sampler.solve(name, model, x, sigmas, extra_args, callback, noise_sampler, options)

    sample.__name__ = sample.__qualname__ = f"sample_{name}"
    sample.__doc__ = f"The solver {name!r}; options are its own."
    return torch.no_grad()(sample)


for _name in SOLVERS:
    globals()[f"sample_{_name}"] = _solver(_name)
