"""What the engine asks about a class of nodes over and over, worked out once."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from execution.context import Run
from execution.spec import FILLED_IN, Declaration, NodeSpec


@dataclass(frozen=True, slots=True)
class Kind:
    """lazy, raw: names of inputs declared so. declared: all names. required: those that must be there. fingerprint,
    needs and check take only the arguments that `*_takes` names (None: everything)."""

    spec: NodeSpec
    declaration: Declaration
    lazy: frozenset[str]
    raw: frozenset[str]
    declared: frozenset[str]
    required: frozenset[str]
    fingerprint_takes: frozenset[str] | None
    needs_takes: frozenset[str] | None
    check_takes: frozenset[str] | None


def kind_of(spec: NodeSpec) -> Kind:
    declaration = spec.declaration
    return Kind(
        spec=spec,
        declaration=declaration,
        lazy=frozenset(i.name for i in declaration.inputs if i.lazy),
        raw=frozenset(i.name for i in declaration.inputs if i.raw_link),
        declared=frozenset(i.name for i in declaration.inputs)
        | {name for name, kind in declaration.hidden.items() if kind not in FILLED_IN},
        required=frozenset(i.name for i in declaration.inputs if i.required),
        fingerprint_takes=named_parameters(spec.fingerprint),
        needs_takes=named_parameters(spec.needs),
        check_takes=named_parameters(spec.check),
    )


class UnknownNode(LookupError):
    def __init__(self, class_type: str):
        super().__init__(f"there is no node {class_type!r} where this job runs; is its pack installed there?")


class Kinds:
    """The kinds of a registry. A registry may replace a spec between two questions; then its kind is made anew."""

    def __init__(self, nodes: Mapping[str, NodeSpec]):
        self.nodes = nodes
        self._known: dict[str, Kind] = {}

    def __call__(self, class_type: str) -> Kind:
        """Raises UnknownNode."""
        spec = self.nodes.get(class_type)
        if spec is None:
            raise UnknownNode(class_type)
        kind = self._known.get(class_type)
        if kind is None or kind.spec is not spec:
            kind = self._known[class_type] = kind_of(spec)
        return kind


class AfreshOnce(Mapping[str, Declaration]):
    """Declarations as the nodes make them now, each asked for once: choices may have changed since the start."""

    def __init__(self, nodes: Mapping[str, NodeSpec]):
        self._nodes = nodes
        self._made: dict[str, Declaration] = {}

    def __getitem__(self, class_type: str) -> Declaration:
        if class_type not in self._made:
            spec = self._nodes[class_type]
            self._made[class_type] = spec.redeclare() if spec.redeclare else spec.declaration
        return self._made[class_type]

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)

    def __contains__(self, class_type: object) -> bool:
        return class_type in self._nodes


def named_parameters(function: Callable[..., Any] | None) -> frozenset[str] | None:
    """The parameters a function can be given by name; None when it takes any name, or cannot say."""
    if function is None:
        return None
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return None
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return frozenset(p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))


class MissingCapability(LookupError):
    """A node asks for something that nobody handed to the engine."""

    def __init__(self, class_type: str, parameter: str, wanted: type):
        super().__init__(
            f"node {class_type} wants {parameter}: {wanted.__name__}, and the engine was given none; "
            f"add it to the capabilities where the engine is built"
        )


def capabilities_for(
    spec: NodeSpec, capabilities: Mapping[type, object], takes: frozenset[str] | None = None, run: Run | None = None
) -> dict[str, Any]:
    """The given parameters of a node (or of one of its hooks, which takes only some). Raises MissingCapability."""
    found: dict[str, Any] = {}
    for parameter, wanted in spec.given.items():
        if takes is not None and parameter not in takes:
            continue
        if wanted is Run:
            if run is not None:
                found[parameter] = run
        elif wanted in capabilities:
            found[parameter] = capabilities[wanted]
        else:
            raise MissingCapability(spec.id, parameter, wanted)
    return found
