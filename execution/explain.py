"""Why a node ran again: what is different from the last time a prompt held a node of this id and class.

Keeping track costs a few references per node; the sentence is made when somebody asks.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from execution.cache import Cache, KeepNothing
from execution.plain import short
from execution.prompt import Node
from execution.signature import Signature, is_once_only

_MOST_REMEMBERED = 100_000
_MOST_CHARACTERS = 64_000_000


@dataclass(frozen=True, slots=True)
class Seen:
    """A node as a prompt held it. parents: source id → signature."""

    node: Node
    signature: Signature
    fingerprint: Any
    signed: Mapping[str, Signature]


class Memory:
    """How each node looked in the last prompt that held it. Prompts may carry whole pictures as text, so what is
    remembered is bounded in nodes and in characters; the least recently seen are forgotten first."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[Seen, int]] = {}
        self._characters = 0

    def get(self, id: str) -> Seen | None:
        found = self._seen.get(id)
        return found[0] if found else None

    def remember(self, nodes: Iterable[Seen]) -> None:
        """Replaces what was known of these ids."""
        for seen in nodes:
            self._forget(seen.node.id)
            size = sum(len(value) for value in seen.node.constants.values() if type(value) is str)
            self._seen[seen.node.id] = (seen, size)
            self._characters += size
        while len(self._seen) > _MOST_REMEMBERED or self._characters > _MOST_CHARACTERS:
            self._forget(next(iter(self._seen)))

    def clear(self) -> None:
        self._seen.clear()
        self._characters = 0

    def _forget(self, id: str) -> None:
        found = self._seen.pop(id, None)
        if found:
            self._characters -= found[1]


class Reasons:
    """Why the nodes of one job ran. Filled while it runs; afterwards it holds no results."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._seen: dict[str, tuple[Seen, Seen | None, bool]] = {}
        self._started: set[str] = set()

    def note(self, now: Seen, before: Seen | None) -> None:
        """A node of the prompt whose result was not there."""
        # Whether it was dropped is asked now: when it has run, it will be there again.
        self._seen[now.node.id] = (now, before, self._cache.was_dropped(now.signature))

    def start(self, id: str) -> bool:
        """A node runs. False if it was known to."""
        if id in self._started:
            return False
        self._started.add(id)
        return True

    def of(self, id: str) -> str | None:
        """One sentence; None for a node that did not run, or that an expansion made."""
        if id not in self._started or id not in self._seen:
            return None
        if isinstance(self._cache.mode, KeepNothing):
            return "results are not kept"
        now, before, was_dropped = self._seen[id]
        return "its result was dropped to make room" if was_dropped else why(now, before)


def why(now: Seen, before: Seen | None) -> str:
    """What is different. One sentence without a full stop."""
    if before is None or before.node.class_type != now.node.class_type:
        return "it never ran before"
    if is_once_only(now.signature):
        if _is_never_equal(now.fingerprint):
            return "it asks to run every time"
        return _upstream(now, before) or "it has an input that can never be equal to another"
    if before.signature == now.signature:
        return "it did not finish the last time"
    return (
        _constants(now.node, before.node)
        or _fingerprint(now, before)
        or _links(now, before)
        or "it never ran with these inputs"
    )


def _constants(now: Node, before: Node) -> str | None:
    for name, value in now.constants.items():
        if name in before.constants:
            old = before.constants[name]
            if type(old) is not type(value) or old != value:
                return f"input `{name}` changed from {_quoted(old)} to {_quoted(value)}"
        elif name in before.links:
            return f"input `{name}` is no longer connected"
        else:
            return f"input `{name}` is new"
    for name in (*before.constants, *before.links):
        if name not in now.constants and name not in now.links:
            return f"input `{name}` is gone"
    return None


def _fingerprint(now: Seen, before: Seen) -> str | None:
    if now.fingerprint != before.fingerprint:
        return "what it reads from outside changed"
    return None


def _links(now: Seen, before: Seen) -> str | None:
    for name, link in now.node.links.items():
        old = before.node.links.get(name)
        if old is None:
            return f"input `{name}` is newly connected"
        if now.signed.get(link.node) == before.signed.get(old.node) and link.slot == old.slot:
            continue
        if link.node != old.node:
            return f"input `{name}` comes from node {link.node} instead of {old.node}"
        if link.slot != old.slot:
            return f"input `{name}` comes from another output of node {link.node}"
        return f"upstream node {link.node} changed"
    return None


def _upstream(now: Seen, before: Seen) -> str | None:
    for link in now.node.links.values():
        if is_once_only(now.signed.get(link.node, now.signature)):
            return f"upstream node {link.node} changed"
    return _constants(now.node, before.node)


def _is_never_equal(value: Any) -> bool:
    return isinstance(value, float) and value != value


def _quoted(value: Any) -> str:
    return repr(short(value, 60)) if isinstance(value, str) else short(value, 60)
