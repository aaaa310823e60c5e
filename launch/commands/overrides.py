"""`--set 3.seed=1..4`: which values of a graph to replace, and the graphs that come of it."""

import copy
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)")
MOST_GRAPHS = 10_000


class BadOverride(ValueError):
    """What was given after --set does not fit the graph. The text says what would."""


@dataclass(frozen=True, slots=True)
class Override:
    """One input of one node and the values it takes, one graph each."""

    node: str
    input: str
    values: tuple[Any, ...]


def parse_override(text: str, graph: Mapping[str, Any]) -> Override:
    """Read `NODE.INPUT=VALUE` or, where one node alone has such an input as a value, `INPUT=VALUE`.

    NODE is an id or a title. VALUE is JSON, else plain text; `A..B` with whole numbers stands for each from A to B.
    """
    target, equals, written = text.partition("=")
    node, dot, name = target.rpartition(".")
    if not equals or not name or (dot and not node):
        raise BadOverride(f"--set {text}: expected NODE.INPUT=VALUE, for example 3.seed=42")
    return Override(find_node(graph, node, name, text), name, values_of(written))


def find_node(graph: Mapping[str, Any], node: str, name: str, text: str) -> str:
    if node in graph:
        inputs = graph[node].get("inputs", {})
        if name in inputs:
            return node
        raise BadOverride(f"--set {text}: node {node} has no input {name!r}; it has {', '.join(inputs) or 'none'}")
    if node:
        titled = [
            id for id, n in graph.items() if n.get("_meta", {}).get("title") == node and name in n.get("inputs", {})
        ]
        if len(titled) == 1:
            return titled[0]
        problem = "no node has" if not titled else f"nodes {', '.join(titled)} all have"
        raise BadOverride(f"--set {text}: {problem} the id or title {node!r} and an input {name!r}")
    having = [id for id, n in graph.items() if name in (i := n.get("inputs", {})) and not isinstance(i[name], list)]
    if len(having) == 1:
        return having[0]
    problem = "no node has" if not having else f"nodes {', '.join(having)} all have"
    raise BadOverride(f"--set {text}: {problem} an input {name!r}; say which as NODE.{name}=…")


def values_of(written: str) -> tuple[Any, ...]:
    if match := RANGE.fullmatch(written):
        first, last = int(match[1]), int(match[2])
        if abs(last - first) >= MOST_GRAPHS:
            raise BadOverride(f"{written} is {abs(last - first) + 1} values; at most {MOST_GRAPHS} are run at once")
        return tuple(range(first, last + 1) if last >= first else range(first, last - 1, -1))
    try:
        return (json.loads(written),)
    except ValueError:
        return (written,)


def graphs(graph: Mapping[str, Any], overrides: Sequence[Override]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every combination, the last override varying fastest: what was set ("3.seed" → 1), and the graph."""
    count = 1
    for override in overrides:
        count *= len(override.values)
    if count > MOST_GRAPHS:
        raise BadOverride(f"these make {count} graphs; at most {MOST_GRAPHS} are run at once")
    for combination in itertools.product(*(override.values for override in overrides)):
        changed: dict[str, Any] = copy.deepcopy(dict(graph))
        chosen: dict[str, Any] = {}
        for override, value in zip(overrides, combination, strict=True):
            changed[override.node]["inputs"][override.input] = value
            chosen[f"{override.node}.{override.input}"] = value
        yield chosen, changed
