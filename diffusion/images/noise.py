"""Noise on pictures."""

import torch
from torch import Tensor


def add_noise(image: Tensor, seed: int, strength: float) -> Tensor:
    """image of any shape, 0…1, plus Gaussian noise of deviation `strength`, clipped to 0…1.

    Drawn on the CPU: one seed is one picture on every device.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(image.shape, generator=generator).to(image)
    return (image + strength * noise).clamp(0, 1)
