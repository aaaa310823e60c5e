"""Is this prompt fit to be queued, and if not, what exactly is wrong with it.

Pure and synchronous, over declarations alone. A node's own validator lives where the node can run, so there are two
phases: `checks_needed` says what to ask it, `validate` takes the verdicts and decides.

Every node upstream of an asked-for output is looked at once, parents first and outputs in prompt order; complaints
come in that order, and within a node in the order of its declared inputs. An output is queued if nothing upstream of
it is wrong. Unlike ComfyUI, nodes behind undeclared links are validated too, and faults of the graph's shape (cycles,
links to nothing) have complaints of their own.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from execution.graph import Walk, parents_in, walk
from execution.input_rules import InputRule, RuleBook
from execution.problems import NodeErrors, Problem, PromptRejected
from execution.prompt import LITERAL, Graph, Node, node_title
from execution.registry import Listing
from execution.spec import Declaration, InputSpec, Link
from execution.suggestions import nearest
from execution.workers.worker import CheckQuestion, Verdict

FileExists = Callable[[str], bool]
Catalogue = Mapping[str, Declaration]

# One fault with thousands of outputs behind it is not worth a quadratic answer: this many (output, fault) pairs are
# looked for, in prompt order, and the rest left out.
_MOST_DEPENDENTS = 200_000
_MOST_CYCLES = 10
_JSON_TYPES = (type(None), bool, int, float, str, list, dict)


@dataclass(frozen=True, slots=True)
class Validated:
    """A prompt that may be queued. graph: API form, plain data, constants converted to their inputs' types. outputs:
    the valid ones, in prompt order. node_errors: what is wrong with the rest."""

    graph: Mapping[str, Any]
    outputs: tuple[str, ...]
    node_errors: Mapping[str, NodeErrors]


def checks_needed(graph: Graph, catalogue: Catalogue, targets: Collection[str] | None = None) -> list[CheckQuestion]:
    """What to ask validators before `validate`. Empty for a prompt that `validate` will refuse as a whole."""
    if any(node.class_type not in catalogue for node in graph.values()):
        return []
    if not any(catalogue[node.class_type].has_check for node in graph.values()):
        return []
    reached = walk(_outputs(graph, catalogue, targets), parents_in(graph)).order
    rules = RuleBook(None, None)
    return [
        _question(graph, graph[id], catalogue, rules) for id in reached if catalogue[graph[id].class_type].has_check
    ]


def validate(
    graph: Graph,
    catalogue: Catalogue,
    targets: Collection[str] | None = None,
    verdicts: Iterable[Verdict] = (),
    *,
    listing: Listing | None = None,
    file_exists: FileExists | None = None,
) -> Validated:
    """Check a parsed prompt. Raises PromptRejected when nothing of it can be run.

    targets: `partial_execution_targets`. listing: supplies the choices of inputs that name one; without it the last
    known ones count. file_exists: whether the value of an input that names an uploaded file leads to one; without it
    such values are not tested.
    """
    _require_known_classes(graph, catalogue)
    outputs = _outputs(graph, catalogue, targets)
    if not outputs:
        raise PromptRejected(Problem("prompt_no_outputs", "Prompt has no outputs"))
    walked = walk(outputs, parents_in(graph))
    checker = _Checker(graph, catalogue, RuleBook(listing, file_exists), {v.node: v for v in verdicts}, set(outputs))
    valid = checker.check(walked)
    node_errors = _node_errors(graph, outputs, checker.errors, valid)
    good = tuple(id for id in outputs if valid[id])
    if not good:
        own = [problem for id in outputs for problem in checker.errors.get(id, ())]
        details = "\n".join(f"{problem.message}: {problem.details}" for problem in own)
        raise PromptRejected(
            Problem("prompt_outputs_failed_validation", "Prompt outputs failed validation", details), node_errors
        )
    return Validated(_api_form(graph, checker.converted), good, node_errors)


def check_nodes(graph: Graph, ids: Sequence[str], catalogue: Catalogue, rules: RuleBook) -> "NodeCheck":
    """Check some nodes of a graph whose others are known to be good (the nodes of an expansion)."""
    for id in ids:
        if graph[id].class_type not in catalogue:
            raise PromptRejected(_unknown_class(graph[id], catalogue))
    checker = _Checker(graph, catalogue, rules, {}, set(), foreign=True)
    mine = set(ids)
    inside = walk(ids, lambda id: [link.node for link in graph[id].links.values() if link.node in mine])
    checker.check(inside)
    return NodeCheck(checker.errors, checker.converted)


@dataclass(frozen=True, slots=True)
class NodeCheck:
    """errors: node id → complaints. converted: node id → input name → value, where it changed."""

    errors: Mapping[str, Sequence[Problem]]
    converted: Mapping[str, Mapping[str, Any]]


def _require_known_classes(graph: Graph, catalogue: Catalogue) -> None:
    for node in graph.values():
        if node.class_type not in catalogue:
            raise PromptRejected(_unknown_class(node, catalogue))


def _unknown_class(node: Node, catalogue: Catalogue) -> Problem:
    return Problem(
        "invalid_prompt",
        f"Cannot execute because node {node.class_type[:256]} does not exist.",
        f"Node ID '#{node.id}'",
        {
            "node_id": node.id,
            "class_type": node.class_type[:256],
            "node_title": node_title(node.raw),
            "suggestions": nearest(node.class_type, catalogue),
        },
    )


def _outputs(graph: Graph, catalogue: Catalogue, targets: Collection[str] | None) -> list[str]:
    wanted = None if targets is None else set(targets)
    return [
        id for id, node in graph.items() if catalogue[node.class_type].is_output and (wanted is None or id in wanted)
    ]


def _question(graph: Graph, node: Node, catalogue: Catalogue, rules: RuleBook) -> CheckQuestion:
    """A validator sees converted constants, and of links only that they are there and of what type."""
    values: dict[str, Any] = {}
    for rule in rules.of(catalogue[node.class_type]):
        name = rule.spec.name
        if name in node.constants:
            value, problem = rule.convert(node.constants[name])
            values[name] = node.constants[name] if problem else value
    types = {name: _received(graph, catalogue, link) for name, link in node.links.items()}
    return CheckQuestion(
        node=node.id,
        class_type=node.class_type,
        values=values,
        linked=list(node.links),
        types={name: list(kind) if isinstance(kind, tuple) else kind for name, kind in types.items() if kind},
    )


def _received(graph: Graph, catalogue: Catalogue, link: Link) -> str | tuple[Any, ...] | None:
    source = graph.get(link.node)
    if source is None:
        return None
    outputs = catalogue[source.class_type].outputs
    return outputs[link.slot].type if -len(outputs) <= link.slot < len(outputs) else None


class _Checker:
    """One validation. `errors` and `converted` fill up while it goes over the nodes, parents first."""

    def __init__(
        self,
        graph: Graph,
        catalogue: Catalogue,
        rules: RuleBook,
        verdicts: Mapping[str, Verdict],
        outputs: set[str],
        foreign: bool = False,
    ):
        """foreign: constants may be what JSON does not know, and are then taken as they are."""
        self.errors: dict[str, list[Problem]] = {}
        self.converted: dict[str, dict[str, Any]] = {}
        self._graph = graph
        self._catalogue = catalogue
        self._rules = rules
        self._verdicts = verdicts
        self._outputs = outputs
        self._foreign = foreign

    def check(self, walked: Walk) -> dict[str, bool]:
        """Which of the walked nodes are valid, with everything upstream of them."""
        for cycle in walked.cycles:
            self._complain_of_cycle(cycle)
        valid: dict[str, bool] = {}
        graph, catalogue, errors = self._graph, self._catalogue, self.errors
        for id in walked.order:
            node = graph[id]
            self._check_inputs(node, catalogue[node.class_type])
            if id in self._verdicts:
                self._judge(node, self._verdicts[id])
            valid[id] = id not in errors and all(valid.get(link.node, True) for link in node.links.values())
        return valid

    def _complain(self, id: str, problem: Problem) -> None:
        self.errors.setdefault(id, []).append(problem)

    def _check_inputs(self, node: Node, declaration: Declaration) -> None:
        constants, links, malformed = node.constants, node.links, node.malformed
        linked = 0
        for rule in self._rules.of(declaration):
            name = rule.spec.name
            if name in constants:
                value = constants[name]
                if rule.accepts_as_is(value) or (self._foreign and type(value) not in _JSON_TYPES):
                    continue
                new, problem = rule.check(value)
                if problem is not None:
                    self._complain(node.id, problem)
                elif new is not value:
                    self.converted.setdefault(node.id, {})[name] = new
            elif name in links:
                linked += 1
                self._check_link(node, rule.spec, links[name], rule, declaration.check_takes_types)
            elif name in malformed:
                self._complain(node.id, rule.malformed(malformed[name]))
            elif rule.spec.required and not rule.spec.in_parts:
                self._complain(
                    node.id,
                    Problem("required_input_missing", "Required input is missing", name, {"input_name": name}),
                )
        if linked < len(links):
            for name, link in links.items():
                if declaration.input(name) is None:
                    self._check_link(node, InputSpec(name, "*"), link, None, True)

    def _check_link(self, node: Node, spec: InputSpec, link: Link, rule: InputRule | None, any_type: bool) -> None:
        source = self._graph.get(link.node)
        name = spec.name
        if source is None:
            others = self._rules.suggest(link.node, self._graph)
            self._complain_of_link(node, name, link, rule, f"there is no node {link.node[:256]!r}", others)
            return
        outputs = self._catalogue[source.class_type].outputs
        if not -len(outputs) <= link.slot < len(outputs):
            count = "no outputs" if not outputs else "one output" if len(outputs) == 1 else f"{len(outputs)} outputs"
            text = f"node {link.node!r} ({source.class_type}) has {count}, none with the number {link.slot}"
            self._complain_of_link(node, name, link, rule, text)
            return
        received = outputs[link.slot].type
        if rule is None or any_type or rule.takes(received):
            return
        shown = list(received) if isinstance(received, tuple) else received
        config = rule.config()
        self._complain(
            node.id,
            Problem(
                "return_type_mismatch",
                "Return type mismatch between linked nodes",
                f"{name}, received_type({shown}) mismatch input_type({config[0]})",
                {
                    "input_name": name,
                    "input_config": config,
                    "received_type": shown,
                    "linked_node": [link.node, link.slot],
                },
            ),
        )

    def _complain_of_link(
        self,
        node: Node,
        name: str,
        link: Link,
        rule: InputRule | None,
        text: str,
        suggestions: Sequence[str] = (),
    ) -> None:
        extra: dict[str, Any] = {
            "input_name": name,
            "input_config": rule.config() if rule else None,
            "received_value": [link.node, link.slot],
            "linked_node": [link.node, link.slot],
        }
        if suggestions:
            extra["suggestions"] = list(suggestions)
        self._complain(node.id, Problem("bad_linked_input", "Linked input leads nowhere", f"{name}, {text}", extra))

    def _complain_of_cycle(self, cycle: Sequence[str]) -> None:
        """On the node where the walk met the cycle's beginning again; every node of the cycle is upstream of it."""
        known = sum(1 for problems in self.errors.values() for p in problems if p.type == "dependency_cycle")
        shown = list(cycle) if known < _MOST_CYCLES else [cycle[0], cycle[-1]]
        path = [*shown, shown[0]]
        if len(path) > 40:
            path = [*path[:20], f"({len(path) - 40} more)", *path[-20:]]
        self._complain(
            cycle[0],
            Problem(
                "dependency_cycle",
                "Nodes depend on each other in a circle",
                " -> ".join(path),
                {"node_id": cycle[0], "cycle_nodes": shown},
            ),
        )

    def _judge(self, node: Node, verdict: Verdict) -> None:
        if verdict.raised is not None:
            self._complain(node.id, self._raised(node, *verdict.raised))
        elif verdict.complaint is not None:
            for name in verdict.names or ("",):  # it may have looked at the types alone
                details = " - ".join(part for part in (name, verdict.complaint) if part)
                self._complain(
                    node.id,
                    Problem(
                        "custom_validation_failed",
                        "Custom validation failed for node",
                        details,
                        {"input_name": name},
                    ),
                )

    def _raised(self, node: Node, exception_type: str, text: str, lines: Sequence[str]) -> Problem:
        extra: dict[str, Any] = {"exception_type": exception_type, "traceback": list(lines)}
        if node.id in self._outputs:
            return Problem("exception_during_validation", "Exception when validating node", text, extra)
        for consumer in self._graph.values():
            for name, link in consumer.links.items():
                if link.node == node.id:
                    spec = self._catalogue[consumer.class_type].input(name)
                    rule = self._rules.rule(spec) if spec else None
                    extra["input_name"] = name
                    extra["input_config"] = rule.config() if rule else None
                    extra["linked_node"] = [link.node, link.slot]
                    break
            if "linked_node" in extra:
                break
        extra["exception_message"] = text
        return Problem("exception_during_inner_validation", "Exception when validating inner node", text, extra)


