"""What can happen to a job, one frozen dataclass each: what a worker says, and what everyone else may rely on.

They carry the prompt's id and never a client's: who listens is the hub's affair. All fields are plain data fit for
another process (`Preview.image` is bytes, everything else survives JSON). Times are seconds since the epoch.

The order of one job:  Queued · Started · Cached · (NodeStarted · Progress* · Preview* · Text* · NodeFinished)* ·
one of Succeeded | Failed | Interrupted | Crashed · QueueChanged · Filed.  A job whose worker died may begin again: a
second Started voids what was told before. The record of a job is in the history before its ending is published.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from execution.problems import NodeProblem


@dataclass(frozen=True, slots=True)
class NodeRef:
    """How a node of a running job is called. id: its own id, made up for nodes of an expansion. display: the node to
    highlight. parent: the node that expanded into it, if any. real: its ancestor in the submitted graph."""

    id: str
    display: str
    parent: str | None
    real: str


@dataclass(frozen=True, slots=True)
class Queued:
    prompt_id: str


@dataclass(frozen=True, slots=True)
class Started:
    prompt_id: str
    at: float


@dataclass(frozen=True, slots=True)
class Cached:
    """nodes: every node of the prompt whose result is at hand, needed or not."""

    prompt_id: str
    nodes: Sequence[str]
    at: float


@dataclass(frozen=True, slots=True)
class NodeStarted:
    """reason: why it runs and is not taken from the cache, one sentence; None for a node of an expansion."""

    prompt_id: str
    node: NodeRef
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """value of total, both in the node's own unit; total > 0."""

    prompt_id: str
    node: NodeRef
    value: float
    total: float


@dataclass(frozen=True, slots=True)
class Preview:
    """An encoded picture of what a node has so far. image: a whole JPEG or PNG file."""

    prompt_id: str
    node: NodeRef
    format: Literal["jpeg", "png"]
    image: bytes

    @property
    def droppable(self) -> bool:
        """Whether a newer one makes it worthless. Samplers show JPEG; a PNG may be a result that a client without
        access to the disk waits for."""
        return self.format == "jpeg"


@dataclass(frozen=True, slots=True)
class Text:
    """A line a node wants shown beside it while it runs."""

    prompt_id: str
    node: NodeRef
    text: str


@dataclass(frozen=True, slots=True)
class NodeFinished:
    """ui: what the node wants shown; None for a node that shows nothing. reused: it came from the cache.
    reported: `executed` is owed to clients (there is UI, or it is an output of the job answered from the cache)."""

    prompt_id: str
    node: NodeRef
    ui: Mapping[str, Any] | None
    reused: bool = False
    reported: bool = True


@dataclass(frozen=True, slots=True)
class NodeBlocked:
    """A blocker with a message reached its first consumer. The job goes on."""

    prompt_id: str
    node: NodeRef
    node_type: str
    message: str
    executed: Sequence[str]


@dataclass(frozen=True, slots=True)
class Broadcast:
    """A message of a third-party node's own making, for one client or for all. data: JSON-able, or bytes."""

    type: str | int
    data: bytes | Any
    client: str | None


@dataclass(frozen=True, slots=True)
class Succeeded:
    """notes: sentences about how the job was run that a user may want to read (what was freed, what was tiled)."""

    prompt_id: str
    at: float
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    prompt_id: str
    at: float
    problem: NodeProblem


@dataclass(frozen=True, slots=True)
class Interrupted:
    """node: where it was when it stopped; None when it had not begun."""

    prompt_id: str
    at: float
    node: NodeRef | None
    node_type: str
    executed: Sequence[str]


@dataclass(frozen=True, slots=True)
class Crashed:
    """The worker died, or was ended because it no longer answered. cause: one sentence. exit_code, signal: how it
    died by itself, one of them; both None when it did not."""

    prompt_id: str
    at: float
    cause: str
    exit_code: int | None
    signal: str | None
    node: NodeRef | None
    node_type: str
    executed: Sequence[str]


@dataclass(frozen=True, slots=True)
class QueueChanged:
    """A job came, began, ended or was taken back. remaining: jobs waiting and running."""

    remaining: int


@dataclass(frozen=True, slots=True)
class Filed:
    """A job's last event: all that is known of it can be read, and its worker is free."""

    prompt_id: str


Ending = Succeeded | Failed | Interrupted | Crashed
Event = (
    Queued
    | Started
    | Cached
    | NodeStarted
    | Progress
    | Preview
    | Text
    | NodeFinished
    | NodeBlocked
    | Broadcast
    | Ending
    | QueueChanged
    | Filed
)
