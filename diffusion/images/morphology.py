"""Growing and shrinking bright regions, of pictures and masks (…, H, W). Nothing beyond the border counts."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def dilate(x: Tensor, size: int) -> Tensor:
    """The largest value in a square of `size` around each cell; an even square reaches further up and left.

    x: (B, C, H, W). Rows, then columns: the maximum over a square is a maximum of maxima.
    """
    before, after = size // 2, size - size // 2 - 1
    low = -torch.inf
    x = F.max_pool2d(F.pad(x, (before, after, 0, 0), value=low), (1, size), 1)
    return F.max_pool2d(F.pad(x, (0, 0, before, after), value=low), (size, 1), 1)


def erode(x: Tensor, size: int) -> Tensor:
    """The smallest value in the square."""
    return -dilate(-x, size)


def opening(x: Tensor, size: int) -> Tensor:
    return dilate(erode(x, size), size)


def closing(x: Tensor, size: int) -> Tensor:
    return erode(dilate(x, size), size)


OPERATIONS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "erode": erode,
    "dilate": dilate,
    "open": opening,
    "close": closing,
    "gradient": lambda x, size: dilate(x, size) - erode(x, size),
    "bottom_hat": lambda x, size: closing(x, size) - x,
    "top_hat": lambda x, size: x - opening(x, size),
}


def grow(mask: Tensor, by: int, tapered: bool) -> Tensor:
    """mask: (B, H, W) grown by that many pixels, shrunk for a negative number.

    tapered: in diamonds (distance along the axes), else in squares.
    """
    if by < 0:
        return -grow(-mask, -by, tapered)
    x = mask.clone()[:, None]
    by = min(by, mask.shape[-1] + mask.shape[-2])  # further than that, nothing changes any more
    if not tapered:
        return dilate(x, 2 * by + 1)[:, 0]
    for _ in range(by):
        grown = torch.maximum(dilate_row(x), dilate_row(x.mT).mT)
        if torch.equal(grown, x):
            break
        x = grown
    return x[:, 0]


def dilate_row(x: Tensor) -> Tensor:
    """The largest of each cell and its two neighbours in the row."""
    return F.max_pool2d(x, (1, 3), 1, (0, 1))
