"""How much memory a value keeps alive, roughly, without knowing what it is."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

_MOST_LOOKED_AT = 50_000  # a network of billions of weights has a few thousand parts
_LARGE = 4_096  # bytes; smaller things are not worth being recognised
_SMALL_TYPES = (type(None), bool, int, float)
_CONTAINERS: tuple[type, ...] = (list, tuple, set, frozenset)


@dataclass(slots=True)
class Weight:
    """own: bytes of many small things. shared: identity → bytes of each large thing, which other values may hold too
    (a network behind several handles, a picture that is passed through)."""

    own: int = 0
    shared: dict[int, int] = field(default_factory=dict[int, int])

    @property
    def total(self) -> int:
        return self.own + sum(self.shared.values())


def weigh(value: Any) -> Weight:
    """An estimate. Arrays and tensors of any library count by their `nbytes`, containers by what they hold, other
    objects by their attributes; of what holds very much, the rest is taken to be like the part looked at."""
    if type(value) in _SMALL_TYPES:
        return Weight(32)
    weight = Weight()
    seen: set[int] = set()
    stack: list[Any] = [value]
    while stack:
        item = stack.pop()
        if type(item) in _SMALL_TYPES:
            weight.own += 8
            continue
        if id(item) in seen:
            continue
        seen.add(id(item))
        if len(seen) > _MOST_LOOKED_AT:
            weight.own += len(stack) * (weight.own // len(seen))
            break
        size, is_whole = _own_size(item)
        if size >= _LARGE:
            weight.shared[id(item)] = size
        else:
            weight.own += size
        if not is_whole:
            stack.extend(_held_by(item))
    return weight


def _own_size(item: Any) -> tuple[int, bool]:
    """Bytes, and whether that is all of it."""
    if isinstance(item, type) or (callable(item) and not hasattr(item, "__dict__")):
        return 0, True  # code is not a result
    try:
        nbytes = getattr(item, "nbytes", None)
        if isinstance(nbytes, int):
            return nbytes, True
        return sys.getsizeof(item, 64), isinstance(item, str | bytes | bytearray)
    except Exception:  # a third-party object's property may do anything
        return 64, True


def _held_by(item: Any) -> list[Any]:
    if isinstance(item, Mapping):
        return list(cast(Mapping[Any, Any], item).values())
    if isinstance(item, _CONTAINERS):
        return list(cast(list[Any], item))
    return _attributes(item)


def _attributes(item: Any) -> list[Any]:
    found: list[Any] = []
    for kind in type(item).__mro__:
        slots: Any = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            found.append(getattr(item, name, None))
    attributes = getattr(item, "__dict__", None)
    if isinstance(attributes, dict):
        found.extend(cast(dict[str, Any], attributes).values())
    return found
