"""One class of the newer style (V3, with a schema) as one `NodeSpec`."""

import asyncio
import functools
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, cast

from compat.border import to_pack
from compat.hidden import BY_ID, hidden_values
from compat.legacy_declarations import UPLOADS
from compat.legacy_nodes import RUN
from compat.listed import Listed
from compat.outcomes import interruptible, outcome_of
from compat.placeholder import loading
from compat.signals import ExecutionBlocker
from compat.world import running
from execution.context import Run
from execution.kind import named_parameters
from execution.spec import Declaration, InputSpec, NodeSpec, Outcome, OutputSpec

log = logging.getLogger(__name__)


class SchemaInput(Protocol):
    """`io.Input` as far as it is looked at here."""

    id: str
    optional: bool

    def get_io_type(self) -> str: ...
    def as_dict(self) -> dict[str, Any]: ...
    def groups(self) -> dict[str, bool]: ...


class Output(Protocol):
    """`io.NodeOutput` likewise."""

    args: tuple[Any, ...]
    ui: Any
    expand: Mapping[str, Any] | None
    block_execution: str | None


def is_schema_class(kind: Any) -> bool:
    """Whether a class declares itself by a schema."""
    return isinstance(kind, type) and hasattr(kind, "define_schema") and hasattr(kind, "GET_SCHEMA")


def classes_of(entry: Callable[[], Any]) -> dict[str, Any]:
    """The classes of a pack's `comfy_entrypoint`, by id; one whose schema cannot be had by its own name.

    Raises what the pack raises, and TypeError when there is no list of classes."""
    kinds = asyncio.run(_nodes_of(entry))
    if not isinstance(kinds, (list, tuple)):
        raise TypeError(f"get_node_list() must return a list of node classes, got {type(kinds).__name__}")
    return {_id_of(kind): kind for kind in cast(Sequence[Any], kinds)}


async def _nodes_of(entry: Callable[[], Any]) -> Any:
    extension = await _settled(entry())
    if on_load := getattr(extension, "on_load", None):
        await _settled(on_load())
    return await _settled(extension.get_node_list())


