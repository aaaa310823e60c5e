"""What the rest of a job will use of what is at hand, the soonest first: for whoever plans memory.

A value is an element of a result that some node waiting to run takes as an input. What has not been made yet cannot be
seen; but what it will be made of can, and a model behind three patches is the same weights.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from execution.cache import Entry
from execution.prompt import Node
from execution.signature import Signature


def inputs_at_hand(
    ids: Iterable[str],
    graph: Mapping[str, Node],
    signed: Mapping[str, Signature],
    peek: Callable[[Signature], Entry | None],
) -> Iterator[Any]:
    """ids: of nodes, in the order in which they will run. peek: finds a result without counting as a use of it."""
    for id in ids:
        for link in graph[id].links.values():
            signature = signed.get(link.node)
            entry = None if signature is None else peek(signature)
            if entry is not None and link.slot < len(entry.slots):
                yield from entry.slots[link.slot]
