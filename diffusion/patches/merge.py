"""Merging: arithmetic between the weights of two models of one line, as patches on the first."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from diffusion.checkpoints.packing import true_weights
from diffusion.handles import Model, TextEncoders, WeightPatch
from diffusion.ops.stored import tensor_of
from diffusion.patches.weights import patched_tensor


class MergeDoesNotFit(ValueError):
    """Two models whose weights do not correspond."""


@dataclass(frozen=True)
class Factors:
    """What each side of a merge is multiplied by."""

    mine: float
    theirs: float


@dataclass(frozen=True)
class MergePatch:
    """mine * the weight there is + theirs * the other network's weight, its own patches applied."""

    other: nn.Module
    other_patches: tuple[WeightPatch, ...]
    settings: tuple[object, ...]
    """What the factors were made from; with the two fields above it decides whether two merges are the same."""
    factors: Mapping[str, Factors] = field(compare=False, repr=False)
    """By name of a tensor."""

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.factors)

    def apply(self, name: str, weight: Tensor) -> Tensor:
        """The merged tensor, in float32."""
        patches = [patch for patch in self.other_patches if name in patch.names]
        other = patched_tensor(name, tensor_of(self.other, name), patches)
        factors = self.factors[name]
        return factors.mine * weight + factors.theirs * other.to(weight.device, torch.float32)


def blend(ratio: float) -> Factors:
    """Between two: 1 is the first, 0 the second."""
    return Factors(ratio, 1 - ratio)


ADD = Factors(1.0, 1.0)


def subtract(multiplier: float) -> Factors:
    """(first - second) * multiplier."""
    return Factors(multiplier, -multiplier)


def merge_models(first: Model, second: Model, factors: Factors | Mapping[str, float]) -> tuple[Model, tuple[str, ...]]:
    """The first model with the second's weights merged in, and the names of tensors that were left as they are.

    factors: for all weights, or blend ratios by the beginning of a tensor's name; the longest beginning counts, and
    names that begin with none of them take the first ratio. Tensors of other shapes, as the first layer of an
    inpainting model, are left. Raises MergeDoesNotFit for networks of another line.
    """
    patch, left = _merge_patch(first.network, second.network, second.patches, factors)
    if 10 * len(left) > len(first.network.state_dict()):
        raise MergeDoesNotFit(_explain(first.family.name, second.family.name, left))
    return (first.with_patches(patch) if patch.factors else first), left


def merge_text_encoders(first: TextEncoders, second: TextEncoders, factors: Factors) -> TextEncoders:
    """The same for text encoders; both must have the same ones. Raises MergeDoesNotFit."""
    if set(first.networks) != set(second.networks):
        mine, theirs = " and ".join(first.networks), " and ".join(second.networks)
        raise MergeDoesNotFit(f"text encoders {mine} cannot be merged with {theirs}")
    for name, network in first.networks.items():
        patch, left = _merge_patch(network, second.networks[name], second.patches.get(name, ()), factors)
        if left:
            raise MergeDoesNotFit(_explain(f"{first.family.name} {name}", f"{second.family.name} {name}", left))
        if patch.factors:
            first = first.with_patches(name, patch)
    return first


def _merge_patch(
    network: nn.Module, other: nn.Module, patches: tuple[WeightPatch, ...], factors: Factors | Mapping[str, float]
) -> tuple[MergePatch, tuple[str, ...]]:
    theirs = true_weights(other).shapes
    merged: dict[str, Factors] = {}
    left: list[str] = []
    for name, shape in true_weights(network).shapes.items():
        if theirs.get(name) != shape:
            left.append(name)
            continue
        found = factors if isinstance(factors, Factors) else blend(_ratio(name, factors))
        if found != blend(1.0):
            merged[name] = found
    settings = (factors,) if isinstance(factors, Factors) else tuple(factors.items())
    return MergePatch(other, patches, settings, merged), tuple(left)


def _ratio(name: str, ratios: Mapping[str, float]) -> float:
    fitting = [beginning for beginning in ratios if name.startswith(beginning)]
    return ratios[max(fitting, key=len)] if fitting else next(iter(ratios.values()))


def _explain(first: str, second: str, left: tuple[str, ...]) -> str:
    return f"{first} cannot be merged with {second}: {len(left)} tensors differ in shape, for instance {left[0]!r}"
