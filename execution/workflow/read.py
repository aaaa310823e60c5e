"""A workflow file as data: nodes, links and subgraphs, whichever of its versions wrote it.

Version 0.4 keeps links as six-element arrays; version 1, and every subgraph, as objects. A link's target is trusted
over the list of links: `input.link` names the link, the link names the source. Leftovers of links that point nowhere
are dropped, as they are common in real files.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

MUTED, BYPASSED = 2, 4
BOUNDARY_IN, BOUNDARY_OUT = "-10", "-20"


class WorkflowError(ValueError):
    """The file is not a workflow that can be read. The text says where and what was expected."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a link comes from: a node of the same graph (or its boundary) and one of that node's outputs."""

    node: str
    slot: int


@dataclass(frozen=True, slots=True)
class FileInput:
    name: str
    type: Any
    source: Source | None
    widget: str | None


@dataclass(frozen=True, slots=True)
class FileNode:
    """One node as saved. values: positional, or by name; named: by name where the file has that too."""

    id: str
    type: str
    mode: int
    title: str | None
    inputs: tuple[FileInput, ...]
    output_types: tuple[Any, ...]
    values: Sequence[Any] | Mapping[str, Any]
    named: Mapping[str, Any] | None
    properties: Mapping[str, Any]

    def input(self, name: str) -> FileInput | None:
        return next((i for i in self.inputs if i.name == name), None)


@dataclass(frozen=True, slots=True)
class FileGraph:
    """The nodes of the root or of one subgraph. ends: what leaves through the boundary, by output index."""

    nodes: Mapping[str, FileNode]
    ends: Mapping[int, Source] = field(default_factory=dict[int, Source])
    input_names: tuple[str, ...] = ()

    def widget_inputs(self) -> list[str]:
        """The names of the boundary's inputs that lead to a widget inside, in order."""
        slots = (slot for node in self.nodes.values() for slot in node.inputs if slot.widget and slot.source)
        leading = {slot.source.slot for slot in slots if slot.source and slot.source.node == BOUNDARY_IN}
        return [name for index, name in enumerate(self.input_names) if index in leading]


@dataclass(frozen=True, slots=True)
class Workflow:
    root: FileGraph
    subgraphs: Mapping[str, FileGraph]


def is_workflow(value: object) -> bool:
    """Whether a JSON value is an editor's file rather than a graph in API form. Decided by content alone."""
    file = mapping(value)
    return file is not None and isinstance(file.get("nodes"), list)


def mapping(value: object) -> Mapping[str, Any] | None:
    return cast(Mapping[str, Any], value) if isinstance(value, Mapping) else None


def read_workflow(value: Mapping[str, Any]) -> Workflow:
    """Read a file's JSON. Raises WorkflowError."""
    found = mapping(value.get("definitions")) or {}
    definitions = objects(found.get("subgraphs"), "workflow: subgraphs")
    subgraphs = {str(d.get("id")): read_graph(d, f"subgraph {d.get('name') or d.get('id')}") for d in definitions}
    return Workflow(read_graph(value, "workflow"), subgraphs)


def read_graph(value: Mapping[str, Any], where: str) -> FileGraph:
    nodes: Any = value.get("nodes")
    if not isinstance(nodes, list):
        raise WorkflowError(f"{where}: expected a list under `nodes`, got {type(nodes).__name__}")
    sources: dict[int, Source] = {}
    ends: dict[int, Source] = {}
    for link in items(value.get("links"), f"{where}: links"):
        number, source, target, target_slot = read_link(link, where)
        sources[number] = source
        if target == BOUNDARY_OUT:
            ends[target_slot] = source
    read = [read_node(node, sources, where) for node in cast(list[Any], nodes)]
    inputs = objects(value.get("inputs"), f"{where}: inputs")
    return FileGraph({node.id: node for node in read}, ends, tuple(str(i.get("name")) for i in inputs))


def items(value: Any, where: str) -> Sequence[Any]:
    """A list; nothing is an empty one. Raises WorkflowError."""
    if value is not None and not isinstance(value, list):
        raise WorkflowError(f"{where}: expected a list, got {type(value).__name__}")
    return cast(Sequence[Any], value or ())


def objects(value: Any, where: str) -> Sequence[Mapping[str, Any]]:
    """A list of objects. Raises WorkflowError."""
    found = items(value, where)
    if not all(isinstance(item, Mapping) for item in found):
        raise WorkflowError(f"{where}: expected objects, got {json.dumps(found)[:100]}")
    return found


def whole(value: Any, where: str) -> int:
    """A whole number, also as text. Raises WorkflowError."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise WorkflowError(f"{where}: expected a whole number, got {json.dumps(value)[:100]}") from None


def read_link(link: Any, where: str) -> tuple[int, Source, str, int]:
    try:
        if (of := mapping(link)) is not None:
            number, node, slot = of["id"], of["origin_id"], of["origin_slot"]
            target, target_slot = of["target_id"], of["target_slot"]
        else:
            number, node, slot, target, target_slot = link[:5]
        return int(number), Source(str(node), int(slot)), str(target), int(target_slot)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise WorkflowError(f"{where}: {json.dumps(link)[:100]} is not a link ({error})") from error


def read_node(node: Any, sources: Mapping[int, Source], where: str) -> FileNode:
    of = mapping(node)
    if of is None or "id" not in of or not isinstance(of.get("type"), str):
        raise WorkflowError(f"{where}: {json.dumps(node)[:100]} is not a node; it needs `id` and `type`")
    at, title, values = f"{where}, node {of['id']}", of.get("title"), of.get("widgets_values")
    return FileNode(
        id=str(of["id"]),
        type=of["type"],
        mode=whole(of.get("mode") or 0, f"{at}: mode"),
        title=title if isinstance(title, str) else None,
        inputs=tuple(read_input(i, sources, at) for i in objects(of.get("inputs"), f"{at}: inputs")),
        output_types=tuple(o.get("type") for o in objects(of.get("outputs"), f"{at}: outputs")),
        values=cast(Any, values) if isinstance(values, list | Mapping) else (),
        named=mapping(of.get("widgets_values_named")),
        properties=mapping(of.get("properties")) or {},
    )


def read_input(value: Mapping[str, Any], sources: Mapping[int, Source], where: str) -> FileInput:
    link = value.get("link")
    widget = mapping(value.get("widget"))
    return FileInput(
        name=str(value.get("name")),
        type=value.get("type"),
        source=sources.get(whole(link, f"{where}: link")) if link is not None else None,
        widget=str(widget["name"]) if widget is not None and "name" in widget else None,
    )
