"""A few nodes and ways to write graphs, small enough to know by heart, for tests of the engine."""

from collections.abc import Mapping
from typing import Any

from execution.spec import Declaration, InputSpec, OutputSpec

ApiGraph = dict[str, Any]


def declare(
    id: str,
    inputs: Mapping[str, Any] | None = None,
    outputs: tuple[Any, ...] = ("INT",),
    optional: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Declaration:
    """A declaration; an input is a type, or an InputSpec without its name said twice, or (type, options)."""
    specs = [_input(name, value, True) for name, value in (inputs or {}).items()]
    specs += [_input(name, value, False) for name, value in (optional or {}).items()]
    made = tuple(o if isinstance(o, OutputSpec) else OutputSpec(o if isinstance(o, str) else "", o) for o in outputs)
    fields.setdefault("title", id)
    fields.setdefault("category", "test")
    return Declaration(id=id, inputs=tuple(specs), outputs=made, **fields)


def _input(name: str, value: Any, required: bool) -> InputSpec:
    if isinstance(value, InputSpec):
        return value
    if isinstance(value, tuple):
        return InputSpec(name, value[0], required, value[1])
    if isinstance(value, list):
        return InputSpec(name, "COMBO", required, {}, choices=tuple(value))
    return InputSpec(name, value, required)


def api(class_type: str, title: str | None = None, **inputs: Any) -> dict[str, Any]:
    """One node in API form."""
    node: dict[str, Any] = {"class_type": class_type, "inputs": inputs}
    if title is not None:
        node["_meta"] = {"title": title}
    return node
