"""How many bytes a value keeps alive, roughly, without knowing what it is."""

import sys
from collections.abc import Mapping
from typing import Any, cast

_MOST_LOOKED_AT = 2_000
_CONTAINERS: tuple[type, ...] = (list, tuple, set, frozenset)


def size_of(value: Any) -> int:
    """An estimate in bytes. Arrays and tensors of any library count by their `nbytes`, containers by what they hold
    (the first thousands of items, scaled up), other objects by their attributes."""
    if value is None or type(value) in (bool, int, float):
        return 32
    if type(value) is str or isinstance(value, bytes | bytearray):
        return sys.getsizeof(value)
    total = 0
    looked_at = 0
    seen: set[int] = set()
    stack: list[Any] = [value]
    while stack:
        item = stack.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        looked_at += 1
        if looked_at > _MOST_LOOKED_AT:
            # What was not looked at is taken to be like what was.
            return total + len(stack) * (total // looked_at)
        size = _own_size(item)
        total += size
        if isinstance(item, Mapping):
            stack.extend(cast(Mapping[Any, Any], item).values())
        elif isinstance(item, _CONTAINERS):
            stack.extend(item)
        elif size < _LARGE:
            stack.extend(_attributes(item))
    return total


_LARGE = 4_096  # bigger things count by their own report; their attributes are views of the same memory


def _own_size(item: Any) -> int:
    if isinstance(item, type) or callable(item):
        return 0  # code is not a result
    try:
        nbytes = getattr(item, "nbytes", None)
        return nbytes if isinstance(nbytes, int) else sys.getsizeof(item, 64)
    except Exception:  # a third-party object's property
        return 64


def _attributes(item: Any) -> list[Any]:
    attributes = getattr(item, "__dict__", None)
    return list(cast(dict[str, Any], attributes).values()) if isinstance(attributes, dict) else []
