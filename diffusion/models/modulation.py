"""Adaptive layer norm of diffusion transformers (arXiv:2212.09748): the time shifts, scales and gates each block."""

import torch
import torch.nn.functional as F
from torch import Tensor

EPSILON = 1e-6


def normed(x: Tensor) -> Tensor:
    """Layer norm without weights; (B, T, D)."""
    return F.layer_norm(x, x.shape[-1:], eps=EPSILON)


def shifted(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """x * (1 + scale) + shift. x: (B, T, D). shift, scale: (B, 1, D)."""
    return torch.addcmul(shift, x, 1 + scale)


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """`normed`, then `shifted`."""
    return shifted(normed(x), shift, scale)


def gated(x: Tensor, gate: Tensor, change: Tensor) -> Tensor:
    """x + gate * change. x, change: (B, T, D). gate: (B, 1, D)."""
    return torch.addcmul(x, gate, change)
