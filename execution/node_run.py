"""A running node's view of its job, and the one way out for what it says."""

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal

from execution.context import JobInterrupted, RunningGraph
from execution.events import Event, NodeRef, Preview, Progress, Text
from execution.prompt import Node

Emit = Callable[[Event], None]


class Voice:
    """Passes events on until the last one. Nodes may speak from threads that outlive their job; then nobody listens."""

    def __init__(self, emit: Emit):
        self._emit = emit
        self._lock = threading.Lock()
        self._is_closed = False
        self.notes: list[str] = []

    def say(self, event: Event) -> None:
        with self._lock:
            if not self._is_closed:
                self._emit(event)

    def close(self, last: Event) -> None:
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                self._emit(last)


@dataclass(frozen=True, slots=True, eq=False)
class GraphView:
    """`context.RunningGraph` over the nodes of a job; `locate` says where a node stands."""

    submitted: Mapping[str, Any] = field(default_factory=dict[str, Any])
    nodes: Mapping[str, Node] = field(default_factory=dict[str, Node])
    locate: Callable[[str], NodeRef] = lambda id: NodeRef(id, id, None, id)

    def ids(self) -> Sequence[str]:
        return tuple(self.nodes)

    def node(self, id: str) -> Mapping[str, Any]:
        return self.nodes[id].raw

    def ref(self, id: str) -> NodeRef:
        if id not in self.nodes:
            raise KeyError(id)
        return self.locate(id)


@dataclass(frozen=True, slots=True, eq=False)
class NodeRun:
    """`context.Run` for one call of a node."""

    prompt_id: str
    node: NodeRef
    prompt: Mapping[str, Any]
    extra: Mapping[str, Any]
    voice: Voice
    should_stop: Callable[[], bool]
    list_index: int = 0
    graph: RunningGraph = field(default_factory=GraphView)
    upcoming: Callable[[], Sequence[Any]] = tuple
    """Values at hand that nodes after this one will take as inputs, the soonest first."""

    def check(self) -> None:
        if self.should_stop():
            raise JobInterrupted

    def progress(self, value: float, total: float) -> None:
        value, total = float(value), float(total)
        if math.isfinite(value) and math.isfinite(total) and total > 0:
            self.voice.say(Progress(self.prompt_id, self.node, value, total))
        self.check()

    def preview(self, image: bytes, format: Literal["jpeg", "png"]) -> None:
        self.voice.say(Preview(self.prompt_id, self.node, format, image))

    def text(self, text: str) -> None:
        self.voice.say(Text(self.prompt_id, self.node, text))

    def note(self, sentence: str) -> None:
        self.voice.notes.append(sentence)


def asked(id: str) -> NodeRun:
    """What a validator sees of a run: the id of its node, and nothing else, because nothing runs yet."""
    return NodeRun("", NodeRef(id, id, None, id), {}, {}, Voice(lambda _: None), lambda: False)


# Which call is running in this thread or task; for code that was not handed its `Run`.
executing: ContextVar[NodeRun | None] = ContextVar("executing", default=None)
