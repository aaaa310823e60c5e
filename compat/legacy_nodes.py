"""One class of the older style (V1) as one `NodeSpec`."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from inspect import isawaitable
from typing import Any, cast

from compat.border import to_pack
from compat.hidden import hidden_values
from compat.legacy_declarations import declare
from compat.outcomes import interruptible, outcome_of
from compat.placeholder import loading
from compat.world import running
from execution.context import Run
from execution.kind import named_parameters
from execution.spec import Declaration, NodeSpec, Outcome

log = logging.getLogger(__name__)

RUN = "heddle: the run"
"""The parameter that receives the `Run`; no input is called this."""


def spec_of(id: str, kind: Any, title: str | None, source: str) -> NodeSpec:
    """kind: the class. Raises BadClass, and what the class raises when it is asked for its inputs."""
    kind.RELATIVE_PYTHON_MODULE = source
    declaration = _declare_patiently(id, kind, title, source)
    behaviour = LegacyNode(kind, declaration)

    def redeclare() -> Declaration:
        try:
            return _declare_patiently(id, kind, title, source)
        except Exception:
            log.exception("node %s can no longer say what it takes", id)
            return declaration

    return NodeSpec(
        declaration,
        behaviour.run,
        fingerprint=behaviour.fingerprint if declaration.has_fingerprint else None,
        needs=behaviour.needs if declaration.has_needs else None,
        check=_validator(kind, declaration.hidden) if declaration.has_check else None,
        given={RUN: Run},
        new_instance=kind,
        redeclare=redeclare,
    )


def _declare_patiently(id: str, kind: Any, title: str | None, source: str) -> Declaration:
    with loading():
        return declare(id, kind, title, source)


class LegacyNode:
    """What a class does, behind the interface of the executor."""

    def __init__(self, kind: Any, declaration: Declaration):
        self._kind = kind
        self._hidden = dict(declaration.hidden)
        self._lists = declaration.takes_lists
        self._outputs = len(declaration.outputs)
        self._is_output = declaration.is_output
        self._function: str = kind.FUNCTION

    def run(self, instance: Any, **sent: Any) -> Outcome | Awaitable[Outcome]:
        arguments = self._arguments(sent)
        with interruptible():
            result = getattr(instance, self._function)(**arguments)
        return self._awaited(result) if isawaitable(result) else self._outcome(result)

    async def _awaited(self, result: Awaitable[Any]) -> Outcome:
        with interruptible():
            return self._outcome(await result)

    def _outcome(self, result: Any) -> Outcome:
        return outcome_of(result, self._outputs, self._kind, none_is_fine=self._is_output or self._outputs == 0)

    def fingerprint(self, **sent: Any) -> Any:
        """A set or a tensor has no JSON, and so makes the node run anew, as any other strange answer does."""
        values = {**sent, **hidden_values(self._hidden, sent.pop(RUN), running=False)}
        return self._kind.IS_CHANGED(**_only_known(self._kind.IS_CHANGED, values, self._hidden))

    def needs(self, instance: Any, **sent: Any) -> Any:
        return instance.check_lazy_status(
            **_only_known(instance.check_lazy_status, self._arguments(sent), self._hidden)
        )

    def _arguments(self, sent: Mapping[str, Any]) -> dict[str, Any]:
        values = dict(sent)
        hidden = hidden_values(self._hidden, values.pop(RUN), running=True)
        if self._lists:
            arguments: dict[str, Any] = {
                name: [to_pack(item) for item in cast(list[Any], items)] if isinstance(items, list) else items
                for name, items in values.items()
            }
            return {**arguments, **{name: [value] for name, value in hidden.items()}}
        return {**{name: to_pack(value) for name, value in values.items()}, **hidden}


def _validator(kind: Any, hidden: Mapping[str, Any]) -> Callable[..., Any]:
    @wraps(kind.VALIDATE_INPUTS)  # the executor passes what its signature names
    def validate(**values: Any) -> Any:
        values.pop(RUN, None)
        if (asked := running()) is not None:
            values.update(hidden_values(hidden, asked, running=False))
        return kind.VALIDATE_INPUTS(**_only_known(kind.VALIDATE_INPUTS, values, hidden))

    return validate


def _only_known(hook: Callable[..., Any], values: Mapping[str, Any], hidden: Mapping[str, Any]) -> dict[str, Any]:
    """Hidden values go to hooks that name them; everything else goes to every hook, which may raise for it."""
    names = named_parameters(hook)
    return {name: value for name, value in values.items() if names is None or name in names or name not in hidden}
