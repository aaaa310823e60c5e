"""What the rest of a job, and the next one, will use of what is at hand, soonest first: for whoever plans memory.

A value is an element of a result that some node waiting to run takes as an input. What has not been made yet cannot be
seen; but what it will be made of can, and a model behind three patches is the same weights.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from execution.cache import Entry
from execution.graph import parents_in, walk
from execution.job import Job
from execution.kind import Kind
from execution.prompt import Limits, Node, parse
from execution.signature import Decisions, OnceOnly, Signature, Signer


@dataclass(frozen=True)
class Signing:
    """What the running job knows that is needed to sign the nodes of another."""

    kinds: Callable[[str], Kind]
    decisions: Decisions
    graph: Mapping[str, Node]
    fingerprints: Mapping[str, Any]
    limits: Limits
    coming: Collection[Signature]
    """Results that the running job will have made by then."""


def inputs_of_next(job: Job, known: Signing, peek: Callable[[Signature], Entry | None]) -> Iterator[Any]:
    """What the next job will use of what is at hand. A file that one of its nodes reads is taken to be as the same node
    of the running job found it; nothing is asked and nothing runs."""
    graph = parse(job.graph, known.limits)
    parents = parents_in(graph)
    order = walk([id for id in job.outputs if id in graph], parents).order
    same = {id for id in order if _is_same(graph[id], known.graph.get(id))}
    fingerprints = {id: known.fingerprints[id] for id in same if id in known.fingerprints}
    signer = Signer(graph, known.kinds, known.decisions, OnceOnly(), fingerprints)
    for id in order:
        signer.sign(id)

    def will_run(id: str) -> bool:
        signature = signer.signed[id]
        return signature not in known.coming and peek(signature) is None

    to_run = [id for id in walk(job.outputs, lambda id: parents(id) if will_run(id) else ()).order if will_run(id)]
    return inputs_at_hand(to_run, graph, signer.signed, peek)


def _is_same(node: Node, other: Node | None) -> bool:
    return other is not None and node.class_type == other.class_type and node.constants == other.constants


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
