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


_SPOKEN = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def _to_float(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value} is not a finite number")
    return number


def _to_bool(value: Any) -> bool:
    """Words are read by their meaning: the text "false" is not true, though Python calls it so."""
    if isinstance(value, str):
        spoken = _SPOKEN.get(value.strip().lower())
        if spoken is None:
            raise ValueError(f"{value!r} is neither true nor false")
        return spoken
    return bool(value)


def _to_text(value: Any) -> str:
    return str(value)


# type → the Python type a constant already has when nothing needs to be done, and the conversion otherwise. The
# conversions are Python's own, because clients rely on them: 5.9 → 5, "7" → 7, null → "None".
CONVERSIONS: dict[str, tuple[type, Callable[[Any], Any]]] = {
    "INT": (int, int),
    "FLOAT": (float, _to_float),
    "STRING": (str, _to_text),
    "BOOLEAN": (bool, _to_bool),
}
