"""Latents in files: safetensors with the tensor `latent_tensor`.

An empty tensor `latent_format_version_0` says that values are in VAE scale. Older files without it hold the scale
networks of the Stable Diffusion 1 line work in, 0.18215 times that.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

LATENT = "latent_tensor"
VERSION = "latent_format_version_0"
OLD_SCALE = 0.18215


def encode_latent(samples: Tensor, texts: Mapping[str, str]) -> bytes:
    """samples in VAE scale. texts go into the header's metadata."""
    tensors = {LATENT: samples.contiguous(), VERSION: torch.empty(0)}
    return save(tensors, metadata=dict(texts) or None)


def read_latent_file(path: Path) -> Tensor:
    """Samples in VAE scale, float32. Raises ValueError for a file of another kind."""
    try:
        tensors = load(path.read_bytes())
    except (SafetensorError, OSError) as cause:
        raise ValueError(f"{path.name} is not a latent file: {cause}") from cause
    if LATENT not in tensors:
        raise ValueError(f"{path.name} holds no latent; expected a tensor {LATENT!r}, got {sorted(tensors)[:5]}")
    samples = tensors[LATENT].float()
    return samples if VERSION in tensors else samples / OLD_SCALE