def _node_errors(
    graph: Graph,
    outputs: Sequence[str],
    errors: Mapping[str, Sequence[Problem]],
    valid: Mapping[str, bool],
) -> dict[str, NodeErrors]:
    """Complaints with the outputs each keeps from running, found by going up from every invalid output."""
    dependents: dict[str, list[str]] = {id: [] for id in errors}
    steps = 0
    for output in outputs:
        if valid[output] or steps > _MOST_DEPENDENTS:
            continue
        seen = {output}
        stack = [output]
        while stack:
            id = stack.pop()
            steps += 1
            if id in dependents:
                dependents[id].append(output)
            for link in graph[id].links.values():
                if link.node not in seen and link.node in graph and not valid[link.node]:
                    seen.add(link.node)
                    stack.append(link.node)
    return {id: NodeErrors(graph[id].class_type, problems, dependents[id]) for id, problems in errors.items()}


def _api_form(graph: Graph, converted: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The prompt as plain data again, with converted values. A client's `is_changed` is not carried on: whether a file
    changed is for us to find out."""
    prompt: dict[str, Any] = {}
    for id, node in graph.items():
        raw = node.raw
        if id in converted or "is_changed" in raw:
            inputs = dict(raw["inputs"])
            for name, value in converted.get(id, {}).items():
                inputs[name] = {LITERAL: value} if name in node.wrapped else value
            raw = {key: value for key, value in raw.items() if key != "is_changed"} | {"inputs": inputs}
        prompt[id] = raw
    return prompt
