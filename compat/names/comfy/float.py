"""Rounding to small floats."""

import torch


def stochastic_rounding(value, dtype, seed=0):
    """Up or down with a probability in proportion to the distance, for 8-bit floats; plain rounding for others."""
    if dtype in (torch.float32, torch.float16, torch.bfloat16, torch.float64):
        return value.to(dtype)
    generator = torch.Generator(device=value.device).manual_seed(seed)
    mantissa = {torch.float8_e4m3fn: 3, torch.float8_e5m2: 2}.get(dtype)
    if mantissa is None:
        return value.to(dtype)
    info = torch.finfo(dtype)
    full = value.float()
    least = {3: -6, 2: -14}[mantissa]
    exponent = torch.floor(torch.log2(full.abs().clamp(min=2.0**-40))).clamp(min=least)
    step = torch.exp2(exponent - mantissa)
    noise = torch.rand(full.shape, device=value.device, generator=generator)
    return (torch.floor(full / step + noise) * step).clamp(info.min, info.max).to(dtype)
