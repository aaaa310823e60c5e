"""Where in a latent a condition acts, and with which weight at each position."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from diffusion.images.batch import repeat_to
from diffusion.sampling.conditioning import Area, Condition

_SMALLEST = 8
_RAMP = 8


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of a latent, in latent positions."""

    height: int
    width: int
    y: int
    x: int

    def of(self, tensor: Tensor) -> Tensor:
        """The view of this rectangle in (…, H, W)."""
        return tensor[..., self.y : self.y + self.height, self.x : self.x + self.width]

    def contains(self, other: "Window") -> bool:
        return (
            self.y <= other.y
            and self.x <= other.x
            and other.y + other.height <= self.y + self.height
            and other.x + other.width <= self.x + self.width
        )


def resized_mask(mask: Tensor, height: int, width: int) -> Tensor:
    """(H, W), (B, H, W) or (B, 1, H, W) of any size to (B, 1, height, width) float32, bilinear without antialiasing."""
    mask = mask.float()
    if mask.ndim < 3:
        mask = mask[None]
    if mask.ndim < 4:
        mask = mask[:, None]
    if mask.shape[2:] == (height, width):
        return mask
    return F.interpolate(mask, size=(height, width), mode="bilinear")


def window_of(condition: Condition, mask: Tensor | None, height: int, width: int) -> Window | None:
    """The part of a height x width latent that a condition is sampled on; None for all of it.

    mask: the condition's, in the latent's size, (B, 1, H, W).
    """
    if condition.within_mask_bounds and mask is not None:
        return _bounds(mask, height, width)
    if condition.area is None:
        return None
    return _inside(_positions(condition.area, height, width), height, width)


def _positions(area: Area, height: int, width: int) -> Window:
    if area.unit == "positions":
        return Window(int(area.height), int(area.width), int(area.y), int(area.x))
    return Window(
        max(1, round(area.height * height)),
        max(1, round(area.width * width)),
        round(area.y * height),
        round(area.x * width),
    )


def _inside(window: Window, height: int, width: int) -> Window:
    if window.y >= height or window.x >= width:
        raise ValueError(
            f"A condition's area begins at row {window.y}, column {window.x}, outside the latent of "
            f"{height} x {width} positions (8 pixels each)"
        )
    return Window(min(window.height, height - window.y), min(window.width, width - window.x), window.y, window.x)


def _bounds(mask: Tensor, height: int, width: int) -> Window:
    """The box around all of a mask, at least 8 positions each way, moved inside where it would stick out."""
    inside = (mask != 0).any(dim=0).any(dim=0)
    rows, columns = inside.any(dim=1).nonzero().flatten(), inside.any(dim=0).nonzero().flatten()
    if len(rows) == 0:
        return Window(min(_SMALLEST, height), min(_SMALLEST, width), 0, 0)
    y, x = int(rows[0]), int(columns[0])
    box = Window(max(int(rows[-1]) - y + 1, _SMALLEST), max(int(columns[-1]) - x + 1, _SMALLEST), y, x)
    return _inside(box, height, width)


def weights_of(condition: Condition, mask: Tensor | None, window: Window | None, shape: torch.Size) -> Tensor:
    """Weight of a condition's estimate by position, (B or 1, 1, h, w) for a window of a latent of `shape`.

    (1, 1, 1, 1) where it is the same everywhere.

    A mask is its weight; without one, strength falls to zero over up to 8 positions (or a quarter of the window)
    towards those edges of the window that are not edges of the picture.
    """
    whole = window or Window(shape[2], shape[3], 0, 0)
    if mask is not None:
        weights = whole.of(mask) * condition.mask_strength
        if len(weights) > 1:
            weights = repeat_to(weights, shape[0])
        return weights * condition.strength
    if window is None:
        return torch.full((1, 1, 1, 1), condition.strength)  # fits a latent that grows while it is sampled, too
    weights = torch.full((1, 1, whole.height, whole.width), condition.strength)
    for dim, start, size, full in ((2, whole.y, whole.height, shape[2]), (3, whole.x, whole.width, shape[3])):
        ramp = min(_RAMP, size // 4)
        for i in range(ramp):
            if start > 0:
                weights.narrow(dim, i, 1).mul_((i + 1) / ramp)
            if start + size < full:
                weights.narrow(dim, size - 1 - i, 1).mul_((i + 1) / ramp)
    return weights
