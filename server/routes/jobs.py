"""`/api/jobs`: queue and history as one list."""

import asyncio
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from execution.dispatch import Dispatch
from execution.history import History, KeptRecord, entry
from server import projections
from server.bodies import json_in_thread, number, read_object
from server.problems import json_response
from storage.job_list import JobList, Summary, Wanted

# State as clients know it → as it is stored. A job taken back while it waited is not told of, as in the history.
STORED = {
    "pending": ("queued",),
    "in_progress": ("running",),
    "completed": ("succeeded",),
    "failed": ("failed", "crashed"),
    "cancelled": ("interrupted",),
}
LIVE = {"queued": "pending", "running": "in_progress"}
STATES = tuple(STORED)
_SORT = ("created_at", "execution_duration")


# The list holds the newest so many.
RECENT = 1_000


class _BadQuery(ValueError):
    """What is wrong with the parameters, for the client."""


class JobsRoutes:
    def __init__(self, jobs: JobList, history: History, dispatch: Dispatch):
        self._jobs, self._history, self._dispatch = jobs, history, dispatch

    def table(self) -> list[web.RouteDef]:
        return [
            web.get("/jobs", self.page),
            web.get("/jobs/{job_id}", self.one),
            web.post("/jobs/cancel", self.cancel_many),
            web.post("/jobs/{job_id}/cancel", self.cancel),
        ]

    async def page(self, request: web.Request) -> web.Response:
        try:
            states = _states(request.query.get("status", ""))
            sort_by = _one_of(request.query.get("sort_by", "created_at"), _SORT, "sort_by")
            descending = _one_of(request.query.get("sort_order", "desc"), ("asc", "desc"), "sort_order") == "desc"
            limit, offset = number(request, "limit"), number(request, "offset") or 0
            if offset < 0 or (limit is not None and limit < 1):
                raise _BadQuery("limit must be positive and offset must not be negative")
        except _BadQuery as error:
            return json_response({"error": str(error)}, status=400)
        workflow = request.query.get("workflow_id") or None
        stored = [one for state in states for one in STORED[state]]
        found = list(await self._jobs.page(Wanted(stored), RECENT))
        shown = await self._shown([one.id for one in found]) if workflow is not None else {}
        if workflow is not None:
            found = [one for one in found if shown.get(one.id, {}).get("workflow_id") == workflow]
        found.sort(key=_duration if sort_by == "execution_duration" else _created, reverse=descending)
        page = found[offset:] if limit is None else found[offset : offset + limit]
        shown = shown or await self._shown([one.id for one in page])
        counts = {} if workflow is not None else await self._jobs.counts()
        total = len(found) if workflow is not None else sum(counts.get(one, 0) for one in stored)
        return await json_in_thread(
            lambda: {
                "jobs": [shown[one.id] for one in page if one.id in shown],
                "pagination": {
                    "offset": offset,
                    "limit": limit,
                    "total": total,
                    "has_more": offset + len(page) < len(found),
                },
            }
        )

    async def one(self, request: web.Request) -> web.Response:
        id = request.match_info["job_id"]
        (record, *_) = await self._history.records([id]) or [None]
        if record is None:
            return json_response({"error": "Job not found"}, status=404)

        def made() -> dict[str, Any]:
            shown = projections.with_workflow(_projected(record), record.job.graph, record.job.extra)
            if record.job.state in LIVE:
                return shown
            return {**shown, "outputs": record.outputs, "execution_status": record.status}

        return await json_in_thread(made)

    async def cancel(self, request: web.Request) -> web.Response:
        return json_response({"cancelled": await self._cancel([request.match_info["job_id"]])})

    async def cancel_many(self, request: web.Request) -> web.Response:
        body = await read_object(request)
        ids: Any = body.get("job_ids")
        if not isinstance(ids, list) or not ids:
            return json_response({"error": "job_ids must be a list of job ids"}, status=400)
        malformed: list[Any] = [id for id in ids if not isinstance(id, str) or not id]  # pyright: ignore[reportUnknownVariableType]  # JSON
        if malformed:
            return json_response({"error": "Some ids are malformed", "invalid_ids": malformed}, status=400)
        return json_response({"cancelled": await self._cancel([str(id) for id in ids])})  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # JSON

    async def _cancel(self, ids: list[str]) -> bool:
        """Waiting ones are taken back, running ones stopped, ended ones left; asking twice does no harm."""
        return await self._dispatch.cancel(ids) > 0

    async def _shown(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        records = await self._history.records(ids)
        return await asyncio.to_thread(lambda: {record.job.id: _projected(record) for record in records})


def _projected(record: KeptRecord) -> dict[str, Any]:
    live = LIVE.get(record.job.state)
    return projections.ended(entry(record)) if live is None else projections.waiting(record.job, live)


def _states(text: str) -> tuple[str, ...]:
    wanted = tuple(state.strip() for state in text.split(",") if state.strip())
    for state in wanted:
        _one_of(state, STATES, "status")
    return wanted or STATES


def _one_of(value: str, allowed: tuple[str, ...], name: str) -> str:
    if value not in allowed:
        raise _BadQuery(f"{name} must be one of {', '.join(allowed)}; received {value[:40]!a}")
    return value


def _created(one: Summary) -> float:
    return one.submitted_at


def _duration(one: Summary) -> float:
    return 0 if one.ended_at is None else one.ended_at - (one.started_at or one.ended_at)
