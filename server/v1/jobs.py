"""Jobs as the job API shows them: one, many, and their end."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast
from urllib.parse import urlencode

from execution.dispatch import Dispatch
from execution.queue import Queue
from server import projections
from server.v1.feed import Feed
from server.v1.operations import Answer, Call, Operation
from server.v1.problems import Refused, not_found
from server.v1.types import (
    File,
    Job,
    JobError,
    JobPage,
    JobsQuery,
    JobSummary,
    Move,
    Progress,
    QueueStatus,
    State,
    SubmitQuery,
    when,
)
from storage.job_list import JobList, Summary, Wanted

# A job taken back while it waited and one stopped while it ran are the same to whoever asked for it.
SHOWN: Mapping[str, State] = {
    "queued": "queued",
    "running": "running",
    "succeeded": "succeeded",
    "failed": "failed",
    "crashed": "crashed",
    "interrupted": "cancelled",
    "cancelled": "cancelled",
}
LIVE = ("queued", "running")


def stored_states(shown: Sequence[State]) -> list[str]:
    return [stored for stored, state in SHOWN.items() if not shown or state in shown]


class JobView:
    """Reads jobs for clients: from the disk what is settled, from the dispatcher and the feed what is happening."""

    def __init__(self, jobs: JobList, queue: Queue, dispatch: Dispatch, feed: Feed):
        self._jobs, self._queue, self._dispatch, self._feed = jobs, queue, dispatch, feed

    async def one(self, id: str) -> Job:
        """Raises Refused 404."""
        summary = await self._jobs.one(id)
        if summary is None:
            raise not_found("job of this id")
        outputs, error = await self._result(summary)
        return Job(
            id=summary.id,
            state=SHOWN[summary.state],
            title=summary.title,
            batch=summary.batch,
            priority=summary.number,
            position=await self._queue.position(id) if summary.state == "queued" else None,
            attempt=summary.attempt,
            submitted_at=when(summary.submitted_at),
            started_at=_when(summary.started_at),
            ended_at=_when(summary.ended_at),
            outputs=dict(outputs),
            files=files(outputs),
            progress=[Progress(node=each.node.id, value=each.value, total=each.total) for each in self._steps(summary)],
            error=error,
        )

    async def settled(self, id: str, seconds: float) -> Job:
        """A job, once it has ended, or as it is after so many seconds. Raises Refused 404."""
        with self._feed.follow(id):  # before it is looked at, so that its end is not missed
            job = await self.one(id)
            if seconds and job.state in LIVE:
                await self._feed.ended(id, seconds)
                job = await self.one(id)
        return job

    async def page(self, query: JobsQuery) -> JobPage:
        wanted = Wanted(
            states=stored_states(query.state),
            words=query.search,
            batch=query.batch,
            before=None if query.cursor is None else int(query.cursor),
        )
        found = await self._jobs.page(wanted, query.limit + 1)
        more = len(found) > query.limit
        found = found[: query.limit]
        return JobPage(jobs=[_summary(each) for each in found], next=str(found[-1].arrival) if more else None)

    async def status(self) -> QueueStatus:
        counts: dict[State, int] = dict.fromkeys(SHOWN.values(), 0)
        for stored, count in (await self._jobs.counts()).items():
            counts[SHOWN[stored]] += count
        return QueueStatus(paused=self._queue.paused, counts=counts)

    def _steps(self, summary: Summary) -> Sequence[Any]:
        return self._feed.progress(summary.id) if summary.state == "running" else ()

    async def _result(self, summary: Summary) -> tuple[Mapping[str, Any], JobError | None]:
        if summary.state in LIVE:
            running = next((held for held in self._dispatch.running if held.job.id == summary.id), None)
            return ({} if running is None else running.recorder.outputs), None
        texts = await self._jobs.result(summary.id)
        if texts is None:
            return {}, None
        outputs, status = (json.loads(text) for text in texts)
        return outputs, _error(status) if summary.state in ("failed", "crashed") else None


class JobOperations:
    def __init__(self, view: JobView, queue: Queue, dispatch: Dispatch):
        self._view, self._queue, self._dispatch = view, queue, dispatch

    def all(self) -> list[Operation]:
        unknown = {404: "No job has this id."}
        return [
            Operation(
                *("GET", "/v1/jobs", "listJobs", "Jobs, the newest first", self.page),
                {200: (JobPage,)},
                query=JobsQuery,
            ),
            Operation(
                *("GET", "/v1/jobs/{id}", "getJob", "One job; with `wait`, once it has ended", self.one),
                {200: (Job,)},
                unknown,
                query=SubmitQuery,
            ),
            Operation(
                *("DELETE", "/v1/jobs/{id}", "cancelJob", "Cancel a job that waits or runs", self.cancel),
                {200: (Job,), 202: (Job,)},
                {**unknown, 409: "It has ended otherwise."},
            ),
            Operation(
                *("POST", "/v1/jobs/{id}/move", "moveJob", "Give a waiting job another place", self.move),
                {200: (Job,)},
                {**unknown, 409: "One of the jobs does not wait."},
                body=Move,
            ),
            Operation("GET", "/v1/queue", "getQueue", "How the queue stands", self.status, {200: (QueueStatus,)}),
            Operation(
                *("POST", "/v1/queue/pause", "pauseQueue", "Begin no further job, also after a restart", self.pause),
                {200: (QueueStatus,)},
            ),
            Operation(
                *("POST", "/v1/queue/resume", "resumeQueue", "Begin jobs again", self.resume), {200: (QueueStatus,)}
            ),
        ]

    async def page(self, call: Call) -> Answer:
        return Answer(await self._view.page(call.query))

    async def one(self, call: Call) -> Answer:
        query: SubmitQuery = call.query
        return Answer(await self._view.settled(call.part("id"), query.wait))

    async def cancel(self, call: Call) -> Answer:
        """Asking twice does no harm. 202: it runs, and was asked to stop."""
        id = call.part("id")
        if not await self._dispatch.cancel([id]):
            job = await self._view.one(id)
            if job.state not in (*LIVE, "cancelled"):
                raise Refused(409, "job_ended", f"The job has {job.state} already; there is nothing to cancel")
            return Answer(job)
        job = await self._view.one(id)
        return Answer(job, 202 if job.state == "running" else 200)

    async def move(self, call: Call) -> Answer:
        id, body = call.part("id"), cast(Move, call.body)
        if (body.front, body.before is not None, body.priority is not None).count(True) != 1:
            raise Refused(422, "invalid_field", "Give exactly one of front, before and priority")
        if body.before is not None:
            moved = await self._queue.move_before(id, body.before)
        elif body.priority is not None:
            moved = await self._queue.move(id, body.priority)
        else:
            moved = await self._queue.move_to_front(id)
        job = await self._view.one(id)
        if not moved:
            if body.before is not None:
                await self._view.one(body.before)
            raise Refused(409, "not_waiting", "Only jobs that wait have a place that can be changed")
        return Answer(job)

    async def status(self, call: Call) -> Answer:
        return Answer(await self._view.status())

    async def pause(self, call: Call) -> Answer:
        await self._queue.pause()
        return Answer(await self._view.status())

    async def resume(self, call: Call) -> Answer:
        await self._queue.resume()
        return Answer(await self._view.status())


def files(outputs: Mapping[str, Any]) -> list[File]:
    """Every file that nodes show, with where to get it."""
    found: list[File] = []
    for item in projections.outputs(outputs):
        name, subfolder, type = (str(item.get(key, "")) for key in ("filename", "subfolder", "type"))
        url = "/view?" + urlencode({"filename": name, "subfolder": subfolder, "type": type or "output"})
        found.append(
            File(node=item["nodeId"], kind=item["mediaType"], name=name, subfolder=subfolder, type=type, url=url)
        )
    return found


def _summary(one: Summary) -> JobSummary:
    return JobSummary(
        id=one.id,
        state=SHOWN[one.state],
        title=one.title,
        batch=one.batch,
        priority=one.number,
        attempt=one.attempt,
        submitted_at=when(one.submitted_at),
        started_at=_when(one.started_at),
        ended_at=_when(one.ended_at),
        reason=one.reason,
    )


def _error(status: Mapping[str, Any]) -> JobError | None:
    """From the messages that history keeps: the last one says how it ended."""
    messages: Sequence[tuple[str, dict[str, Any]]] = status.get("messages") or ()
    if not messages:
        return None
    _, last = messages[-1]
    return JobError(
        type=str(last.get("exception_type", "")),
        message=str(last.get("exception_message", "")).rstrip("\n"),
        node=last.get("node_id") or None,
        node_type=last.get("node_type") or None,
        traceback=[str(line) for line in last.get("traceback", ())],
    )


def _when(at: float | None) -> datetime | None:
    return None if at is None else when(at)
