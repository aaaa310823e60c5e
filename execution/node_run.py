"""A running node's view of its job, and the one way out for what it says."""

import math
import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

from execution.context import JobInterrupted
from execution.events import Event, NodeRef, Preview, Progress, Text

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
class NodeRun:
    """`context.Run` for one call of a node."""

    prompt_id: str
    node: NodeRef
    prompt: Mapping[str, Any]
    extra: Mapping[str, Any]
    voice: Voice
    should_stop: Callable[[], bool]
    list_index: int = 0

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


# Which call is running in this thread or task; for code that was not handed its `Run`.
executing: ContextVar[NodeRun | None] = ContextVar("executing", default=None)
