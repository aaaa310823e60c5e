"""Rotary positions as Flux uses them."""

import torch

from comfy.ldm.modules.attention import optimized_attention


def rope(pos, dim, theta):
    """Rotations for positions, (B, T, dim / 2, 2, 2): arXiv:2104.09864. pos: (B, T)."""
    if dim % 2:
        raise ValueError(f"rotary positions turn pairs, so their width is even; got {dim}")
    rates = 1.0 / theta ** (torch.arange(0, dim, 2, dtype=torch.float64, device=pos.device) / dim)
    angles = torch.einsum("...n,d->...nd", pos.double(), rates)
    turned = torch.stack([angles.cos(), -angles.sin(), angles.sin(), angles.cos()], dim=-1)
    return turned.reshape(*turned.shape[:-1], 2, 2).to(torch.float32)


def apply_rope1(x, freqs_cis):
    pairs = x.to(freqs_cis.dtype).reshape(*x.shape[:-1], -1, 1, 2)
    turned = freqs_cis[..., 0] * pairs[..., 0] + freqs_cis[..., 1] * pairs[..., 1]
    return turned.reshape(*x.shape).type_as(x)


def apply_rope(xq, xk, freqs_cis):
    """Queries and keys, (B, heads, T, D), turned by their positions."""
    return apply_rope1(xq, freqs_cis), apply_rope1(xk, freqs_cis)


def attention(q, k, v, pe, mask=None, transformer_options={}):
    """(B, heads, T, D) → (B, T, heads * D)."""
    if pe is not None:
        q, k = apply_rope(q, k, pe)
    return optimized_attention(q, k, v, q.shape[1], skip_reshape=True, mask=mask)
