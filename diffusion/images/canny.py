"""Edges after Canny, "A Computational Approach to Edge Detection" (1986): blur, gradient, thin, follow."""

import torch
import torch.nn.functional as F
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""ITU-R BT.601."""
# The neighbour along each of the gradient's eight directions, counted in steps of 45° from the right, clockwise since
# rows go down.
NEIGHBOURS = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))


def canny(image: Tensor, low: float, high: float) -> Tensor:
    """image: (B, C, H, W) with C 1, 3 or 4, 0…1 → edges (B, 1, H, W), each 0 or 1.

    low, high: thresholds of the gradient (Sobel, of a ramp from 0 to 1 over one pixel it is 4). A pixel over `high` is
    an edge; one over `low` is if it touches an edge.
    """
    if low > high:
        raise ValueError(f"expected a low threshold of at most the high one, got {low} > {high}")
    grey = (
        image[:, :1]
        if image.shape[1] < 3
        else (image[:, :3] * torch.tensor(LUMA).to(image)[:, None, None]).sum(1, True)
    )
    bell = torch.exp(-torch.arange(-2.0, 3.0).square() / 2).to(image)
    bell = bell / bell.sum()
    smooth = correlate(grey, bell[:, None] * bell, "reflect" if min(grey.shape[-2:]) > 2 else "replicate")
    sobel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]).to(image)
    across, down = correlate(smooth, sobel, "replicate"), correlate(smooth, sobel.T, "replicate")
    strength = torch.hypot(across, down)
    ridge = thin(strength, across, down)
    return follow(ridge > low, ridge > high).to(image)


def correlate(x: Tensor, kernel: Tensor, border: str) -> Tensor:
    reach = kernel.shape[-1] // 2
    return F.conv2d(F.pad(x, [reach] * 4, mode=border), kernel[None, None])


def thin(strength: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Keeps a value only where it exceeds both neighbours along its gradient; the rest becomes 0."""
    direction = torch.round(torch.atan2(down, across) * (4 / torch.pi)).long() % 8
    height, width = strength.shape[-2:]
    padded = F.pad(strength, (1, 1, 1, 1))
    around = torch.cat([padded[..., 1 + r : 1 + r + height, 1 + c : 1 + c + width] for r, c in NEIGHBOURS], dim=1)
    ahead, behind = around.gather(1, direction), around.gather(1, (direction + 4) % 8)
    return torch.where((strength > ahead) & (strength > behind), strength, 0)


def follow(weak: Tensor, strong: Tensor) -> Tensor:
    """Strong pixels, and the weak ones that a chain of weak ones joins to a strong one. Bool (B, 1, H, W)."""
    edges = strong
    while True:
        grown = weak & (F.max_pool2d(edges.float(), 3, 1, 1) > 0)
        if torch.equal(grown, edges):
            return edges
        edges = grown