async def _settled(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


def _id_of(kind: Any) -> str:
    try:
        return str(kind.GET_SCHEMA().node_id)
    except Exception:
        return getattr(kind, "__name__", repr(kind))  # `spec_of` will say what is wrong with it


def spec_of(kind: Any, source: str, *, id: str | None = None, title: str | None = None) -> NodeSpec:
    """id, title: where a pack lists the class itself under a name; else the schema's own. Raises what the class
    raises."""
    kind.RELATIVE_PYTHON_MODULE = source
    declaration = declare(kind, source, id, title)
    node = SchemaNode(kind, declaration)

    def redeclare() -> Declaration:
        try:
            return declare(kind, source, id, title)
        except Exception:
            log.exception("node %s can no longer say what it takes", declaration.id)
            return declaration

    return NodeSpec(
        declaration,
        node.run,
        fingerprint=node.fingerprint if declaration.has_fingerprint else None,
        needs=node.needs if declaration.has_needs else None,
        check=node.check() if declaration.has_check else None,
        given={RUN: Run},
        redeclare=redeclare,
    )


def declare(kind: Any, source: str, id: str | None = None, title: str | None = None) -> Declaration:
    """The class's schema as of now. Raises what the class raises."""
    with loading():
        schema = kind.GET_SCHEMA()
    validator = getattr(kind, "validate_inputs", None)
    checked = frozenset[str]() if validator is None else named_parameters(validator)
    hidden = {hidden.name: hidden.value for hidden in schema.hidden}
    inputs = [_input(one, checked is None or one.id in checked) for one in schema.inputs]
    return Declaration(
        id=id or schema.node_id,
        title=title or schema.display_name,
        category=schema.category,
        inputs=tuple(inputs),
        outputs=tuple(
            OutputSpec(output.display_name or "", _output_type(output), output.is_output_list, output.tooltip)
            for output in schema.outputs
        ),
        hidden=hidden,
        pack=source,
        description=schema.description or "",
        is_output=bool(schema.is_output_node),
        takes_lists=bool(schema.is_input_list),
        is_async=inspect.iscoroutinefunction(kind.execute),
        keyed_by_id=bool(schema.not_idempotent) or any(value in BY_ID for value in hidden.values()),
        has_fingerprint=hasattr(kind, "fingerprint_inputs"),
        has_check=validator is not None,
        has_needs=hasattr(kind, "check_lazy_status"),
        check_takes_types=checked is not None and "input_types" in checked,
        accepts_anything=bool(schema.accept_all_inputs) or any(one.groups() for one in schema.inputs),
        deprecated=bool(schema.is_deprecated),
        experimental=bool(schema.is_experimental),
        modern=True,
        extra=_extra(schema),
    )


def _input(one: SchemaInput, self_checked: bool) -> InputSpec:
    options, groups = one.as_dict(), one.groups()
    choices: Any = options.pop("options", None) if one.get_io_type() == "COMBO" else None
    return InputSpec(
        one.id,
        one.get_io_type(),
        not one.optional,
        options,
        choices=None if choices is None else tuple(choices),
        choices_from=choices.kind if isinstance(choices, Listed) and choices.is_untouched else None,
        classic=False,
        names_file=any(options.get(upload) for upload in UPLOADS),
        self_checked=self_checked,
        in_parts=groups.get(one.id) is False,
    )


def _output_type(output: Any) -> str | tuple[Any, ...]:
    kind: Any = output.get_io_type()
    return tuple(cast(Sequence[Any], kind)) if isinstance(kind, (list, tuple)) else str(kind)


def _extra(schema: Any) -> dict[str, Any]:
    """Keys of `/object_info` that only some nodes have."""
    said = {
        "api_node": schema.is_api_node,
        "is_input_list": schema.is_input_list,
        "has_intermediate_output": schema.has_intermediate_output,
        "dev_only": schema.is_dev_only,
        "search_aliases": schema.search_aliases,
        "essentials_category": schema.essentials_category,
        "price_badge": schema.price_badge,
    }
    templates = [getattr(getattr(output, "template", None), "template_id", None) for output in schema.outputs]
    if any(templates):
        said["output_matchtypes"] = templates
    return {key: value for key, value in said.items() if value}


class SchemaNode:
    """What a class does, behind the interface of the executor. Every call sees a class of its own, which is locked and
    holds the hidden values of that call."""

    def __init__(self, kind: Any, declaration: Declaration):
        schema = kind.GET_SCHEMA()
        self._kind = kind
        self._declaration = declaration
        self._expands = bool(schema.enable_expand)
        self._takes_all = bool(schema.accept_all_inputs)
        self._groups: dict[str, bool] = {name: own for one in schema.inputs for name, own in one.groups().items()}
        self._declared = frozenset(spec.name for spec in declaration.inputs)

    def run(self, **sent: Any) -> Outcome | Awaitable[Outcome]:
        call = self._prepared(sent.pop(RUN), running=True)
        with interruptible():
            result = call.execute(**self._arguments(sent))
        return self._awaited(result) if inspect.isawaitable(result) else self._outcome(result)

    async def _awaited(self, result: Awaitable[Any]) -> Outcome:
        with interruptible():
            return self._outcome(await result)

    def needs(self, **sent: Any) -> Any:
        call = self._prepared(sent.pop(RUN), running=True)
        return call.check_lazy_status(**self._arguments(sent))

    def fingerprint(self, **sent: Any) -> Any:
        call = self._prepared(sent.pop(RUN), running=False)
        return call.fingerprint_inputs(**self._nested(sent))

    def check(self) -> Callable[..., Any]:
        @functools.wraps(self._kind.validate_inputs)  # the executor passes what its signature names
        def validate(**values: Any) -> Any:
            values.pop(RUN, None)
            asked = running()
            kind = self._kind if asked is None else self._prepared(asked, running=False)
            return kind.validate_inputs(**self._nested(values))

        return validate

    def _prepared(self, run: Run, *, running: bool) -> Any:
        return self._kind.PREPARE_CLASS_CLONE(hidden_values(self._declaration.hidden, run, running=running))

    def _arguments(self, sent: Mapping[str, Any]) -> dict[str, Any]:
        if self._declaration.takes_lists:
            values: dict[str, Any] = {name: [to_pack(item) for item in items] for name, items in sent.items()}
        else:
            values = {name: to_pack(value) for name, value in sent.items()}
        return self._nested(values)

    def _nested(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """`{"a.x": 1}` as `{"a": {"x": 1}}` for every group; one with a value of its own has it under its own name.
        Of nodes with groups, what belongs to no input is left out unless the node takes everything."""
        if not self._groups:
            return dict(values)
        nested: dict[str, Any] = {}
        for name, own in self._groups.items():
            if not own or name in values:
                mine = _place(nested, name).setdefault(_last(name), {})
                if own:
                    mine[_last(name)] = values[name]
        for name, value in values.items():
            before = name.rpartition(".")[0]
            if name in self._groups:
                continue
            if before in self._groups:
                _place(nested, name)[_last(name)] = value
            elif name in self._declared or self._takes_all:
                nested[name] = value
        return nested

    def _outcome(self, result: Any) -> Outcome:
        if hasattr(result, "block_execution"):
            result = self._of_output(result)
        return outcome_of(result, len(self._declaration.outputs), self._kind, none_is_fine=True)

    def _of_output(self, output: Output) -> Any:
        if output.block_execution is not None:
            return ExecutionBlocker(output.block_execution)
        ui = output.ui.as_dict() if hasattr(output.ui, "as_dict") else output.ui
        if output.expand is None:
            return {"ui": ui, "result": output.args}
        if not self._expands:
            raise ValueError(
                f"{self._declaration.id} returned a graph to run in its place; its schema must say enable_expand=True"
            )
        return {"ui": ui, "result": output.args, "expand": output.expand}


def _place(nested: dict[str, Any], name: str) -> dict[str, Any]:
    """The dict that the last part of a dotted name goes into, made where it is not there."""
    for part in name.split(".")[:-1]:
        nested = nested.setdefault(part, {})
    return nested


def _last(name: str) -> str:
    return name.rpartition(".")[2]
