"""Reads a prompt in API form: shapes, ids and limits are checked here once, so that nobody below has to.

What a node *means* (its class, its inputs' types) is asked later, in `validate`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from execution.problems import Problem, PromptRejected
from execution.spec import Link

LITERAL = "__value__"  # {"__value__": [...]} is a list meant as a value; a bare list is read as a link


@dataclass(frozen=True, slots=True)
class Limits:
    """What a prompt may not exceed. Ids are counted in characters, depth in nested lists and objects of one value.
    plain_ids: ids are letters, digits and `_ . : -`; those that nodes make for their graphs may be any printable
    text."""

    nodes: int = 50_000
    links: int = 200_000
    id_length: int = 128
    depth: int = 64
    plain_ids: bool = True


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a prompt. constants and links: input name → value, `__value__` taken off. malformed: lists that are
    no links. wrapped: names of constants that came as `__value__`. raw: the node as it came."""

    id: str
    class_type: str
    constants: Mapping[str, Any]
    links: Mapping[str, Link]
    malformed: Mapping[str, list[Any]]
    wrapped: frozenset[str]
    raw: Mapping[str, Any]


Graph = Mapping[str, Node]

_PLAIN_ID = re.compile(r"[A-Za-z0-9_.:-]+")
# Names that every object of an editor written in JavaScript has already.
_EVERYWHERE = frozenset({"__proto__", "constructor", "toString"})
_NOTHING: dict[str, Any] = {}
_NONE: frozenset[str] = frozenset()
_SCALARS: frozenset[type] = frozenset((str, int, float, bool, type(None)))


def parse_body(body: object, limits: Limits | None = None) -> Graph:
    """The graph of a whole `POST /prompt` body. Raises PromptRejected."""
    if not isinstance(body, Mapping) or "prompt" not in body:
        raise PromptRejected(Problem("no_prompt", "No prompt provided", "No prompt provided"))
    return parse(cast(Mapping[str, object], body)["prompt"], limits)


def parse_targets(body: Mapping[str, object]) -> Sequence[str] | None:
    """`partial_execution_targets` of a body: None when not asked for. Raises PromptRejected."""
    targets = body.get("partial_execution_targets")
    if targets is None:
        return None
    ids = cast(list[object], targets) if isinstance(targets, list) else [None]
    if not all(isinstance(id, str) for id in ids):
        _reject("partial_execution_targets must be a list of node ids", f"received {_short(cast(object, targets))}")
    return cast(list[str], ids)


def parse(value: object, limits: Limits | None = None) -> Graph:
    """A prompt in API form, node id → Node, in the order given. Raises PromptRejected, naming the first bad node.

    value: what JSON gave. A two-element list `[text, integer]` is a link, every other bare list is kept as malformed.
    """
    limits = limits or Limits()
    if not isinstance(value, Mapping):
        _reject("The prompt must be an object of nodes", f"received {_short(value)}")
    raw_nodes = cast(Mapping[object, object], value)
    if len(raw_nodes) > limits.nodes:
        _reject("The prompt is too large", f"{len(raw_nodes)} nodes, at most {limits.nodes} are allowed")
    graph: dict[str, Node] = {}
    links = 0
    for id, raw in raw_nodes.items():
        node = parse_node(id, raw, limits)
        graph[node.id] = node
        links += len(node.links)
    if links > limits.links:
        _reject("The prompt is too large", f"{links} links, at most {limits.links} are allowed")
    return graph


