"""Results of nodes as safetensors, so that they can be kept on disk: tensors, and the plain values around them.

What travels on IMAGE, MASK, LATENT, CONDITIONING and SIGMAS wires can be written so, and numbers and texts beside it.
Handles of models cannot: weights are not results. No pickle is ever read or written.
"""

import json
from collections.abc import Sequence
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

TYPES = frozenset({"IMAGE", "MASK", "LATENT", "CONDITIONING", "SIGMAS"})
_BESIDE = frozenset({"INT", "FLOAT", "STRING", "BOOLEAN"})
"""Types of outputs that may be kept, the second only beside one of the first: alone they are cheaper made than read."""

Slots = Sequence[Sequence[Any]]


class CannotKeep(TypeError):
    """A value that has no place in a file. what: its type."""


def may_keep(types: Sequence[object]) -> bool:
    """Whether the results of a node with these outputs are worth keeping, and may be."""
    return any(one in TYPES for one in types) and all(one in TYPES or one in _BESIDE for one in types)


def write(slots: Slots) -> bytes:
    """slots: output → elements, as nodes return them. Raises CannotKeep."""
    tensors: dict[str, Tensor] = {}
    tree = _plain([list(slot) for slot in slots], tensors)
    return save(tensors, {"tree": json.dumps(tree)})


def read(data: bytes) -> list[list[Any]]:
    """What `write` was given; tensors are where they were then, or on the CPU if that is no more. Raises ValueError."""
    try:
        size = int.from_bytes(data[:8], "little")
        tree = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["tree"])
        return _value(tree, load(data))
    except (SafetensorError, LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise ValueError(f"not a kept result: {error}") from error


def _plain(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Lists and objects become [kind, …], so that none of them can be taken for a tensor's name."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Tensor):
        name = str(len(tensors))
        # A copy of its own: a view must not bring the whole it looks at along, nor share it with another.
        tensors[name] = value.detach().to("cpu", copy=True).contiguous()
        return ["tensor", name, str(value.device)]
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return [kind, [_plain(item, tensors) for item in cast(Sequence[Any], value)]]
    if type(value) is dict:
        pairs = cast(dict[Any, Any], value)
        if all(type(key) is str for key in pairs):
            return ["dict", {key: _plain(item, tensors) for key, item in pairs.items()}]
    raise CannotKeep(type(cast(object, value)).__name__)


def _value(plain: Any, tensors: dict[str, Tensor]) -> Any:
    if plain is None or isinstance(plain, bool | int | float | str):
        return plain
    kind, content, *rest = cast(list[Any], plain)
    if kind == "tensor":
        on_cpu = rest[0] == "cpu" or not _is_there(rest[0])
        return tensors[content] if on_cpu else tensors[content].to(rest[0])
    if kind == "list":
        return [_value(item, tensors) for item in content]
    if kind == "tuple":
        return tuple(_value(item, tensors) for item in content)
    if kind == "dict":
        return {key: _value(item, tensors) for key, item in content.items()}
    raise ValueError(f"there is no {str(kind)[:80]!r}")


def _is_there(device: str) -> bool:
    kind = torch.device(device)
    return kind.type == "cuda" and torch.cuda.is_available() and (kind.index or 0) < torch.cuda.device_count()
