"""Nodes that become graphs: reading what they returned into the running job."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from execution.events import NodeRef
from execution.input_rules import RuleBook
from execution.problems import PromptRejected
from execution.prompt import Limits, Node, parse_node
from execution.spec import Declaration, Expanded
from execution.validate import check_nodes

_LONGEST_ID = 1_000_000


class InvalidExpansion(ValueError):
    """A node returned a graph that cannot be run."""


def read_expansion(
    expanded: Expanded,
    graph: dict[str, Node],
    declarations: Mapping[str, Declaration],
    rules: RuleBook,
    limits: Limits,
) -> list[str]:
    """Add the nodes of an expansion to the graph of the job, checked as a prompt is. Returns their ids.

    Constants that JSON does not know (a tensor handed on) are taken as they are. Raises InvalidExpansion.
    """
    added: list[str] = []
    # Ids grow with every level of nesting, and a loop may be nested as deep as it has rounds.
    limits = replace(limits, id_length=_LONGEST_ID, plain_ids=False)
    try:
        for id, raw in expanded.graph.items():
            if id in graph:
                raise InvalidExpansion(f"the expansion makes a node {id!r}, and there is one already; ids must be new")
            node = parse_node(id, raw, limits)
            graph[id] = node
            added.append(id)
        checked = check_nodes(graph, added, declarations, rules)
    except PromptRejected as rejected:
        raise InvalidExpansion(f"the expansion cannot be run: {rejected}") from rejected
    if checked.errors:
        lines = [
            f"node {id} ({graph[id].class_type}): {problem.message}: {problem.details}"
            for id, problems in checked.errors.items()
            for problem in problems
        ]
        raise InvalidExpansion("the expansion cannot be run:\n" + "\n".join(lines[:20]))
    for id, values in checked.converted.items():
        graph[id] = replace(graph[id], constants={**graph[id].constants, **values})
    return added


def refs_of(ids: Sequence[str], parent: NodeRef, graph: Mapping[str, Node]) -> dict[str, NodeRef]:
    """How the nodes of an expansion are called in events: shown on the node that expanded unless they say otherwise."""
    refs: dict[str, NodeRef] = {}
    for id in ids:
        display = graph[id].raw.get("override_display_id")
        refs[id] = NodeRef(
            id=id,
            display=display if isinstance(display, str) else parent.display,
            parent=parent.id,
            real=parent.real,
        )
    return refs
