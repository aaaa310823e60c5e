"""`POST /v1/jobs`: from a body to jobs on disk, one or a whole batch, once for each key."""

import asyncio
import hashlib
import itertools
import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from execution.job import Job as QueuedJob
from execution.problems import PromptRejected
from execution.prompt import LITERAL
from execution.queue import DuplicateJob, KeyReused, Queue, QueueFull, Submission
from execution.workflow.read import WorkflowError, is_workflow
from server.admission import Admission
from server.hub import Hub
from server.services import Intake
from server.v1 import problems
from server.v1.jobs import JobView
from server.v1.operations import Answer, Call, Operation
from server.v1.problems import Refused
from server.v1.types import Batch, Job, Submit, SubmitQuery, SubmittedBatch
from server.v1.webhooks import checked_url

MOST_IN_BATCH = 1_000
MOST_NODES_IN_BATCH = 1_000_000
LONGEST_KEY = 255
KEY = "Idempotency-Key"


Place = tuple[str, str]
"""A node and one of its inputs."""


@dataclass(frozen=True, slots=True)
class Row:
    """One job of a submission. values: over those of the graph."""

    values: Mapping[Place, Any]


class Submitting:
    """local: whether everyone who can reach us is on this machine."""

    def __init__(self, intake: Intake, queue: Queue, hub: Hub, admission: Admission, view: JobView, local: bool):
        self._intake, self._queue, self._hub, self._admission = intake, queue, hub, admission
        self._view, self._local = view, local

    def all(self) -> list[Operation]:
        return [
            Operation(
                *("POST", "/v1/jobs", "submitJobs", "Run a graph, or one for each row of a table", self.post),
                {200: (Job, SubmittedBatch), 202: (Job, SubmittedBatch)},
                REFUSALS,
                query=SubmitQuery,
                body=Submit,
                headers=HEADERS,
            )
        ]

    async def post(self, call: Call) -> Answer:
        """202 while it waits or runs, 200 once all of it has ended."""
        return await self.submit(call, call.body)

    async def submit(self, call: Call, wanted: Submit, columns: Mapping[str, Place] | None = None) -> Answer:
        """columns: name of a column of the batch → what it sets; None: they are called after that."""
        if wanted.front and wanted.priority is not None:
            raise Refused(422, "invalid_field", "Give front or a priority, not both", "/front")
        await self._admission.check(call.request)
        key = _key(call)
        submission = Submission(
            key=key,
            digest=hashlib.sha256(msgspec.json.encode(wanted, order="deterministic")).hexdigest(),
            batch=None if wanted.batch is None else str(uuid.uuid4()),
            title=wanted.title,
            webhook=None if wanted.webhook is None else checked_url(wanted.webhook.url, self._local),
            secret=None if wanted.webhook is None else wanted.webhook.secret,
        )
        try:
            ids = await self._queue.earlier(submission)
            replayed = ids is not None
            if ids is None:
                prepared = await self._prepared(wanted, columns)
                ids = await self._queue.put_all(prepared, submission)
                replayed = ids[0] != prepared[0].id
                for job in prepared:
                    self._hub.expect(job.id, job.client_id)
        except KeyReused as reused:
            raise Refused(409, "key_reused", str(reused)) from None
        except DuplicateJob as duplicate:
            raise Refused(409, "duplicate_id", str(duplicate)) from None
        except QueueFull as full:
            refused = Refused(429, "queue_full", str(full))
            refused.headers["Retry-After"] = "5"
            raise refused from None
        return await self._answer(call, ids, wanted.batch is not None, replayed)

    async def _answer(self, call: Call, ids: Sequence[str], batch: bool, replayed: bool) -> Answer:
        query: SubmitQuery = call.query
        headers = {"Idempotency-Replayed": "true"} if replayed else {}
        # One after the other under one deadline: those that ended meanwhile answer at once.
        clock = asyncio.get_running_loop().time
        deadline = clock() + query.wait
        try:
            jobs = [await self._view.settled(id, max(0.0, deadline - clock())) for id in ids]
        except Refused:
            raise Refused(410, "job_forgotten", "What was submitted has been deleted from the history since") from None
        status = 200 if all(job.ended_at is not None for job in jobs) else 202
        if batch:
            return Answer(SubmittedBatch(batch=jobs[0].batch, jobs=jobs), status, headers)
        return Answer(jobs[0], status, {**headers, "Location": f"/v1/jobs/{jobs[0].id}"})

    async def _prepared(self, wanted: Submit, columns: Mapping[str, Place] | None) -> list[QueuedJob]:
        graph, extra = await self._graph(wanted)
        rows = table(wanted.batch, lambda name: _column(name, graph) if columns is None else columns[name])
        if len(rows) * len(graph) > MOST_NODES_IN_BATCH:
            raise Refused(
                422,
                "batch_too_large",
                f"The batch has {len(rows) * len(graph):,} nodes together; at most {MOST_NODES_IN_BATCH:,} are taken",
                "/batch",
            )
        priority = await self._queue.ahead() if wanted.front else wanted.priority
        prepared: list[QueuedJob] = []
        for number, row in enumerate(rows):
            body: dict[str, Any] = {"prompt": changed(graph, row), "extra_data": extra}
            if priority is not None:
                body["number"] = priority
            if wanted.client_id is not None:
                body["client_id"] = wanted.client_id
            if wanted.targets is not None:
                body["partial_execution_targets"] = wanted.targets
            try:
                one = await self._intake.prepare(body)
            except PromptRejected as rejected:
                raise problems.of_rejection(rejected, number if wanted.batch else None) from None
            if one.node_errors:  # the old route runs what is left; here all of it is meant
                errors = problems.complaints(one.node_errors)
                raise Refused(422, "outputs_failed_validation", "Some outputs cannot be run", "/graph", errors)
            prepared.append(one.job)
        return prepared

    async def _graph(self, wanted: Submit) -> tuple[Mapping[str, Any], dict[str, Any]]:
        """The graph in API form, and the extra data that saved files will carry."""
        extra = dict(wanted.extra_data)
        if not is_workflow(wanted.graph):
            return wanted.graph, extra
        graph = await self.converted(wanted.graph)
        info = extra.get("extra_pnginfo")
        extra["extra_pnginfo"] = {
            "workflow": wanted.graph,
            **(cast(dict[str, Any], info) if isinstance(info, dict) else {}),
        }
        return graph, extra

    async def converted(self, graph: Mapping[str, Any]) -> Mapping[str, Any]:
        """A graph in API form. Raises Refused 422."""
        if not is_workflow(graph):
            return graph
        try:
            return await self._intake.convert(graph)
        except WorkflowError as error:
            raise Refused(422, "invalid_workflow", str(error), "/graph") from None
        except PromptRejected as rejected:
            raise problems.of_rejection(rejected) from None


