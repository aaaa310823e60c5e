"""Declarations as plain JSON, for the pipe between processes and for the disk: what goes in comes out equal."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, cast

from execution.plain import plain
from execution.spec import Declaration, InputSpec, OutputSpec


def _defaults(kind: type[Any]) -> dict[str, Any]:
    return {f.name: f.default if f.default_factory is MISSING else f.default_factory() for f in fields(kind)}


_INPUT_DEFAULTS = _defaults(InputSpec)
_OUTPUT_DEFAULTS = _defaults(OutputSpec)
_DECLARATION_DEFAULTS = _defaults(Declaration)


def to_plain(catalogue: Mapping[str, Declaration]) -> dict[str, Any]:
    """Declarations → JSON-able data. Fields at their defaults are left out, so the common case is small.

    Values that JSON does not know (third-party options hold all sorts) become what comes nearest, see `plain`.
    """
    return {id: _declaration_to_plain(declaration) for id, declaration in catalogue.items()}


def from_plain(data: Mapping[str, Any]) -> dict[str, Declaration]:
    """The inverse of `to_plain`. Raises ValueError for data of another shape (a damaged or foreign file)."""
    try:
        return {id: _declaration_from_plain(entry) for id, entry in data.items()}
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"this is not a catalogue of nodes: {error}") from error


def _declaration_to_plain(declaration: Declaration) -> dict[str, Any]:
    entry = _changed(declaration, _DECLARATION_DEFAULTS)
    if declaration.inputs:
        entry["inputs"] = [_changed(spec, _INPUT_DEFAULTS) for spec in declaration.inputs]
    if declaration.outputs:
        entry["outputs"] = [_changed(spec, _OUTPUT_DEFAULTS) for spec in declaration.outputs]
    return entry


def _changed(item: Any, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that differ from their defaults. Identity, not equality: an empty `options` that was given is not an
    `options` that was not, and `/object_info` shows the difference."""
    found: dict[str, Any] = {}
    for name, default in defaults.items():
        value = getattr(item, name)
        if value is not default or default is MISSING:
            found[name] = plain(value)
    return found


def _declaration_from_plain(entry: Mapping[str, Any]) -> Declaration:
    inputs = tuple(_input_from_plain(item) for item in entry.get("inputs", ()))
    outputs = tuple(_output_from_plain(item) for item in entry.get("outputs", ()))
    known: dict[str, Any] = {name: value for name, value in entry.items() if name in _DECLARATION_DEFAULTS}
    known.update(inputs=inputs, outputs=outputs)
    return Declaration(**known)


def _input_from_plain(item: Mapping[str, Any]) -> InputSpec:
    known: dict[str, Any] = {name: value for name, value in item.items() if name in _INPUT_DEFAULTS}
    if known.get("choices") is not None:
        known["choices"] = tuple(known["choices"])
    return InputSpec(**known)


def _output_from_plain(item: Mapping[str, Any]) -> OutputSpec:
    known: dict[str, Any] = {name: value for name, value in item.items() if name in _OUTPUT_DEFAULTS}
    if isinstance(known["type"], list):
        known["type"] = tuple(cast(list[Any], known["type"]))
    return OutputSpec(**known)
