"""Blurring and sharpening. Pictures and latents are (B, C, H, W)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def gaussian_kernel(radius: int, sigma: float) -> Tensor:
    """(2 radius + 1, 2 radius + 1), sums to 1. sigma is in units of the radius: the outermost row is at distance 1."""
    at = torch.linspace(-1, 1, 2 * radius + 1)
    bell = torch.exp(-at.square() / (2 * sigma * sigma))
    kernel = bell[:, None] * bell
    return kernel / kernel.sum()


def mirrored(size: int, radius: int) -> Tensor:
    """Which cell lies at -radius … size - 1 + radius when the row is mirrored at its ends, as often as it takes."""
    period = max(1, 2 * (size - 1))
    at = torch.arange(-radius, size + radius).abs() % period
    return torch.minimum(at, period - at) if size > 1 else torch.zeros_like(at)


def reflect(x: Tensor, radius: int) -> Tensor:
    """x with `radius` mirrored cells on each side."""
    return x[..., mirrored(x.shape[-2], radius)[:, None], mirrored(x.shape[-1], radius)]


def convolve(x: Tensor, kernel: Tensor) -> Tensor:
    """The same kernel (K, K), K odd, over each channel; the borders are mirrored."""
    channels = x.shape[1]
    weight = kernel.to(x).expand(channels, 1, *kernel.shape)
    return F.conv2d(reflect(x, kernel.shape[-1] // 2), weight, groups=channels)


def blur(x: Tensor, radius: int, sigma: float) -> Tensor:
    """sigma in units of the radius, see `gaussian_kernel`."""
    return convolve(x, gaussian_kernel(radius, sigma))


def sharpen(x: Tensor, radius: int, sigma: float, amount: float) -> Tensor:
    """Unsharp masking: x plus `amount` times what a blur would take away. Not clipped."""
    kernel = -amount * gaussian_kernel(radius, sigma)
    kernel[radius, radius] += 1 + amount
    return convolve(x, kernel)
