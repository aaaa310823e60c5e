"""What the job API takes and gives, as types: they check what comes, make what goes, and are its description.

Times are RFC 3339 in UTC. What is absent is null, never left out.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

State = Literal["queued", "running", "succeeded", "failed", "cancelled", "crashed"]
Name = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,64}$")]
ClientId = Annotated[str, Meta(max_length=256, description="Of a websocket client, which hears of the job.")]
Title = Annotated[str, Meta(max_length=200, description="For people; it can be searched.")]
Priority = Annotated[
    float, Meta(ge=-1e15, le=1e15, description="The smaller is served first; without one, in order of arrival.")
]


def when(at: float) -> datetime:
    """at: seconds since the epoch."""
    return datetime.fromtimestamp(at, UTC)


class Given(Struct, forbid_unknown_fields=True, kw_only=True):
    """What comes in: a field nobody knows is refused, because it would have been meant."""


class Webhook(Given):
    """Where the end of a job is told: a POST signed as Standard Webhooks prescribe."""

    url: Annotated[str, Meta(max_length=2048, pattern="^https?://")]
    secret: Annotated[str, Meta(min_length=8, max_length=256)] | None = None


class Batch(Given):
    """A table of values: each row is a job."""

    values: Annotated[
        dict[str, list[Any]],
        Meta(min_length=1, description="Column name (`node.input`, or an input of the published workflow) → values."),
    ]
    combine: Annotated[
        Literal["rows", "product"],
        Meta(description="`rows`: the first values together, then the second, …; `product`: each with each."),
    ] = "rows"


class Submit(Given):
    """Jobs to run."""

    graph: Annotated[dict[str, Any], Meta(description="In API form, or a workflow file of the editor.")]
    title: Title | None = None
    priority: Priority | None = None
    front: Annotated[bool, Meta(description="Serve it before everything that waits.")] = False
    targets: Annotated[list[str], Meta(description="Output nodes to run; all of them when null.")] | None = None
    client_id: ClientId | None = None
    extra_data: Annotated[dict[str, Any], Meta(description="As `POST /prompt` takes it.")] = {}
    batch: Batch | None = None
    webhook: Webhook | None = None


class Run(Given):
    """Jobs of a published workflow."""

    inputs: Annotated[dict[str, Any], Meta(description="Input name → value; what is missing has its default.")] = {}
    title: Title | None = None
    priority: Priority | None = None
    front: bool = False
    client_id: ClientId | None = None
    batch: Batch | None = None
    webhook: Webhook | None = None


class Move(Given):
    """Another place for a waiting job: exactly one of these."""

    front: Annotated[bool, Meta(description="Before all others.")] = False
    before: Annotated[str, Meta(description="The id of the waiting job to come before.")] | None = None
    priority: Priority | None = None


class PublishedInput(Given):
    """One input of a published workflow, and which input of which node it sets. Its type, range and choices are those
    of the node unless they are narrowed here."""

    node: str
    input: str
    description: str = ""
    required: Annotated[bool, Meta(description="If not, what the graph holds is the default.")] = False
    minimum: float | None = None
    maximum: float | None = None
    choices: list[Any] | None = None


class Publish(Given):
    """A workflow to be run by name."""

    graph: Annotated[dict[str, Any], Meta(description="In API form, or a workflow file of the editor.")]
    inputs: dict[Name, PublishedInput] = {}
    title: Title | None = None
    description: Annotated[str, Meta(max_length=10_000)] = ""


class SubmitQuery(Given):
    wait: Annotated[float, Meta(ge=0, le=300, description="Seconds to wait for the end before answering.")] = 0


class JobsQuery(Given):
    state: Annotated[list[State], Meta(description="With commas; all of them when empty.")] = []
    search: Annotated[str, Meta(max_length=500, description="Words of prompts, names of models, seeds, titles.")] = ""
    batch: Annotated[str, Meta(max_length=64)] | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: Annotated[str, Meta(pattern="^[0-9]{1,18}$", description="`next` of the page before.")] | None = None


class File(Struct, kw_only=True):
    """A file that a node has made. url: where to get it, beneath this server."""

    node: str
    kind: Annotated[str, Meta(description="images, audio, video, …")]
    name: str
    subfolder: str
    type: str
    url: str


class Progress(Struct, kw_only=True):
    """How far a running node is, in its own unit."""

    node: str
    value: float
    total: float


class JobError(Struct, kw_only=True):
    """Why a job did not succeed."""

    type: str
    message: str
    node: str | None
    node_type: str | None
    traceback: list[str]


class JobSummary(Struct, kw_only=True):
    """A job in a list."""

    id: str
    state: State
    title: str | None
    batch: str | None
    priority: float
    attempt: int
    submitted_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    reason: Annotated[str | None, Meta(description="Why it did not succeed, in a line.")]


class Job(Struct, kw_only=True):
    """A job: what is known of it now."""

    id: str
    state: State
    title: str | None
    batch: str | None
    priority: float
    position: Annotated[int | None, Meta(description="How many are served before it; null when it does not wait.")]
    attempt: int
    submitted_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    outputs: Annotated[dict[str, Any], Meta(description="Node id → what it shows, as it appears.")]
    files: list[File]
    progress: Annotated[list[Progress], Meta(description="Of the nodes that run.")]
    error: JobError | None


class JobPage(Struct, kw_only=True):
    """Newest first. next: the cursor of the next page; null on the last."""

    jobs: list[JobSummary]
    next: str | None


class SubmittedBatch(Struct, kw_only=True):
    """jobs: in the order of the table."""

    batch: str | None
    jobs: list[Job]


class QueueStatus(Struct, kw_only=True):
    """How many jobs there are, by state; whether waiting ones are begun."""

    paused: bool
    counts: dict[State, int]


class TypedInput(Struct, kw_only=True):
    """An input of a published workflow. schema: JSON Schema of its values."""

    node: str
    input: str
    required: bool
    schema: dict[str, Any]


class Workflow(Struct, kw_only=True):
    """A published workflow."""

    name: str
    title: str | None
    description: str
    changed_at: datetime
    inputs: dict[str, TypedInput]
    graph: dict[str, Any]


class WorkflowList(Struct, kw_only=True):
    workflows: list[Workflow]


class Complaint(Struct, kw_only=True):
    """pointer: JSON pointer to the place in the body, when there is one."""

    code: str
    detail: str
    pointer: str | None


class Problem(Struct, kw_only=True):
    """What went wrong (RFC 9457), with a code for programs."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    pointer: str | None
    errors: list[Complaint]
