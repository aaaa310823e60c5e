"""Facts about the shape of a graph. Nothing here recurses: a chain may be as long as memory allows."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from execution.prompt import Graph

Parents = Callable[[str], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Walk:
    """order: every node reached, parents before children. cycles: each a list of ids in the direction of the data,
    whose last feeds its first."""

    order: list[str]
    cycles: list[list[str]]


def walk(roots: Iterable[str], parents: Parents) -> Walk:
    """Everything upstream of `roots`, depth first: roots in their order, each node's parents in theirs.

    The order is a topological one when there are no cycles; a link that closes a cycle is reported and not followed.
    """
    order: list[str] = []
    cycles: list[list[str]] = []
    done: dict[str, bool] = {}  # absent: not seen; False: on the path; True: in `order`
    path: list[tuple[str, Iterator[str]]] = []
    for root in roots:
        if root in done:
            continue
        done[root] = False
        path.append((root, iter(parents(root))))
        while path:
            id, rest = path[-1]
            for parent in rest:
                state = done.get(parent)
                if state is None:
                    done[parent] = False
                    path.append((parent, iter(parents(parent))))
                    break
                if state is False:
                    cycles.append(_closing(path, parent))
            else:
                path.pop()
                done[id] = True
                order.append(id)
    return Walk(order, cycles)


def _closing(path: list[tuple[str, Iterator[str]]], start: str) -> list[str]:
    """The part of the path from `start` to its end, turned into the direction of the data."""
    found: list[str] = []
    for id, _ in reversed(path):
        found.append(id)
        if id == start:
            break
    return found


def parents_in(graph: Graph) -> Parents:
    """The sources of a node's links that exist, in the order of its inputs."""

    def parents(id: str) -> list[str]:
        return [link.node for link in graph[id].links.values() if link.node in graph]

    return parents


def consumers(graph: Graph) -> dict[str, list[tuple[str, str]]]:
    """source id → (consumer id, input name), in prompt order. Links to nodes that do not exist are left out."""
    found: dict[str, list[tuple[str, str]]] = {}
    for id, node in graph.items():
        for name, link in node.links.items():
            if link.node in graph:
                found.setdefault(link.node, []).append((id, name))
    return found
