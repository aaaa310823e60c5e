"""What the text encoders of all kinds share: how they are filled with a file's tensors, run, and what they answer."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from diffusion.checkpoints.packing import put_weights
from diffusion.checkpoints.weights import Weights
from diffusion.ops.stored import packed_layers


class TextEncoderError(ValueError):
    """Tensors that do not make the text encoder they are said to be."""


@dataclass(frozen=True)
class States:
    """What a text encoder says about N chunks of tokens."""

    hidden: Tensor
    """The states that were asked for, (N, T, D)."""
    pooled: Tensor | None = None
    """CLIP: the last layer's normed state at each chunk's first end token, (N, D); projected if that was asked for."""


def load_exactly(network: nn.Module, weights: Weights, name: str) -> None:
    """Put tensors in a network, which are not copied. Raises TextEncoderError if any is missing or too much."""
    expected, found = set(network.state_dict()), set(weights)
    if expected != found:
        raise TextEncoderError(f"{name}: {_difference(expected, found)}")
    put_weights(network, weights)
    network.eval().requires_grad_(False)


def _difference(expected: set[str], found: set[str]) -> str:
    missing, extra = sorted(expected - found), sorted(found - expected)
    parts = [f"{len(missing)} tensors are missing, for instance {missing[0]!r}"] if missing else []
    parts += [f"{len(extra)} do not belong, for instance {extra[0]!r}"] if extra else []
    return "; ".join(parts)


def call_in(module: nn.Module, dtype: torch.dtype, *args: Any, **kwargs: Any) -> Any:
    """Call one module with its weights in `dtype`; only this module's are held twice meanwhile.

    Its packed weights are left to their layers, which unpack them in the format of what they are called with.
    """
    packed = packed_layers(module)
    # By attribute and not from the tables of modules: weights may be fetched when they are asked for.
    stored = {name: module.get_parameter(name) for name, _ in module.named_parameters() if name not in packed}
    if all(parameter.dtype == dtype for parameter in stored.values()):
        return module(*args, **kwargs)
    cast_weights = {name: parameter.to(dtype) for name, parameter in stored.items()}
    return torch.func.functional_call(module, cast_weights, args, kwargs)
