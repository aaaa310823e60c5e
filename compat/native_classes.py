"""Classes of the older style for our own nodes: packs call them, inherit from them and read what they declare.

Each runs the node's own function with what the executor would give it. Names of methods, and the order of their
arguments where it is not that of the inputs, are in `data/methods.json`.
"""

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from compat.border import from_pack, to_pack
from compat.outcomes import interruptible
from compat.signals import ExecutionBlocker
from compat.world import running, world
from execution.context import Run
from execution.node_run import asked
from execution.object_info import input_entry
from execution.spec import Blocked, Declaration, Expanded, NodeResult, NodeSpec

METHODS = Path(__file__).parent / "data" / "methods.json"


class Arguments(TypeError):
    """A node's method was called with arguments it does not have."""


@cache
def methods() -> Mapping[str, Any]:
    """Class name → {"method", "order"}; either may be missing."""
    return json.loads(METHODS.read_text(encoding="utf-8"))


class NativeNode:
    """The base of classes made here."""

    spec: NodeSpec


class ResultOf(tuple[Any, ...]):
    """The values of a node, also by the names of the newer style."""

    @property
    def result(self) -> tuple[Any, ...]:
        return tuple(self)

    @property
    def args(self) -> tuple[Any, ...]:
        return tuple(self)


def native_class(spec: NodeSpec) -> type:
    """The class of a node of ours."""
    known: Mapping[str, Any] = methods().get(spec.id, {})
    declaration = spec.declaration
    name: str = known.get("method") or ("execute" if declaration.modern else "process")
    method = _method(spec, known.get("order") or _order(declaration))
    members: dict[str, Any] = {
        "__module__": "nodes",
        "__doc__": declaration.description,
        "spec": spec,
        "INPUT_TYPES": classmethod(lambda cls: input_types(spec.declaration)),
        "RETURN_TYPES": tuple(_shown(out.type) for out in declaration.outputs),
        "RETURN_NAMES": tuple(out.name or str(out.type) for out in declaration.outputs),
        "OUTPUT_IS_LIST": tuple(out.is_list for out in declaration.outputs),
        "INPUT_IS_LIST": declaration.takes_lists,
        "FUNCTION": name,
        "CATEGORY": declaration.category,
        "OUTPUT_NODE": declaration.is_output,
        "DESCRIPTION": declaration.description,
        "DEPRECATED": declaration.deprecated,
        "EXPERIMENTAL": declaration.experimental,
        "RELATIVE_PYTHON_MODULE": declaration.pack,
        name: method,
        **dict.fromkeys(known.get("also", ()), method),
    }
    if declaration.modern:
        members["execute"] = method
    return type(spec.id, (NativeNode,), members)


def _shown(type_name: str | tuple[Any, ...]) -> Any:
    return list(type_name) if isinstance(type_name, tuple) else type_name


def _order(declaration: Declaration) -> list[str]:
    return [entry.name for entry in sorted(declaration.inputs, key=lambda entry: not entry.required)]


class _Method:
    """Called on an instance or on the class: nodes of the newer style are called both ways."""

    def __init__(self, call: Callable[..., Any]):
        self._call = call

    def __get__(self, instance: object, owner: type | None = None) -> Callable[..., Any]:
        return self._call


def _method(spec: NodeSpec, order: list[str]) -> _Method:
    def call(*positional: Any, **named: Any) -> Any:
        if positional and isinstance(positional[0], NativeNode):
            positional = positional[1:]  # `Class.method(instance, …)`
        if len(positional) > len(order):
            raise Arguments(f"{spec.id} takes {len(order)} arguments ({', '.join(order)}), got {len(positional)}")
        return run_native(spec, {**dict(zip(order, positional, strict=False)), **named})

    return _Method(call)


def run_native(spec: NodeSpec, values: Mapping[str, Any]) -> Any:
    """Run a node of ours on a pack's values. Returns a tuple, or a dict where there is something to show."""
    inputs = {entry.name for entry in spec.declaration.inputs}
    sent = {name: from_pack(value) for name, value in values.items() if name in inputs}
    given: dict[str, Any] = {}
    for name, kind in spec.given.items():
        given[name] = (running() or asked("")) if kind is Run else world().capabilities[kind]
    with interruptible():
        outcome: Any = spec.run(**sent, **given)
    match outcome:
        case Blocked(message):
            return (ExecutionBlocker(message),) * max(len(spec.declaration.outputs), 1)
        case Expanded(graph, made, ui):
            return {"expand": dict(graph), "result": made, "ui": dict(ui)}
        case NodeResult(made, ui):
            result = ResultOf(to_pack(value) for value in made)
            return {"ui": {key: list(shown) for key, shown in ui.items()}, "result": result} if ui else result
        case _:
            return outcome


def input_types(declaration: Declaration) -> dict[str, dict[str, Any]]:
    """As a class of the older style declares."""
    folders = world().folders
    sections: dict[str, dict[str, Any]] = {"required": {}, "optional": {}}
    for entry in declaration.inputs:
        shown = input_entry(entry, folders.listing)
        if entry.choices_from and not entry.classic:
            shown[1]["options"] = folders.listing(entry.choices_from)
        sections["required" if entry.required else "optional"][entry.name] = tuple(shown)
    if declaration.hidden:
        sections["hidden"] = dict(declaration.hidden)
    return {name: section for name, section in sections.items() if section or name == "required"}