def parse_node(id: object, raw: object, limits: Limits) -> Node:
    """One node of a prompt. Raises PromptRejected."""
    if not isinstance(id, str) or not 0 < len(id) <= limits.id_length or not _is_id(id, limits.plain_ids):
        _reject(
            "A node id must be made of letters, digits and _ . : -",
            f"1 to {limits.id_length} of them, received {_short(id)}",
        )
    if type(raw) is not dict and not isinstance(raw, Mapping):
        _reject("A node must be an object with class_type and inputs", f"Node ID '#{id}', received {_short(raw)}", id)
    fields = cast(Mapping[str, Any], raw)
    class_type = fields.get("class_type")
    if "class_type" not in fields:
        _reject("Cannot execute because a node is missing the class_type property.", f"Node ID '#{id}'", id, fields)
    if not isinstance(class_type, str):
        _reject("A node's class_type must be text", f"Node ID '#{id}', received {_short(class_type)}", id, fields)
    inputs = fields.get("inputs")
    if type(inputs) is not dict and not isinstance(inputs, Mapping):
        what = f"received {_short(inputs)}" if "inputs" in fields else "it has none"
        _reject("A node's inputs must be an object", f"Node ID '#{id}', {what}", id, fields)

    constants: dict[str, Any] = {}
    links: dict[str, Link] = {}
    malformed: dict[str, list[Any]] = _NOTHING
    wrapped = _NONE
    for name, value in cast(Mapping[Any, Any], inputs).items():
        kind = cast(type[object], type(value))
        if type(name) is not str:
            _reject("The names of a node's inputs must be text", f"Node ID '#{id}'", id, fields)
        if kind in _SCALARS:
            constants[name] = value
            continue
        if kind is list and len(value) == 2 and type(value[0]) is str and type(value[1]) is int:
            links[name] = Link(value[0], value[1])
            continue
        if kind is Link:  # only expansions hold one
            links[name] = value
            continue
        if too_deep(value, limits.depth):
            _reject(
                "An input's value is nested too deeply",
                f"Node ID '#{id}', input {_short(name)}, at most {limits.depth} levels are allowed",
                id,
                fields,
            )
        if kind is list or kind is tuple:
            match value:
                case (str(source), int(slot)) if not isinstance(slot, bool):
                    links[name] = Link(source, slot)
                case _:
                    malformed = {**malformed, name: list(value)}
        elif kind is dict and LITERAL in value:
            constants[name] = value[LITERAL]
            wrapped = wrapped | {name}
        else:
            constants[name] = value
    return Node(id, class_type, constants, links, malformed, wrapped, fields)


def _is_id(id: str, plain: bool) -> bool:
    return (_PLAIN_ID.fullmatch(id) is not None and id not in _EVERYWHERE) if plain else id.isprintable()


def too_deep(value: object, limit: int) -> bool:
    """Whether lists and objects are nested more than `limit` deep, without recursing."""
    stack = [(value, 1)]
    while stack:
        item, depth = stack.pop()
        if isinstance(item, Mapping):
            children = list(cast(Mapping[object, object], item).values())
        elif isinstance(item, list | tuple):
            children = list(cast(Sequence[object], item))
        else:
            continue
        if depth > limit:
            return True
        stack.extend((child, depth + 1) for child in children)
    return False


def _short(value: object) -> str:
    """A value of unknown size, as a few words. Only its own type is looked at, never what it holds."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:60] + "…")
    if isinstance(value, bool | float):
        return repr(value)
    if isinstance(value, int):
        return repr(value) if value.bit_length() < 200 else "a huge number"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, Mapping):
        return "an object"
    return type(value).__name__


def _reject(message: str, details: str, id: str | None = None, raw: Mapping[str, Any] | None = None) -> NoReturn:
    extra: dict[str, Any] = {}
    if id is not None:
        extra = {"node_id": id, "class_type": None, "node_title": node_title(raw or {})}
        class_type = (raw or {}).get("class_type")
        if isinstance(class_type, str):
            extra["class_type"] = class_type
    raise PromptRejected(Problem("invalid_prompt", message, details, extra))


def node_title(raw: Mapping[str, Any]) -> str | None:
    """What the user calls a node, if the prompt says so."""
    meta = raw.get("_meta")
    title = cast(Mapping[str, object], meta).get("title") if isinstance(meta, Mapping) else None
    return title if isinstance(title, str) else None
