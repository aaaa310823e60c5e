"""What a pack's node returned, as the executor understands it."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from compat.border import from_pack
from compat.signals import ExecutionBlocker, InterruptProcessingException
from execution.context import JobInterrupted
from execution.spec import Blocked, Expanded, Link, NodeResult, Outcome


@contextmanager
def interruptible() -> Generator[None]:
    """A pack's way of saying that the user wants to stop, said our way."""
    try:
        yield
    except InterruptProcessingException as asked:
        raise JobInterrupted from asked


def outcome_of(result: Any, outputs: int, kind: Any, *, none_is_fine: bool) -> Outcome:
    """Read a tuple, a list, a dict of `ui`, `result` and `expand`, a blocker or, where that is fine, nothing.

    outputs: how many are declared. Raises TypeError for what is none of these.
    """
    if isinstance(result, ExecutionBlocker):
        return Blocked(result.message)
    if isinstance(result, Mapping):
        return _of_dict(cast(Mapping[str, Any], result))
    if isinstance(result, (list, tuple)):
        return NodeResult(_values(cast(Sequence[Any], result)))
    if result is None and none_is_fine:
        return NodeResult()
    if result is not None and outputs == 1:
        return NodeResult(_values((result,)))  # `return image` where `return (image,)` was meant
    name = getattr(kind, "__name__", str(kind))
    raise TypeError(
        f"{name} returned {'nothing' if result is None else 'a ' + type(result).__name__}; "
        f"expected a tuple of {outputs} values, or a dict with ui, result or expand"
    )


def _of_dict(result: Mapping[str, Any]) -> Outcome:
    ui: Mapping[str, Any] = result.get("ui") or {}
    made: Any = result.get("result", ())
    graph = result.get("expand")
    if graph is not None:
        return Expanded(cast(Mapping[str, Any], graph), tuple(_inner(value) for value in made or ()), ui)
    if isinstance(made, ExecutionBlocker):
        return Blocked(made.message)
    return NodeResult(_values(cast(Sequence[Any], made) if isinstance(made, (list, tuple)) else ()), ui)


def _values(values: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(_value(value) for value in values)


def _value(value: Any) -> Any:
    if isinstance(value, ExecutionBlocker):
        return Blocked(value.message)
    if type(value) is list:
        items = cast(list[Any], value)
        return [_value(item) for item in items] if _holds_objects(items) else items
    return from_pack(value)


def _holds_objects(values: list[Any]) -> bool:
    """Whether a list could hold something that is translated; most are conditionings, texts and numbers."""
    return any(not isinstance(value, (str, int, float, list, tuple, dict, type(None))) for value in values)


def _inner(value: Any) -> Any:
    """A value of an expansion: a link into its graph, or a constant."""
    return Link(*cast(list[Any], value)) if is_link(value) else _value(value)


def is_link(obj: Any) -> bool:
    """Whether something is a link: a node's id and the number of an output."""
    if not isinstance(obj, list) or len(cast(list[Any], obj)) != 2:
        return False
    node, slot = cast(list[Any], obj)
    return isinstance(node, str) and isinstance(slot, (int, float)) and not isinstance(slot, bool)