REFUSALS = {
    409: "The key was used for another submission.",
    410: "The key stands for jobs that have been deleted since.",
    415: "The body is not application/json.",
    422: "The graph or a field is wrong; nothing was queued.",
    429: "The queue is full, or jobs come too fast.",
    507: "The disk is nearly full.",
}
HEADERS = {
    KEY: "Of your choice, up to 255 characters. The same again within a week gives the same jobs, and no new ones."
}


def table(batch: Batch | None, place_of: Callable[[str], Place]) -> list[Row]:
    """The rows of a batch; one without values when there is no batch. place_of: a column's name → what it sets.
    Raises Refused 422."""
    if batch is None:
        return [Row({})]
    lengths = {name: len(values) for name, values in batch.values.items()}
    count = math.prod(lengths.values()) if batch.combine == "product" else max(lengths.values())
    if not 0 < count <= MOST_IN_BATCH or min(lengths.values()) == 0:
        raise Refused(
            422, "batch_too_large", f"The batch makes {count:,} jobs; 1 to {MOST_IN_BATCH:,} are taken", "/batch"
        )
    if batch.combine == "rows" and len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        raise Refused(
            422, "batch_uneven", f"The columns of the batch are not of one length ({shown[:200]})", "/batch/values"
        )
    places = [place_of(name) for name in batch.values]
    combine = itertools.product if batch.combine == "product" else zip
    return [Row(dict(zip(places, values, strict=True))) for values in combine(*batch.values.values())]


def changed(graph: Mapping[str, Any], row: Row) -> Mapping[str, Any]:
    """The graph with the values of a row; what they do not touch is shared."""
    made = dict(graph)
    for (node, name), value in row.values.items():
        given = made[node]
        is_list = isinstance(value, list)  # which would be read as a link
        made[node] = {**given, "inputs": {**given.get("inputs", {}), name: {LITERAL: value} if is_list else value}}
    return made


def _column(name: str, graph: Mapping[str, Any]) -> Place:
    """`3.seed` → ("3", "seed"); a node's id may have dots in it too. Raises Refused 422."""
    node, _, input = name.rpartition(".")
    found = graph.get(node)
    if not input or not isinstance(found, dict) or not isinstance(cast(dict[str, Any], found).get("inputs"), dict):
        raise Refused(422, "unknown_column", f"{name[:80]!a} is not `node.input` of the graph", "/batch/values")
    return node, input


def _key(call: Call) -> str | None:
    key = call.request.headers.get(KEY)
    if key is None:
        return None
    if not 0 < len(key) <= LONGEST_KEY or not key.isprintable():
        raise Refused(422, "invalid_key", f"{KEY} must be 1 to {LONGEST_KEY} printable characters")
    return key
