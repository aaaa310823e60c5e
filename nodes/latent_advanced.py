"""Arithmetic of latents: menus `latent/advanced` and `latent/advanced/operations`."""

from typing import Annotated

import torch
from torch import Tensor

from diffusion.images import latent_operations
from diffusion.images.batch import repeat_to
from diffusion.images.resize import resize
from nodes.declare import node
from nodes.markers import Choice, Number
from nodes.wire import Latent, LatentOperation

AXES = {"x": -1, "y": -2, "t": -3}


def sized(first: Tensor, second: Tensor) -> Tensor:
    """The second latent at the size of the first."""
    if first.shape[1:] == second.shape[1:]:
        return second
    return resize(second, first.shape[-1], first.shape[-2], "bilinear", crop=True)


def like(first: Tensor, second: Tensor) -> Tensor:
    """The second latent at the size and batch of the first."""
    return repeat_to(sized(first, second), len(first))


@node("LatentAdd", category="latent/advanced", modern=True)
def latent_add(*, samples1: Latent, samples2: Latent) -> Latent:
    """Add two latents."""
    first = samples1["samples"]
    return {**samples1, "samples": first + like(first, samples2["samples"])}


@node("LatentSubtract", category="latent/advanced", modern=True)
def latent_subtract(*, samples1: Latent, samples2: Latent) -> Latent:
    """Subtract the second latent from the first."""
    first = samples1["samples"]
    return {**samples1, "samples": first - like(first, samples2["samples"])}


@node("LatentMultiply", category="latent/advanced", modern=True)
def latent_multiply(*, samples: Latent, multiplier: Annotated[float, Number(-10, 10, step=0.01)] = 1.0) -> Latent:
    """Scale the values of a latent."""
    return {**samples, "samples": samples["samples"] * multiplier}


@node("LatentInterpolate", category="latent/advanced", modern=True)
def latent_interpolate(
    *, samples1: Latent, samples2: Latent, ratio: Annotated[float, Number(0, 1, step=0.01)] = 1.0
) -> Latent:
    """Mix two latents without the greying of an average; 1 keeps the first."""
    first = samples1["samples"]
    return {**samples1, "samples": latent_operations.interpolate(first, like(first, samples2["samples"]), ratio)}


@node("LatentConcat", category="latent/advanced", modern=True)
def latent_concat(
    *, samples1: Latent, samples2: Latent, dim: Annotated[str, Choice(["x", "-x", "y", "-y", "t", "-t"])]
) -> Latent:
    """Join two latents side by side.

    dim: along which axis; with a minus the second comes first.
    """
    first, second = samples1["samples"], repeat_to(samples2["samples"], len(samples1["samples"]))
    pair = (second, first) if dim.startswith("-") else (first, second)
    return {**samples1, "samples": torch.cat(pair, dim=AXES[dim[-1]])}


@node("LatentCut", category="latent/advanced", modern=True)
def latent_cut(
    *,
    samples: Latent,
    dim: Annotated[str, Choice(["x", "y", "t"])],
    index: Annotated[int, Number(-16384, 16384, step=1)] = 0,
    amount: Annotated[int, Number(1, 16384, step=1)] = 1,
) -> Latent:
    """Cut a slice out of a latent.

    index: where it begins, in latent cells; negative counts from the end.
    amount: how many cells.
    """
    whole, axis = samples["samples"], AXES[dim]
    size = whole.shape[axis]
    start = min(index, size - 1) if index >= 0 else max(0, size + index)
    return {**samples, "samples": whole.narrow(axis, start, min(amount, size - start)).clone()}


@node("LatentBatchSeedBehavior", category="latent/advanced", modern=True)
def latent_batch_seed_behavior(
    *, samples: Latent, seed_behavior: Annotated[str, Choice(["random", "fixed"])] = "fixed"
) -> Latent:
    """Choose whether all latents of a batch get the same noise.

    seed_behavior: fixed gives every latent the noise of the first.
    """
    changed: Latent = {**samples}
    indices = changed.pop("batch_index", [0])
    if seed_behavior == "fixed":
        changed["batch_index"] = [indices[0]] * len(samples["samples"])
    return changed


@node("LatentApplyOperation", category="latent/advanced/operations", modern=True, experimental=True)
def latent_apply_operation(*, samples: Latent, operation: LatentOperation) -> Latent:
    """Apply an operation to a latent."""
    return {**samples, "samples": operation(latent=samples["samples"].clone())}


@node("LatentOperationTonemapReinhard", category="latent/advanced/operations", modern=True, experimental=True)
def latent_operation_tonemap_reinhard(
    *, multiplier: Annotated[float, Number(0, 100, step=0.01)] = 1.0
) -> LatentOperation:
    """Compress values that are far above the rest, as high cfg makes them.

    multiplier: lower compresses more.
    """
    return latent_operations.TonemapReinhard(multiplier)


@node("LatentOperationSharpen", category="latent/advanced/operations", modern=True, experimental=True)
def latent_operation_sharpen(
    *,
    sharpen_radius: Annotated[int, Number(1, 31, step=1)] = 9,
    sigma: Annotated[float, Number(0.1, 10, step=0.1)] = 1.0,
    alpha: Annotated[float, Number(0, 5, step=0.01)] = 0.1,
) -> LatentOperation:
    """Sharpen a latent."""
    return latent_operations.Sharpen(sharpen_radius, sigma, alpha)
