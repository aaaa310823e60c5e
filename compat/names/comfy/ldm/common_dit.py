"""What transformers on latents share."""

import math

import torch


def pad_to_patch_size(img, patch_size=(2, 2), padding_mode="circular"):
    """(B, C, …) with its last dimensions grown to whole patches."""
    if padding_mode == "circular" and (torch.jit.is_tracing() or torch.jit.is_scripting()):
        padding_mode = "reflect"
    padding = []
    for size, patch in zip(reversed(img.shape[2:]), reversed(patch_size), strict=False):
        padding += [0, math.ceil(size / patch) * patch - size]
    return torch.nn.functional.pad(img, tuple(padding), mode=padding_mode) if any(padding) else img


def rms_norm(x, weight=None, eps=1e-6):
    """x by its root mean square over the last dimension."""
    if weight is None:
        return torch.nn.functional.rms_norm(x, (x.shape[-1],), eps=eps)
    return torch.nn.functional.rms_norm(x, weight.shape, weight=weight.to(x), eps=eps)
