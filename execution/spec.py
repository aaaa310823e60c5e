"""What a node is: a declaration (plain data, known to every process) and a behaviour (known where it runs).

The server works with declarations alone: it validates prompts and answers `/object_info` without ever importing
what a node needs to run. Declarations cross the pipe from the worker; behaviours never do.

Two makers produce `NodeSpec`: native nodes from a function's signature, and the compatibility layer from classes.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

NOTHING: Mapping[str, Any] = MappingProxyType({})


def nothing() -> Mapping[str, Any]:
    """The default of a mapping field; a mapping proxy cannot be given as a default itself."""
    return NOTHING


# The types whose constants are converted and checked at the door. Every other type is a socket.
WIDGET_TYPES = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
ANY = "*"
# Hidden inputs a node's maker fills in. One of another kind is filled in by whoever sends an input of its name.
FILLED_IN = (
    *("PROMPT", "UNIQUE_ID", "EXTRA_PNGINFO", "DYNPROMPT"),
    *("AUTH_TOKEN_COMFY_ORG", "API_KEY_COMFY_ORG", "COMFY_USAGE_SOURCE"),
)


@dataclass(frozen=True, slots=True)
class Link:
    """A value that another node makes: that node's id, and which of its outputs."""

    node: str
    slot: int


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One declared input.

    type: a socket or widget type; a comma union ("INT,FLOAT"); ANY; or "COMBO".
    options: exactly what `/object_info` shows beside the type (`default`, `min`, `max`, `step`, `lazy`, `rawLink`,
        `tooltip`, … and keys we have never heard of).
    choices: the members of a combo; None for everything else.
    choices_from: the name of a listing that supplies the choices afresh at every question ("checkpoints", "loras",
        "input"); `choices` is then what it last held.
    classic: how a combo is shown: the list itself in place of the type (True), or "COMBO" with the list under
        `options["options"]` (False).
    names_file: the value names an uploaded file, perhaps as `sub/name.png [output]`; existence replaces membership.
    self_checked: the node's own validator looks at this input, so the range and membership tests are left to it.
    in_parts: what it takes comes as further inputs called `<name>.<part>`, nothing under its own name.
    """

    name: str
    type: str
    required: bool = True
    options: Mapping[str, Any] = field(default_factory=nothing)
    choices: tuple[Any, ...] | None = None
    choices_from: str | None = None
    classic: bool = True
    names_file: bool = False
    self_checked: bool = False
    in_parts: bool = False

    @property
    def lazy(self) -> bool:
        return bool(self.options.get("lazy"))

    @property
    def raw_link(self) -> bool:
        return bool(self.options.get("rawLink"))


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """One declared output. A combo output has its list of choices as its type. `is_list`: many values, one by one."""

    name: str
    type: str | tuple[Any, ...]
    is_list: bool = False
    tooltip: str | None = None


@dataclass(frozen=True, slots=True)
class Declaration:
    """Everything about a node that can be known without running it. Plain data.

    id: the class name on the wire. pack: where it comes from, as `/object_info` calls it `python_module`.
    hidden: hidden inputs as declared, name → kind ("PROMPT", "UNIQUE_ID", …); shown, and passed by the node's maker.
    is_output: a root of execution. takes_lists: called once, with every argument a list.
    keyed_by_id: the node's id is part of its signature, because it sees its own id or is not repeatable.
    has_fingerprint, has_check, has_needs: the behaviour has these hooks (see NodeSpec).
    check_takes_types: the validator does the link type checks of this node itself.
    accepts_anything: undeclared constants are passed too, not dropped.
    modern: declared by the newer schema form, which shows some keys of `/object_info` differently.
    extra: further keys of its `/object_info` entry, as they are.
    """

    id: str
    title: str | None
    category: str
    inputs: tuple[InputSpec, ...] = ()
    outputs: tuple[OutputSpec, ...] = ()
    hidden: Mapping[str, Any] = field(default_factory=nothing)
    pack: str = "nodes"
    description: str = ""
    is_output: bool = False
    takes_lists: bool = False
    is_async: bool = False
    keyed_by_id: bool = False
    has_fingerprint: bool = False
    has_check: bool = False
    has_needs: bool = False
    check_takes_types: bool = False
    accepts_anything: bool = False
    deprecated: bool = False
    experimental: bool = False
    modern: bool = False
    extra: Mapping[str, Any] = field(default_factory=nothing)

    def input(self, name: str) -> InputSpec | None:
        return next((spec for spec in self.inputs if spec.name == name), None)


@dataclass(frozen=True, slots=True)
class Blocked:
    """Stands in a value's place: whoever would consume it is not run. A message is told once, to the first consumer."""

    message: str | None = None


@dataclass(frozen=True, slots=True)
class NodeResult:
    """What one call made. values: one per output (a list where the output is a list; `Blocked` where it is blocked);
    fewer than declared is legal, the missing ones are None. ui: what the page shows, lists by key, JSON-able."""

    values: tuple[Any, ...] = ()
    ui: Mapping[str, Sequence[Any]] = field(default_factory=nothing)


@dataclass(frozen=True, slots=True)
class Expanded:
    """A node that became a graph. graph: id → node in API form, ids new and the same every time.
    values: one per output of the node, constants or `Link`s into the graph."""

    graph: Mapping[str, Mapping[str, Any]]
    values: tuple[Any, ...] = ()
    ui: Mapping[str, Sequence[Any]] = field(default_factory=nothing)


Outcome = NodeResult | Expanded | Blocked


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """A declaration and what it does.

    run(**inputs) → Outcome, or an awaitable of one. fingerprint(**constants) → anything JSON-able that changes when
    the node must run again although its inputs did not (a file's hash); raising means "always run".
    needs(**inputs) → names of lazy inputs still wanted, given the values known so far (others None).
    check(**constants) → True, or False or a sentence that says what is wrong.
    given: parameter name → the type of a capability; the executor passes `context.Run` itself, and the rest from the
        capabilities it was built with. Given parameters are not inputs.
    new_instance: when set, one object per node id is made and kept, and passed to `run` and `needs` as the first
        positional argument.
    redeclare: makes the declaration afresh, for nodes whose choices only they know; asked whenever the catalogue is.
        Raises nothing.
    """

    declaration: Declaration
    run: Callable[..., Outcome | Awaitable[Outcome]]
    fingerprint: Callable[..., Any] | None = None
    needs: Callable[..., Any] | None = None
    check: Callable[..., Any] | None = None
    given: Mapping[str, type] = field(default_factory=dict[str, type])
    new_instance: Callable[[], object] | None = None
    redeclare: Callable[[], Declaration] | None = None

    @property
    def id(self) -> str:
        return self.declaration.id
