"""Which output may feed which input, and what a constant becomes at the door."""

import math
from collections.abc import Callable
from typing import Any

from execution.spec import ANY, InputSpec

# Type variables of the newer schema form; the editor resolves them, so here they fit everything.
RESOLVED_BY_EDITOR = ("COMFY_MATCHTYPE_V3", "COMFY_DYNAMICSLOT_V3")


def fits(received: str | tuple[Any, ...], spec: InputSpec, choices: tuple[Any, ...] | None) -> bool:
    """Whether an output of type `received` may be linked to an input. choices: the input's members if it is a combo.

    Text types fit when they are equal, when either has `*` in it, or when two comma unions overlap. A list of choices
    (the type of a combo output) fits every combo of the newer form, and a classic one with the same members.
    """
    if isinstance(received, tuple):
        if spec.type == "COMBO":
            return not spec.classic or choices is None or list(received) == list(choices)
        return _is_any(spec.type) or "COMBO" in _members(spec.type)
    if received == spec.type:
        return True
    if _is_any(received) or _is_any(spec.type):
        return True
    return not _members(received).isdisjoint(_members(spec.type))


def _members(type_name: str) -> frozenset[str]:
    return frozenset(part.strip() for part in type_name.split(","))


def _is_any(type_name: str) -> bool:
    return type_name == ANY or type_name in RESOLVED_BY_EDITOR or ANY in _members(type_name)


_SPOKEN = {"true": True, "1": True, "false": False, "0": False}
# What fits 64 bits, signed or not: seeds go up to the larger end.
SMALLEST, LARGEST = -(2**63), 2**64 - 1


def _to_int(value: Any) -> int:
    """A whole number however a client writes it (7, 7.0, "7"); nothing is rounded, and true is no number."""
    if isinstance(value, bool):
        raise ValueError(f"{value} is no number")
    if isinstance(value, str) and not _is_plain(value):
        raise ValueError(f"{value[:40]!r} is no plain whole number")
    number = int(value)
    if not isinstance(value, str) and number != value:
        raise ValueError(f"{value} is not a whole number")
    return within(number)


def _is_plain(text: str) -> bool:
    """Python reads more as a number than anybody means: spaces, underscores, digits of other scripts."""
    return text.isascii() and "_" not in text and text == text.strip()


def within(number: int) -> int:
    """Raises ValueError for a number beyond 64 bits."""
    if not SMALLEST <= number <= LARGEST:
        raise ValueError(f"the number is not within {SMALLEST} and {LARGEST}")
    return number


def rounded(value: Any) -> int:
    """As a whole number that may be none yet: 5.9 is 5."""
    return within(int(value)) if isinstance(value, float) else _to_int(value)


def _to_float(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError(f"{value} is no number")
    if isinstance(value, str) and not _is_plain(value):
        raise ValueError(f"{value[:40]!r} is no plain number")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value} is not a finite number")
    return number


def _to_bool(value: Any) -> bool:
    """Words are read by their meaning: the text "false" is not true, though Python calls it so."""
    spoken = _SPOKEN.get(str(value).lower()) if isinstance(value, str | int) else None
    if spoken is None:
        raise ValueError(f"{str(value)[:40]!r} is neither true nor false")
    return spoken


def _to_text(value: Any) -> str:
    return str(value)


# type → the Python type a constant already has when nothing needs to be done, and the conversion otherwise. Clients
# write one value in several ways ("7" for 7, 1 for true, null for "None"); what would lose something is refused.
CONVERSIONS: dict[str, tuple[type, Callable[[Any], Any]]] = {
    "INT": (int, _to_int),
    "FLOAT": (float, _to_float),
    "STRING": (str, _to_text),
    "BOOLEAN": (bool, _to_bool),
}
