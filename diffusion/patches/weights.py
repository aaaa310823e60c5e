"""Patched networks: the same modules around changed tensors, the originals untouched.

`patched` never writes to a weight. It makes a shallow copy of the modules on the way to each changed tensor; everything
else is shared with the original, so taking a patch away is going back to the original network. The changed tensors of
the last call are remembered with the network: of a new set of patches only those tensors are computed anew whose own
patches differ, so moving one slider of five costs that one LoRA's layers.

A weight of 8-bit floats is unpacked, changed, and rounded to such floats again by chance, so that small changes are not
lost; the seed is made of its name. One in GGUF blocks stays as it is, and the patches act each time it is unpacked.
"""

import copy
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from diffusion.handles import WeightPatch
from diffusion.ops.stored import Float8, KeepsWeight, Stored, keep, packed_layers, seed_of, stored_of

_MEMORY = "_heddle_patched"


class PatchDoesNotFit(ValueError):
    """A patch names a tensor that the network does not have, or gives one of another shape."""


@dataclass
class _Memory:
    """What was computed for a network the last time."""

    patches: tuple[WeightPatch, ...] = ()
    network: nn.Module | None = None
    tensors: dict[str, "_Changed"] = field(default_factory=dict[str, "_Changed"])
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __reduce__(self) -> tuple[type["_Memory"], tuple[()]]:
        return _Memory, ()  # a copied or pickled network starts without memories


def patched(network: nn.Module, patches: Sequence[WeightPatch]) -> nn.Module:
    """The network with patches applied to its weights in order; the network itself if there are none.

    Patches are applied where the weights are, in float32, and the result has the weight's own dtype. Raises
    PatchDoesNotFit.
    """
    patches = tuple(patches)
    if not patches:
        return network
    memory = _memory_of(network)
    with memory.lock:
        if memory.network is None or memory.patches != patches:
            memory.tensors = _changed_tensors(network, patches, memory.tensors)
            memory.network = with_tensors(network, {name: stored for name, (_, stored) in memory.tensors.items()})
            memory.patches = patches
        return memory.network


def forget_patched(network: nn.Module) -> None:
    """Free the tensors that `patched` remembers for this network."""
    network.__dict__.pop(_MEMORY, None)


def _memory_of(network: nn.Module) -> _Memory:
    # In the instance's own dictionary: it lives and dies with the network, and no module list or state dict sees it.
    return cast(_Memory, network.__dict__.setdefault(_MEMORY, _Memory()))


_Changed = tuple[tuple[WeightPatch, ...], Stored]


def _changed_tensors(
    network: nn.Module, patches: tuple[WeightPatch, ...], known: Mapping[str, _Changed]
) -> dict[str, _Changed]:
    by_name: dict[str, list[WeightPatch]] = {}
    for patch in patches:
        for name in patch.names:
            by_name.setdefault(name, []).append(patch)
    originals, packed = network.state_dict(), packed_layers(network)
    changed: dict[str, _Changed] = {}
    for name, mine in by_name.items():
        if name in known and known[name][0] == tuple(mine):
            changed[name] = known[name]
        elif name in packed:
            changed[name] = tuple(mine), _patched_packed(name, packed[name], mine)
        elif name in originals:
            changed[name] = tuple(mine), Stored(patched_tensor(name, originals[name], mine))
        else:
            raise PatchDoesNotFit(f"{mine[0]}: the network has no tensor {name!r}")
    return changed


def patched_layer(layer: nn.Module, patches: Mapping[str, tuple[str, Sequence[WeightPatch]]]) -> nn.Module:
    """A copy of one layer with patches applied to its own tensors.

    patches: name of a tensor of the layer -> its name in the network's state dict, and what changes it.
    """
    twin = shallow(layer)
    for leaf, (name, mine) in patches.items():
        if leaf == "weight" and isinstance(layer, KeepsWeight) and layer.packing is not None:
            _put(twin, leaf, _patched_packed(name, layer, mine))
        else:
            tables = vars(layer)
            own: Tensor = (tables["_parameters"] | tables["_buffers"])[leaf]
            _put(twin, leaf, Stored(patched_tensor(name, own, mine)))
    return twin


@torch.no_grad()
def _patched_packed(name: str, layer: KeepsWeight, patches: Sequence[WeightPatch]) -> Stored:
    stored = stored_of(layer)
    if isinstance(stored.packing, Float8):
        weight = patched_tensor(name, layer.weight_in(torch.float32), patches)
        return stored.packing.pack(weight, stored, seed_of(name))
    # Good scales for blocks take a search, so these are not packed again.
    return replace(stored, change=partial(patched_tensor, name, patches=tuple(patches)))


@torch.no_grad()
def patched_tensor(name: str, weight: Tensor, patches: Sequence[WeightPatch]) -> Tensor:
    """One tensor with its patches applied in order, in float32 in between, in the weight's dtype at the end."""
    result = weight.to(torch.float32)
    for patch in patches:
        result = patch.apply(name, result)
        if result.shape != weight.shape:
            raise PatchDoesNotFit(f"{patch}: {tuple(result.shape)} for {name!r} of shape {tuple(weight.shape)}")
    return result.to(weight.dtype)


def with_tensors(network: nn.Module, tensors: Mapping[str, Stored]) -> nn.Module:
    """A copy of the network in which these tensors stand in place of its own; all else is shared with the original."""
    copies: dict[str, nn.Module] = {"": shallow(network)}
    for name, stored in tensors.items():
        path, _, leaf = name.rpartition(".")
        _put(_copied(copies, path), leaf, stored)
    return copies[""]


def _put(layer: nn.Module, leaf: str, stored: Stored) -> None:
    """layer: a copy that nobody else has."""
    tables = vars(layer)
    if stored.packing is not None and isinstance(layer, KeepsWeight):
        keep(layer, stored)
    elif tables["_parameters"].get(leaf) is not None:
        tables["_parameters"][leaf] = nn.Parameter(stored.tensor, requires_grad=False)
    else:
        tables["_buffers"][leaf] = stored.tensor


def _copied(copies: dict[str, nn.Module], path: str) -> nn.Module:
    if path not in copies:
        parent, _, child = path.rpartition(".")
        children = vars(_copied(copies, parent))["_modules"]
        copies[path] = children[child] = shallow(children[child])
    return copies[path]


def shallow(module: nn.Module) -> nn.Module:
    """The same module with its own tables of parameters, buffers and children, which may then be changed."""
    twin = copy.copy(module)
    own = vars(twin)
    own.pop(_MEMORY, None)
    for table in ("_parameters", "_buffers", "_modules"):
        own[table] = dict(own[table])
    return twin
