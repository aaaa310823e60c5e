"""Batches of latents: menu `latent/batch`.

A latent taken out of a batch remembers its place there (`batch_index`), so that it gets the noise it would have had.
"""

from typing import Annotated

import torch
from torch import Tensor

from diffusion.images.batch import repeat_to
from nodes.declare import node
from nodes.latent_advanced import sized
from nodes.markers import Number
from nodes.wire import Latent, LatentDict


def indices(latent: LatentDict) -> list[int]:
    return list(latent.get("batch_index") or range(len(latent["samples"])))


@node("LatentBatch", category="latent/batch", modern=True)
def latent_batch(*, samples1: Latent, samples2: Latent) -> Latent:
    """Put latents into one batch; the second ones are scaled and cropped to the size of the first."""
    first = samples1["samples"]
    joined: Latent = {**samples1, "samples": torch.cat((first, sized(first, samples2["samples"])))}
    joined["batch_index"] = indices(samples1) + indices(samples2)
    return joined


@node("LatentFromBatch", category="latent/batch", title="Latent From Batch")
def latent_from_batch(
    *, samples: Latent, batch_index: Annotated[int, Number(0, 63)] = 0, length: Annotated[int, Number(1, 64)] = 1
) -> Latent:
    """Take latents out of a batch; a position past the end takes the last one."""
    whole = samples["samples"]
    start = min(max(0, batch_index), len(whole) - 1)
    end = min(start + length, len(whole))
    taken: Latent = {**samples, "samples": whole[start:end].clone()}
    mask = samples.get("noise_mask")
    if mask is not None:
        taken["noise_mask"] = mask.clone() if len(mask) == 1 else repeat_to(mask, len(whole))[start:end].clone()
    taken["batch_index"] = indices(samples)[start:end]
    return taken


@node("RepeatLatentBatch", category="latent/batch", title="Repeat Latent Batch")
def repeat_latent_batch(*, samples: Latent, amount: Annotated[int, Number(1, 64)] = 1) -> Latent:
    """Repeat a batch; the copies get noise of their own."""
    whole = samples["samples"]
    repeated: Latent = {**samples, "samples": whole.repeat(amount, *[1] * (whole.ndim - 1))}
    mask = samples.get("noise_mask")
    if mask is not None and len(mask) > 1:
        repeated["noise_mask"] = repeat_to(repeat_to(mask, len(whole)), len(whole) * amount)
    if "batch_index" in samples:
        places = indices(samples)
        span = max(places) - min(places) + 1
        repeated["batch_index"] = [place + span * turn for turn in range(amount) for place in places]
    return repeated


@node("RebatchLatents", category="latent/batch", title="Rebatch Latents")
def rebatch_latents(*, latents: list[Latent], batch_size: Annotated[int, Number(1, 4096)] = 1) -> list[Latent]:
    """Make batches of another size out of all latents; a change of latent size begins a new batch."""
    batches: list[list[tuple[Tensor, Tensor, int]]] = []
    taken = 0
    for latent in latents:
        places = latent.get("batch_index") or range(taken, taken + len(latent["samples"]))
        taken += len(latent["samples"])
        for sample, mask, place in zip(latent["samples"], masks_of(latent), places, strict=True):
            last = batches[-1] if batches else None
            if last is None or len(last) == batch_size or last[0][0].shape != sample.shape:
                batches.append([])
            batches[-1].append((sample, mask, place))
    masked = any("noise_mask" in latent for latent in latents)
    return [joined(batch, masked) for batch in batches]


def masks_of(latent: LatentDict) -> Tensor:
    """One noise mask per latent, at eight times its size; all ones where there is none."""
    samples = latent["samples"]
    height, width = samples.shape[-2] * 8, samples.shape[-1] * 8
    mask = latent.get("noise_mask")
    if mask is None:
        return torch.ones(len(samples), 1, height, width)
    mask = mask.reshape(-1, 1, *mask.shape[-2:])
    if mask.shape[-2:] != (height, width):
        mask = torch.nn.functional.interpolate(mask, size=(height, width), mode="bilinear")
    return repeat_to(mask, len(samples))


def joined(batch: list[tuple[Tensor, Tensor, int]], masked: bool) -> LatentDict:
    latent: LatentDict = {
        "samples": torch.stack([sample for sample, _, _ in batch]),
        "batch_index": [place for _, _, place in batch],
    }
    if masked:
        latent["noise_mask"] = torch.stack([mask for _, mask, _ in batch])
    return latent
