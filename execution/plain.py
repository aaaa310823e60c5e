"""Anything as plain data: what survives JSON and another process unchanged."""

import math
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, cast

_LARGEST = 1.7976931348623157e308
_DEEPEST = 100
_BYTES: tuple[type, ...] = (bytes, bytearray, memoryview)
_CONTAINERS: tuple[type, ...] = (dict, list, tuple, set, frozenset)


def plain(value: object, depth: int = _DEEPEST) -> Any:
    """The nearest value that JSON carries unchanged. Never raises for what a node or a pack made.

    Tuples become lists, sets sorted lists, enums their value, infinities the largest float, NaN null, zero-dimensional
    arrays their number, everything else a short text. depth: how many levels are kept; data that contains itself ends.
    """
    if value is None or type(value) in (bool, int, str):
        return value
    try:
        return _plain(value, depth)
    except Exception as error:  # third-party objects may raise from any method
        return f"<{type(value).__name__}: {type(error).__name__}>"


def _plain(value: object, depth: int) -> Any:
    if isinstance(value, float):
        return None if math.isnan(value) else max(-_LARGEST, min(_LARGEST, float(value)))
    if isinstance(value, Enum):
        return plain(value.value, depth - 1)
    if isinstance(value, bool | int):
        return int(value)
    if isinstance(value, str):
        return str(value)
    if depth <= 0:
        return short(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item, depth - 1) for key, item in cast(Mapping[object, object], value).items()}
    if isinstance(value, set | frozenset):
        return sorted((plain(item, depth - 1) for item in cast(set[object], value)), key=str)
    if isinstance(value, Sequence) and not isinstance(value, _BYTES):
        return [plain(item, depth - 1) for item in cast(Sequence[object], value)]
    return _number_or_text(value, depth)


def _number_or_text(value: Any, depth: int) -> Any:
    if getattr(value, "shape", None) == () and callable(getattr(value, "item", None)):
        return plain(value.item(), depth - 1)
    return short(value)


def short(value: Any, length: int = 500) -> str:
    """A value as a short text that costs little whatever it holds: the shape of an array, not its numbers."""
    try:
        shape = getattr(value, "shape", None)
        if shape is not None:
            return f"{type(value).__name__}{tuple(shape)}"
        if isinstance(value, _BYTES):
            return f"<{len(value)} bytes>"
        if isinstance(value, _CONTAINERS):
            return f"<{type(value).__name__} of {len(value)}>"
        text = str(value)
    except Exception:  # str() of a third-party object may do anything
        return f"<{type(value).__name__}>"
    return text if len(text) <= length else f"{text[:length]}…"
