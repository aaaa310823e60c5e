"""`@node(...)`: a typed function becomes a node; its signature is the schema.

    @node("LatentMultiply", category="latent/advanced")
    def latent_multiply(*, samples: Latent, multiplier: Annotated[float, Number(-10, 10, step=0.01)] = 1.0) -> Latent:
        '''Scale a latent.

        multiplier: 1 changes nothing.
        '''

Keyword-only parameters in the order of the page. A default shows on the page and stands in for an optional input that
is not sent; it does not make an input optional (`Mask | None = None` and OPTIONAL do). A `list[...]` parameter receives
all values at once; a `list[...]` result is handed on one by one. The docstring's first paragraph is the description,
and its lines `parameter: text` are tooltips. A mistake in a declaration raises `DeclarationError` at import.
"""

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Generic, ParamSpec, TypeVar, cast

import torch

from execution.spec import NOTHING, Blocked, Declaration, Expanded, InputSpec, NodeResult, NodeSpec, Outcome
from nodes.markers import Ui
from nodes.signature import DeclarationError, Parameter, Signature, describe, read_signature

P = ParamSpec("P")
R = TypeVar("R")
Hook = Callable[..., Any]

SAVES: Mapping[str, str] = {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"}
"""The hidden inputs of nodes that write the graph into their files."""


class Node(Generic[P, R]):
    """A declared node: still callable as the function it was, with its `spec` for the executor."""

    def __init__(self, function: Callable[P, R], signature: Signature, spec: NodeSpec):
        self.function = function
        self.signature = signature
        self.spec = spec
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def fingerprint(self, hook: Hook) -> Hook:
        """Decorator: something JSON-able that changes when the node must run again though its inputs did not."""
        self._add_hook("fingerprint", hook)
        return hook

    def check(self, hook: Hook) -> Hook:
        """Decorator: True, or a sentence that says what is wrong with the constants. Links are None."""
        self._add_hook("check", hook)
        return hook

    def needs(self, hook: Hook) -> Hook:
        """Decorator: names of the lazy inputs still wanted, given the values known so far."""
        self._add_hook("needs", hook)
        return hook

    def _add_hook(self, kind: str, hook: Hook) -> None:
        names = tuple(inspect.signature(hook).parameters)
        known = {p.name for p in self.signature.parameters}
        if strangers := sorted(set(names) - known):
            raise DeclarationError(f"{self.spec.id}: its {kind} asks for {strangers}; the node has {sorted(known)}")

        @functools.wraps(hook)
        def call(**values: Any) -> Any:
            return hook(**{name: values.get(name) for name in names})

        declaration = self.spec.declaration
        if kind == "check":
            inputs = tuple(replace(i, self_checked=i.self_checked or i.name in names) for i in declaration.inputs)
            declaration = replace(declaration, inputs=inputs)
        declaration = replace(declaration, **{f"has_{kind}": True})
        self.spec = replace(self.spec, declaration=declaration, **{kind: call})


def node(
    id: str,
    *,
    category: str,
    title: str | None = None,
    modern: bool = False,
    output: bool = False,
    hidden: Mapping[str, str] | None = None,
    keyed_by_id: bool = False,
    experimental: bool = False,
    deprecated: bool = False,
) -> Callable[[Callable[P, R]], Node[P, R]]:
    """Declares the decorated function as node `id`.

    title: what the page shows; a classic node without one shows its id. modern: shown in the newer schema form, whose
    combos are "COMBO" with options. output: a root of execution. hidden: hidden inputs shown in the declaration.
    """

    def declare(function: Callable[P, R]) -> Node[P, R]:
        if not id or not category:
            raise DeclarationError(f"{function.__name__}: a node needs an id and a category, got {id!r}, {category!r}")
        signature = read_signature(function, id)
        description, tooltips = read_docstring(function, signature)
        declaration = Declaration(
            id=id,
            title=title if title or modern else id,
            category=category,
            inputs=tuple(input_spec(p, modern, tooltips.get(p.name)) for p in signature.inputs),
            outputs=signature.outputs,
            hidden=dict(hidden or {}),
            description=description,
            is_output=output,
            takes_lists=signature.takes_lists,
            keyed_by_id=keyed_by_id,
            deprecated=deprecated,
            experimental=experimental,
            modern=modern,
        )
        given = {p.name: p.given for p in signature.parameters if p.given is not None}
        return Node(function, signature, NodeSpec(declaration, runner(function, signature, id), given=given))

    return declare


def input_spec(parameter: Parameter, modern: bool, tooltip: str | None) -> InputSpec:
    options: Mapping[str, Any] = dict(parameter.options)
    classic = parameter.classic if parameter.classic is not None else not modern
    if parameter.type == "COMBO" and modern and parameter.classic is None:
        options = {**options, "multiselect": False}
    if tooltip:
        options = {**options, "tooltip": tooltip}
    return InputSpec(
        name=parameter.name,
        type=parameter.type,
        required=parameter.required,
        options=NOTHING if classic and not options else options,  # NOTHING shows as the type alone
        choices=parameter.choices,
        choices_from=parameter.listing,
        classic=classic,
        names_file=parameter.names_file,
    )


def read_docstring(function: Callable[..., Any], signature: Signature) -> tuple[str, dict[str, str]]:
    """The first paragraph, and the lines that explain a parameter."""
    paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
    names = {p.name for p in signature.inputs}
    tooltips: dict[str, str] = {}
    for line in "\n".join(paragraphs[1:]).splitlines():
        found = re.match(r"(\w+): (.+)", line)
        if found and found[1] in names:
            tooltips[found[1]] = found[2]
    return " ".join(paragraphs[0].split()), tooltips


def runner(function: Callable[..., Any], signature: Signature, id: str) -> Callable[..., Outcome]:
    """The function behind a door that reads wire values in and packs results out."""

    def run(**sent: Any) -> Outcome:
        arguments: dict[str, Any] = {}
        for parameter in signature.parameters:
            place = arguments if parameter.gathered_in is None else arguments.setdefault(parameter.gathered_in, {})
            if parameter.name in sent:
                place[parameter.name] = parameter.read(sent[parameter.name], signature.takes_lists)
            elif parameter.gathered_in is not None:
                place[parameter.name] = parameter.options["default"]
            elif parameter.required and "default" not in parameter.options:
                raise ValueError(f'{id}: "{parameter.name}" ({parameter.type}) is missing')
        # Models are only used here, never trained; ordinary tensors come out, which any other code may change.
        with torch.no_grad():
            return pack(function(**arguments), signature, id)

    return run


def pack(result: Any, signature: Signature, id: str) -> Outcome:
    match result:
        case Blocked() | Expanded() | NodeResult():
            return result
        case Ui() if not signature.outputs:
            return NodeResult(ui=result.entries)
        case _ if len(signature.outputs) == 1 and not signature.many:
            return NodeResult((result,))
        case _:
            promised = f"a tuple of {len(signature.outputs)} values" if signature.many else "a Ui"
            values = cast(tuple[Any, ...], result)
            if not signature.many or not isinstance(result, tuple) or len(values) != len(signature.outputs):
                raise TypeError(f"{id} promises {promised} in its signature and returned {describe(values)}")
            return NodeResult(values)
