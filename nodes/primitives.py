"""Plain values, and looking at any value: menu `utils`."""

import json
from typing import Annotated

from nodes.declare import node
from nodes.markers import Number, Text, Ui
from nodes.wire import AnyValue

LARGEST = 2**63 - 1


@node("PrimitiveString", category="utils/primitive", title="String", modern=True)
def primitive_string(*, value: Annotated[str, Text(multiline=False)]) -> str:
    """A text."""
    return value


@node("PrimitiveStringMultiline", category="utils/primitive", title="String (Multiline)", modern=True)
def primitive_string_multiline(*, value: Annotated[str, Text(multiline=True)]) -> str:
    """A text of many lines."""
    return value


@node("PrimitiveInt", category="utils/primitive", title="Int", modern=True)
def primitive_int(*, value: Annotated[int, Number(-LARGEST, LARGEST, reroll=True)]) -> int:
    """A whole number."""
    return value


@node("PrimitiveFloat", category="utils/primitive", title="Float", modern=True)
def primitive_float(*, value: Annotated[float, Number(-LARGEST, LARGEST)]) -> float:
    """A number."""
    return value


@node("PrimitiveBoolean", category="utils/primitive", title="Boolean", modern=True)
def primitive_boolean(*, value: bool) -> bool:
    """Yes or no."""
    return value


@node("PreviewAny", category="utils", title="Preview Any", output=True)
def preview_any(*, source: AnyValue) -> Ui:
    """Show any value as text."""
    return Ui({"text": (as_text(source),)})


def as_text(value: object) -> str:
    """JSON where that is possible, since it shows nesting; else what Python says."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, (int, float)):
        return str(value)
    try:
        return json.dumps(value)
    except (TypeError, ValueError):
        return str(value)
