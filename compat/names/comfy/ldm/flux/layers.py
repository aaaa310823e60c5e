"""Layers of Flux. Of the blocks the classes are ours where the network is."""

import math
from dataclasses import dataclass

import torch
from torch import nn

from comfy.ldm.flux.math import attention as attention
from comfy.ldm.flux.math import rope
from compat.inside.classes import ours


def timestep_embedding(t, dim, max_period=10000, time_factor=1000.0):
    """Cosines, then sines, of t * time_factor: (B,) → (B, dim)."""
    half = dim // 2
    rates = torch.exp(-math.log(max_period) * torch.arange(half, dtype=torch.float32, device=t.device) / half)
    angles = (time_factor * t)[:, None].float() * rates[None]
    made = torch.cat([angles.cos(), angles.sin()], dim=-1)
    if dim % 2:
        made = torch.cat([made, torch.zeros_like(made[:, :1])], dim=-1)
    return made.to(t) if t.is_floating_point() else made


class EmbedND(nn.Module):
    """Rotations for positions along several axes, (B, 1, T, sum of widths / 2, 2, 2). ids: (B, T, axes)."""

    def __init__(self, dim, theta, axes_dim):
        super().__init__()
        self.dim, self.theta, self.axes_dim = dim, theta, axes_dim

    def forward(self, ids):
        parts = [rope(ids[..., i], width, self.theta) for i, width in enumerate(self.axes_dim)]
        return torch.cat(parts, dim=-3).unsqueeze(1)


@dataclass
class ModulationOut:
    shift: torch.Tensor
    scale: torch.Tensor
    gate: torch.Tensor


def apply_mod(tensor, m_mult, m_add=None, modulation_dims=None):
    if modulation_dims is None:
        return tensor * m_mult + m_add if m_add is not None else tensor * m_mult
    for start, end, row in modulation_dims:
        tensor[:, start:end] *= m_mult[:, row]
        if m_add is not None:
            tensor[:, start:end] += m_add[:, row]
    return tensor


DoubleStreamBlock = ours("diffusion.models.flux", "DoubleBlock", "comfy.ldm.flux.layers.DoubleStreamBlock")
SingleStreamBlock = ours("diffusion.models.flux", "SingleBlock", "comfy.ldm.flux.layers.SingleStreamBlock")
MLPEmbedder = ours("diffusion.models.flux", "Embedder", "comfy.ldm.flux.layers.MLPEmbedder")
Modulation = ours("diffusion.models.flux", "Modulation", "comfy.ldm.flux.layers.Modulation")
LastLayer = ours("diffusion.models.flux", "LastLayer", "comfy.ldm.flux.layers.LastLayer")
QKNorm = ours("diffusion.models.flux", "QKNorm", "comfy.ldm.flux.layers.QKNorm")
SelfAttention = ours("diffusion.models.flux", "SelfAttention", "comfy.ldm.flux.layers.SelfAttention")
