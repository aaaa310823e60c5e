"""Asking the hooks of a node: what else it depends on, which lazy inputs it wants, whether it likes its constants."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from inspect import isawaitable
from typing import Any, cast

from execution.calls import Arguments, blocker_in, calls_of
from execution.context import Run
from execution.kind import Kind, capabilities_for
from execution.prompt import Node

Capabilities = Mapping[type, object]
Finish = Callable[[Awaitable[Any]], Any]

ALWAYS = float("nan")  # a fingerprint that equals nothing


class NotLinked(ValueError):
    def __init__(self, name: str):
        super().__init__(f"the node asked for its input {name!r}, which has no link that could be evaluated")


def fingerprint(kind: Kind, node: Node, capabilities: Capabilities, run: Run, finish: Finish) -> Any:
    """What a node says it depends on besides its inputs; ALWAYS when its hook fails. Linked inputs are None to it."""
    hook = kind.spec.fingerprint
    if hook is None:
        return None
    arguments: dict[str, Any] = {name: value for name, value in node.constants.items() if name in kind.declared}
    arguments.update(dict.fromkeys(node.links))
    try:
        given = capabilities_for(kind.spec, capabilities, kind.fingerprint_takes, run)
        value = hook(**_only(arguments, kind.fingerprint_takes), **given)
        return finish(value) if isawaitable(value) else value
    except Exception:
        return ALWAYS


def links_wanted(
    kind: Kind,
    node: Node,
    arguments: Arguments,
    known: Collection[str],
    instance: object | None,
    capabilities: Capabilities,
    run: Run,
    finish: Finish,
) -> list[str]:
    """Which lazy links a node wants evaluated next, over all its calls. known: those that are. Raises NotLinked, and
    what the hook raises. A hook never sees a blocker: such a call wants nothing."""
    hook = kind.spec.needs
    if hook is None:
        return []
    wanted: set[str] = set()
    given = capabilities_for(kind.spec, capabilities, kind.needs_takes, run)
    positional = () if instance is None else (instance,)
    for call in calls_of(kind, node, arguments):
        if blocker_in(kind, call) is not None:
            continue
        answer = hook(*positional, **_only(call, kind.needs_takes), **given)
        if isawaitable(answer):
            answer = finish(answer)
        wanted.update(_names(answer))
    for name in wanted:
        if name not in node.links and name not in node.constants:
            raise NotLinked(name)
    return sorted(name for name in wanted if name in kind.lazy and name in node.links and name not in known)


def judge(
    kind: Kind,
    values: Mapping[str, Any],
    linked: Sequence[str],
    types: Mapping[str, Any],
    capabilities: Capabilities,
    finish: Finish,
) -> tuple[object, list[str]]:
    """What a node's validator says of its constants (linked inputs are None to it), and the inputs it looked at."""
    hook = kind.spec.check
    if hook is None:
        return True, []
    arguments = _only({**dict.fromkeys(linked), **values}, kind.check_takes)
    names = [name for name in arguments if name in kind.declared]
    if kind.check_takes is not None and "input_types" in kind.check_takes:
        arguments["input_types"] = dict(types)
    given = capabilities_for(kind.spec, capabilities, kind.check_takes, None)
    answer = hook(**arguments, **given)
    return (finish(answer) if isawaitable(answer) else answer), names


def _only(arguments: Mapping[str, Any], names: Collection[str] | None) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if names is None or name in names}


def _names(answer: object) -> Iterable[str]:
    if answer is None:
        return ()
    return (answer,) if isinstance(answer, str) else cast(Iterable[str], answer)
