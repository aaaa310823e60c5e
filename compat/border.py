"""Values on their way between our nodes and those of packs.

On the wire travel handles of the library; a pack sees objects of its own interface around them. One handle is one
object as long as somebody holds it, so that what packs compare by identity stays the same.
"""

from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

Change = Callable[[Any], Any]

_inward: dict[type, Change] = {}
_outward: dict[type, Change] = {}
_outward_by_shape: list[tuple[tuple[str, ...], Change]] = []
PLAIN = (str, int, float, bool, bytes, type(None), dict)


def inward(ours: type, change: Change) -> None:
    """From now on a pack sees what `change` makes of values of this type."""
    _inward[ours] = change


def outward(theirs: type, change: Change) -> None:
    """From now on what `change` makes of values of a pack's type travels on."""
    _outward[theirs] = change


def outward_by_shape(attributes: tuple[str, ...], change: Change) -> None:
    """The same for whatever has these attributes, of types nobody knows."""
    _outward_by_shape.append((attributes, change))


def to_pack(value: Any) -> Any:
    """A wire value as a pack expects it."""
    change = _found(value, _inward)
    return value if change is None else change(value)


def from_pack(value: Any) -> Any:
    """What a pack made as a wire value."""
    change = None if type(value) in PLAIN else _found(value, _outward) or _found_by_shape(value)
    return value if change is None else change(value)


def _found(value: object, table: dict[type, Change]) -> Change | None:
    return next((table[kind] for kind in type(value).__mro__ if kind in table), None)


def _found_by_shape(value: object) -> Change | None:
    own: Any = getattr(value, "__dict__", ())
    for attributes, change in _outward_by_shape:
        if all(hasattr(value.__class__, name) or name in own for name in attributes):
            return change
    return None


class Once:
    """Makes one object for one handle, for as long as the object lives. made: keeps its handle alive itself."""

    def __init__(self, make: Change):
        self._make = make
        self._known: WeakValueDictionary[int, Any] = WeakValueDictionary()

    def __call__(self, handle: Any) -> Any:
        known = self._known.get(id(handle))
        if known is not None and known.native is handle:
            return known
        made = self._known[id(handle)] = self._make(handle)
        return made
