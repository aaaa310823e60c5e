"""Values on their way between our nodes and those of packs.

On the wire travel handles of the library; a pack sees objects of its own interface around them. One handle is one
object as long as somebody holds it, so that what packs compare by identity stays the same.
"""

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

_inward: dict[type, Callable[[Any], Any]] = {}
_outward: dict[type, Callable[[Any], Any]] = {}


def translate(ours: type[T], theirs: type, inward: Callable[[T], Any], outward: Callable[[Any], T]) -> None:
    """From now on values of type `ours` become what `inward` makes of them before a pack sees them, and values of type
    `theirs` what `outward` makes of them afterwards."""
    _inward[ours] = inward
    _outward[theirs] = outward


def to_pack(value: Any) -> Any:
    """A wire value as a pack expects it."""
    return _translated(value, _inward)


def from_pack(value: Any) -> Any:
    """What a pack made as a wire value."""
    return _translated(value, _outward)


def _translated(value: object, table: dict[type, Callable[[Any], Any]]) -> Any:
    change = next((table[kind] for kind in type(value).__mro__ if kind in table), None)
    return value if change is None else change(value)
