"""Parts of diffusion networks."""

import torch

from diffusion.models.embeddings import sinusoidal


def timestep_embedding(timesteps, dim, max_period=10000, repeat_only=False):
    """Cosines, then sines, (B, dim)."""
    if repeat_only:
        return timesteps[:, None].repeat(1, dim)
    if max_period == 10000 and dim % 2 == 0:
        return sinusoidal(timesteps, dim)
    half = dim // 2
    rates = torch.exp(-torch.log(torch.tensor(float(max_period))) * torch.arange(half, dtype=torch.float32) / half)
    angles = timesteps[:, None].float() * rates.to(timesteps.device)[None]
    made = torch.cat([angles.cos(), angles.sin()], dim=-1)
    return torch.cat([made, torch.zeros_like(made[:, :1])], dim=-1) if dim % 2 else made


def checkpoint(func, inputs, params, flag):
    return func(*inputs)


def avg_pool_nd(dims, *args, **kwargs):
    return {1: torch.nn.AvgPool1d, 2: torch.nn.AvgPool2d, 3: torch.nn.AvgPool3d}[dims](*args, **kwargs)


def mean_flat(tensor):
    return tensor.mean(dim=list(range(1, tensor.ndim)))


def make_beta_schedule(schedule, n_timestep, linear_start=1e-4, linear_end=2e-2, cosine_s=8e-3):
    """Variances; "linear" is the square of a line between roots."""
    if schedule == "linear":
        return torch.linspace(linear_start**0.5, linear_end**0.5, n_timestep, dtype=torch.float64) ** 2
    if schedule == "sqrt_linear":
        return torch.linspace(linear_start, linear_end, n_timestep, dtype=torch.float64)
    if schedule == "sqrt":
        return torch.linspace(linear_start, linear_end, n_timestep, dtype=torch.float64) ** 0.5
    raise ValueError(f"there is no schedule {schedule!r} of variances; there are linear, sqrt_linear and sqrt")
