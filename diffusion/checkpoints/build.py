"""Puts tensors from files into networks: built without memory, then given the mapped tensors themselves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from diffusion.checkpoints.errors import CheckpointError
from diffusion.checkpoints.packing import put_weights
from diffusion.checkpoints.weights import Weights


def build_network(path: Path, what: str, build: Callable[[], nn.Module], weights: Weights) -> nn.Module:
    """The network around these tensors, which are not copied. Tensors it has no place for are left out.

    what: the network's name for messages ("SDXL UNet"). Raises CheckpointError for a missing tensor or a wrong shape.
    """
    with torch.device("meta"), WithoutInitialising():
        network = build()
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    check_complete(path, what, wanted, weights)
    put_weights(network, weights)
    return network.eval().requires_grad_(False)


def check_complete(path: Path, what: str, wanted: dict[str, tuple[int, ...]], weights: Weights) -> None:
    """Raise CheckpointError if a wanted tensor is missing or has another shape."""
    missing = [name for name in wanted if name not in weights]
    if missing:
        raise CheckpointError(
            path, f"{len(missing)} of {len(wanted)} tensors of the {what} are missing, for instance {missing[0]!r}"
        )
    shapes = weights.shapes
    for name, shape in wanted.items():
        if shapes[name] != shape:
            raise CheckpointError(path, f"{name!r} of the {what} has the shape {shapes[name]}, expected {shape}")


class WithoutInitialising(TorchFunctionMode):
    """While it is entered, new layers keep the weights they happen to have: those of a file replace them at once.

    On the meta device there is nothing to initialise, but torch takes about as long for it as for reading the file.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if kwargs and "tensor" in kwargs else args[0]
        if func in _FILLING:
            return args[0]
        return func(*args, **(kwargs or {}))


_FILLING = frozenset({Tensor.uniform_, Tensor.normal_})
