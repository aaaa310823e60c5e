"""From what the parents made to the calls of a node, and from what the calls returned to what the node made.

Every output is a list of elements. A node is called once per element of its longest input; shorter inputs repeat their
last element. A node that takes lists is called once, with all of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from execution.kind import Kind
from execution.plain import plain
from execution.prompt import Node
from execution.spec import Blocked, Expanded, Link, NodeResult

Slots = list[list[Any]]  # output slot → elements
Arguments = dict[str, list[Any]]  # input → elements

_UNKNOWN = [None]


class EmptyList(ValueError):
    def __init__(self, name: str, source: str):
        super().__init__(
            f"input {name!r} received an empty list from node {source}, and there is nothing to run with; "
            f"leave the node out or make sure the list has at least one element"
        )


def bind(kind: Kind, node: Node, made: Mapping[str, Slots], *, hold_back: Iterable[str] = ()) -> Arguments:
    """The arguments of a node, each as the list of its elements.

    made: parent id → its outputs. hold_back: lazy inputs not evaluated, which arrive as None. Constants that the class
    does not declare are left out unless it accepts anything; links it does not declare are passed. Raises EmptyList.
    """
    declared, accepts = kind.declared, kind.declaration.accepts_anything
    arguments: Arguments = {name: [value] for name, value in node.constants.items() if name in declared or accepts}
    if node.malformed and accepts:
        arguments.update((name, [value]) for name, value in node.malformed.items())
    for name, link in node.links.items():
        if name in kind.raw:
            arguments[name] = [[link.node, link.slot]]
        elif name in hold_back:
            arguments[name] = _UNKNOWN
        else:
            slots = made[link.node]
            arguments[name] = slots[link.slot] if -len(slots) <= link.slot < len(slots) else _UNKNOWN
    return arguments


def calls_of(kind: Kind, node: Node, arguments: Arguments) -> list[dict[str, Any]]:
    """The keyword arguments of every call. Raises EmptyList."""
    if kind.declaration.takes_lists:
        return [dict(arguments)]
    count = 1
    empty = None
    for name, values in arguments.items():
        if len(values) != 1:
            if not values:
                empty = name
            elif len(values) > count:
                count = len(values)
    if empty is not None:
        if any(arguments.values()) or kind.required.intersection(arguments):
            raise EmptyList(empty, node.links[empty].node)
        return [{}]
    if count == 1:
        return [{name: values[0] for name, values in arguments.items()}]
    return [{name: values[min(index, len(values) - 1)] for name, values in arguments.items()} for index in range(count)]


def blocker_in(kind: Kind, call: Mapping[str, Any]) -> Blocked | None:
    """The first blocker among the arguments of a call."""
    if kind.declaration.takes_lists:
        return next((v for values in call.values() for v in values if isinstance(v, Blocked)), None)
    for value in call.values():
        if type(value) is Blocked:
            return value
    return None


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a call that expanded made, after the nodes it expanded into have run."""

    slots: Slots
    ui: Mapping[str, Sequence[Any]]


@dataclass(slots=True)
class Made:
    """What all calls of a node made together."""

    slots: Slots
    ui: dict[str, list[Any]] | None


def gather(kind: Kind, results: Sequence[NodeResult | Resolved | Blocked]) -> Made:
    """Join the results of a node's calls: list outputs end to end, the others one element per call.

    A blocked call leaves a blocker in every output. A call that made fewer outputs than declared leaves None.
    """
    outputs = kind.declaration.outputs
    if len(results) == 1:
        result = results[0]
        if type(result) is NodeResult and len(result.values) == len(outputs):
            slots = [
                _elements(value) if output.is_list else [value]
                for output, value in zip(outputs, result.values, strict=True)
            ]
            return Made(slots, join_ui([result.ui]) if result.ui else None)
    width = max((_width(result) for result in results), default=0)
    slots: Slots = []
    for index in range(max(width, len(outputs))):
        is_list = index < len(outputs) and outputs[index].is_list
        elements: list[Any] = []
        for result in results:
            if isinstance(result, Blocked):
                elements.append(result)
                continue
            if isinstance(result, Resolved):
                elements.extend(result.slots[index] if index < len(result.slots) else _UNKNOWN)
                continue
            value = result.values[index] if index < len(result.values) else None
            if is_list and index < len(result.values):
                elements.extend(_elements(value))
            else:
                elements.append(value)
        slots.append(elements)
    ui = join_ui([result.ui for result in results if not isinstance(result, Blocked) and result.ui])
    return Made(slots, ui or None)


def resolve(kind: Kind, expanded: Expanded, made: Mapping[str, Slots]) -> Resolved:
    """The outputs of a node that expanded: its constants, and what the nodes it links to made."""
    outputs = kind.declaration.outputs
    slots: Slots = []
    for index, value in enumerate(expanded.values):
        if isinstance(value, Link):
            inner = made[value.node]
            slots.append(inner[value.slot] if -len(inner) <= value.slot < len(inner) else _UNKNOWN)
        elif index < len(outputs) and outputs[index].is_list:
            slots.append(_elements(value))
        else:
            slots.append([value])
    return Resolved(slots, expanded.ui)


def _width(result: NodeResult | Resolved | Blocked) -> int:
    match result:
        case NodeResult():
            return len(result.values)
        case Resolved():
            return len(result.slots)
        case Blocked():
            return 0


class NotAList(TypeError):
    def __init__(self, value: Any):
        super().__init__(f"an output declared as a list must be a list, and a {type(value).__name__} was returned")


def _elements(value: Any) -> list[Any]:
    if isinstance(value, Blocked):
        return [value]
    if not isinstance(value, list | tuple):
        raise NotAList(value)
    return list(cast(Sequence[Any], value))


def join_ui(parts: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """What several calls want shown: their lists, key by key, end to end, as plain data. A text where a list belongs
    is one element, not its letters."""
    joined: dict[str, list[Any]] = {}
    for part in parts:
        for key, value in part.items():
            shown = plain(value)
            joined.setdefault(str(key), []).extend(cast(list[Any], shown) if isinstance(shown, list) else [shown])
    return joined
