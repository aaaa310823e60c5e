"""From a workflow file to a graph in API form.

What exists only in the editor is resolved away: subgraphs are flattened (their nodes are called `instance:node`),
reroutes and primitives followed, muted nodes left out, bypassed ones stepped through by type. Links are followed in a
loop, not by recursion, so the length of a chain does not matter.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from execution.spec import Declaration
from execution.workflow.read import (
    BOUNDARY_IN,
    BYPASSED,
    MUTED,
    FileGraph,
    FileNode,
    Source,
    Workflow,
    WorkflowError,
    read_workflow,
)
from execution.workflow.values import widget_values

NOTES = ("Note", "MarkdownNote")
PRIMITIVE, REROUTE = "PrimitiveNode", "Reroute"
DEEPEST_NESTING = 64
MOST_NODES = 50_000  # as many as a prompt may have


@dataclass(frozen=True)
class Scope:
    """The root, or one instance of a subgraph within another scope."""

    graph: FileGraph
    prefix: str = ""
    outer: "Scope | None" = None
    instance: FileNode | None = None


@dataclass(frozen=True, slots=True)
class Constant:
    """A link that turned out to lead to a value typed into the editor."""

    value: Any


def to_prompt(file: Mapping[str, Any], catalogue: Mapping[str, Declaration]) -> dict[str, Any]:
    """The graph in API form that an editor would send for this file.

    Nodes of unknown classes are kept with their links, so that validation names them. Raises WorkflowError.
    """
    workflow = read_workflow(file)
    scopes = {id(scope): scope for scope in all_scopes(workflow)}
    inside = {
        (scope.outer and id(scope.outer), scope.instance and scope.instance.id): scope for scope in scopes.values()
    }
    prompt: dict[str, Any] = {}
    for scope in scopes.values():
        for node in scope.graph.nodes.values():
            if (
                node.mode in (MUTED, BYPASSED)
                or node.type in (*NOTES, PRIMITIVE, REROUTE)
                or node.type in workflow.subgraphs
            ):
                continue
            prompt[scope.prefix + node.id] = emit(node, scope, inside, catalogue)
    for node in prompt.values():
        inputs = node["inputs"]
        for name in [n for n, v in inputs.items() if isinstance(v, list) and v[0] not in prompt]:
            del inputs[name]
    return prompt


def all_scopes(workflow: Workflow) -> Iterator[Scope]:
    """The root and every instance of a subgraph that is not muted or bypassed, outer ones first."""
    waiting, count = [Scope(workflow.root)], 0
    while waiting:
        scope = waiting.pop()
        count += len(scope.graph.nodes) + 1
        if count > MOST_NODES:
            raise WorkflowError(f"with its subgraphs written out the workflow has more than {MOST_NODES:,} nodes")
        yield scope
        if scope.prefix.count(":") > DEEPEST_NESTING:
            raise WorkflowError(
                f"subgraphs nest deeper than {DEEPEST_NESTING} at {scope.prefix}; does one contain itself?"
            )
        for node in scope.graph.nodes.values():
            if node.type in workflow.subgraphs and node.mode not in (MUTED, BYPASSED):
                waiting.append(Scope(workflow.subgraphs[node.type], f"{scope.prefix}{node.id}:", scope, node))


Inside = Mapping[tuple[int | None, str | None], Scope]


def emit(node: FileNode, scope: Scope, inside: Inside, catalogue: Mapping[str, Declaration]) -> dict[str, Any]:
    declaration = catalogue.get(node.type)
    inputs: dict[str, Any] = {}
    if declaration is not None:
        for name, value in widget_values(node, declaration).items():
            inputs[name] = {"__value__": value} if isinstance(value, list) else value
    for slot in node.inputs:
        if slot.source is None:
            continue
        match follow(slot.source, scope, slot.type, inside):
            case Constant(value):
                inputs[slot.name] = {"__value__": value} if isinstance(value, list) else value
            case (id, output):
                inputs[slot.name] = [id, output]
            case None:
                pass
    title = node.title or (declaration.title if declaration else None) or node.type
    return {"class_type": node.type, "inputs": inputs, "_meta": {"title": title}}


def follow(source: Source, scope: Scope, wanted: Any, inside: Inside) -> tuple[str, int] | Constant | None:
    """Walk a link back to the node that will make its value, through everything that exists only in the editor."""
    seen: set[tuple[int, Source]] = set()
    while True:
        if (id(scope), source) in seen:
            raise WorkflowError(f"a link at node {scope.prefix}{source.node} leads back to itself")
        seen.add((id(scope), source))
        if source.node == BOUNDARY_IN:
            stepped = through_boundary(source, scope)
            if not isinstance(stepped, Source):
                return stepped
            scope = scope.outer or scope
            source = stepped
            continue
        node = scope.graph.nodes.get(source.node)
        if node is None or node.mode == MUTED:
            return None
        if node.mode == BYPASSED:
            step = through_bypassed(node, source.slot, wanted)
        elif node.type == REROUTE:
            step = node.inputs[0].source if node.inputs else None
        elif node.type == PRIMITIVE:
            return Constant(next(iter(node.values), None)) if not isinstance(node.values, Mapping) else None
        elif (inner := inside.get((id(scope), node.id))) is not None:
            step = inner.graph.ends.get(source.slot)
            scope = inner
        else:
            return scope.prefix + node.id, source.slot
        if step is None:
            return None
        source = step


def through_bypassed(node: FileNode, slot: int, wanted: Any) -> Source | None:
    """The input that stands in for an output: the one at the same place if its type is wanted, else the first such."""
    same = node.inputs[slot] if 0 <= slot < len(node.inputs) else None
    if wanted == "*":
        stand_in = same or (node.inputs[0] if node.inputs else None)
    elif same is not None and same.type == wanted:
        stand_in = same
    else:
        stand_in = next((i for i in node.inputs if i.type == wanted), None)
    return stand_in.source if stand_in else None


def through_boundary(source: Source, scope: Scope) -> Source | Constant | None:
    """From the inside of a subgraph to what its instance is given: a link, else the value set on the instance."""
    if scope.instance is None:
        return None  # the root has no boundary, whatever its links say
    names = scope.graph.input_names
    if source.slot >= len(names):
        return None
    name = names[source.slot]
    slot = scope.instance.input(name)
    if slot is not None and slot.source is not None:
        return slot.source
    given = instance_values(scope.instance, scope.graph)
    return Constant(given[name]) if name in given else None


def instance_values(instance: FileNode, graph: FileGraph) -> Mapping[str, Any]:
    """Values set on the instance of a subgraph, by the name of its input. None set: the inner widget's own stands."""
    if instance.named is not None:
        return instance.named
    if isinstance(instance.values, Mapping):
        return instance.values
    return dict(zip(graph.widget_inputs(), instance.values, strict=False))
