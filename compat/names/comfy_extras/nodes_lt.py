"""LTX-Video: not offered; what packs inherit from is there, so that they load."""

import torch

from compat.inside.classes import absent

LTXVAddGuide = absent("comfy_extras.nodes_lt.LTXVAddGuide", object)


def get_noise_mask(latent):
    """The mask of a latent of frames, (B, 1, T, 1, 1); ones where it has none."""
    mask = latent.get("noise_mask")
    if mask is not None:
        return mask.clone()
    batch, _, frames = latent["samples"].shape[:3]
    return torch.ones((batch, 1, frames, 1, 1), dtype=torch.float32, device=latent["samples"].device)
