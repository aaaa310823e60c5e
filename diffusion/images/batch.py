"""Making batches fit each other."""

import torch
import torch.nn.functional as F
from torch import Tensor


def repeat_to(x: Tensor, batch: int) -> Tensor:
    """x: (B, …) → (batch, …): the items over and over, or the first ones."""
    if len(x) == batch:
        return x
    return x.repeat(-(-batch // len(x)), *[1] * (x.ndim - 1))[:batch]


def extend_to(x: Tensor, batch: int) -> Tensor:
    """x: (B, …) → (max(B, batch), …): the last item repeated."""
    return torch.cat([x, x[-1:].expand(batch - len(x), *x.shape[1:])]) if len(x) < batch else x


def with_channels(image: Tensor, channels: int) -> Tensor:
    """image: (B, H, W, C) → (B, H, W, channels): surplus channels dropped, missing ones opaque (1)."""
    missing = channels - image.shape[-1]
    return F.pad(image, (0, missing), value=1.0) if missing > 0 else image[..., :channels]


def same_channels(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Two (B, H, W, C), the one without alpha made opaque."""
    channels = max(a.shape[-1], b.shape[-1])
    return with_channels(a, channels), with_channels(b, channels)
