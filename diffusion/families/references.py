"""Latents a network is shown beside its own, as further tokens: pictures to edit or to follow (Flux Kontext)."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from diffusion.families.family import InputsWanted
from diffusion.models.patches import PATCH
from diffusion.patches.hooks import Extra

Method = Literal["offset", "index", "uxo"]


def references(wanted: InputsWanted) -> Extra:
    """What `models.flux.Pictures` takes: latents in model scale, and where each lies beside the network's own.

    Options: "reference_latents", (B, C, h, w) in VAE scale each, and "reference_latents_method".
    """
    given: Sequence[Tensor] = wanted.options.get("reference_latents") or ()
    if not given:
        return {}
    method: Method = wanted.options.get("reference_latents_method", "offset")
    sizes = [(latent.shape[2], latent.shape[3]) for latent in given]
    own = (wanted.image.shape[2], wanted.image.shape[3])
    return {
        "references": tuple(wanted.latent.to_model(latent) for latent in given),
        "reference_places": tuple(torch.tensor([place]) for place in places(sizes, own, method)),
    }


def places(sizes: Sequence[tuple[int, int]], own: tuple[int, int], method: Method) -> list[tuple[float, float, float]]:
    """(which picture, top row, left column) of each reference, counted in patches.

    sizes, own: height and width in latent positions. offset: all on one sheet behind the picture, each new one where
    the sheet grows least. index: each on a sheet of its own. uxo: along the diagonal of the picture's own sheet.
    """
    found: list[tuple[float, float, float]] = []
    height, width = own if method == "uxo" else (0, 0)
    for number, (h, w) in enumerate(sizes, start=1):
        if method == "index":
            found.append((float(number), 0.0, 0.0))
        elif method == "uxo":
            found.append((0.0, _patches(height), _patches(width)))
            height, width = height + h, width + w
        else:
            top, left = (0, width) if h + height > w + width else (height, 0)
            height, width = max(height, h + top), max(width, w + left)
            found.append((1.0, _patches(top), _patches(left)))
    return found


def _patches(positions: int) -> float:
    return float(-(-positions // PATCH))
