"""Latents as tokens: a transformer sees one token for each small square of positions."""

import torch.nn.functional as F
from torch import Tensor

PATCH = 2
"""Positions along each side of a patch, in every line so far."""


def padded(latent: Tensor, patch: int = PATCH) -> Tensor:
    """(B, C, H, W) with H and W made multiples of `patch`: the picture begins anew beyond its right and lower edge."""
    bottom, right = -latent.shape[2] % patch, -latent.shape[3] % patch
    return F.pad(latent, (0, right, 0, bottom), mode="circular") if bottom or right else latent


def channels_first_tokens(latent: Tensor, patch: int = PATCH) -> Tensor:
    """(B, C, H, W) to (B, H W / p², C p²); within a token (channel, row, column)."""
    batch, channels, height, width = latent.shape
    rows = latent.view(batch, channels, height // patch, patch, width // patch, patch)
    return rows.permute(0, 2, 4, 1, 3, 5).reshape(batch, -1, channels * patch * patch)


def from_channels_first(tokens: Tensor, height: int, width: int, patch: int = PATCH) -> Tensor:
    """The inverse: (B, T, C p²) to (B, C, height, width)."""
    batch, _, features = tokens.shape
    channels = features // patch**2
    rows = tokens.view(batch, height // patch, width // patch, channels, patch, patch)
    return rows.permute(0, 3, 1, 4, 2, 5).reshape(batch, channels, height, width)


def channels_last_tokens(latent: Tensor, patch: int = PATCH) -> Tensor:
    """(B, C, H, W) to (B, H W / p², C p²); within a token (row, column, channel)."""
    batch, channels, height, width = latent.shape
    rows = latent.view(batch, channels, height // patch, patch, width // patch, patch)
    return rows.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, channels * patch * patch)


def from_channels_last(tokens: Tensor, height: int, width: int, patch: int = PATCH) -> Tensor:
    """The inverse: (B, T, C p²) to (B, C, height, width)."""
    batch, _, features = tokens.shape
    channels = features // patch**2
    rows = tokens.view(batch, height // patch, width // patch, patch, patch, channels)
    return rows.permute(0, 5, 1, 3, 2, 4).reshape(batch, channels, height, width)
