"""`/api/jobs`: queue and history as one list."""

from typing import Any

from aiohttp import web

from execution.dispatch import Dispatch
from execution.history import History
from execution.queue import Queue
from server import projections
from server.bodies import json_in_thread, number, read_object
from server.problems import json_response

STATES = ("pending", "in_progress", "completed", "failed", "cancelled")
_SORT = ("created_at", "execution_duration")


# Of the jobs that ended, the list holds the last so many.
RECENT = 1_000


class _BadQuery(ValueError):
    """What is wrong with the parameters, for the client."""


class JobsRoutes:
    def __init__(self, queue: Queue, history: History, dispatch: Dispatch):
        self._queue, self._history, self._dispatch = queue, history, dispatch

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
        waiting = await self._waiting()
        entries = await self._history.page(RECENT)

        def made() -> dict[str, Any]:
            rows = [projections.ended(entry) for entry in entries.values()] + waiting
            rows = [row for row in rows if row["status"] in states and workflow in (None, row.get("workflow_id"))]
            rows.sort(key=_duration if sort_by == "execution_duration" else _created)
            if descending:
                rows.reverse()  # so that of equals, too, the latest comes first
            end = len(rows) if limit is None else offset + limit
            return {
                "jobs": rows[offset:end],
                "pagination": {"offset": offset, "limit": limit, "total": len(rows), "has_more": end < len(rows)},
            }

        return await json_in_thread(made)

    async def one(self, request: web.Request) -> web.Response:
        id = request.match_info["job_id"]
        for state, jobs in (("in_progress", await self._queue.running()), ("pending", await self._queue.pending())):
            for job in jobs:
                if job.id == id:
                    shown = projections.waiting(job, state)
                    return json_response(projections.with_workflow(shown, job.graph, job.extra))
        entry = await self._history.entry(id)
        if entry is None:
            return json_response({"error": "Job not found"}, status=404)

        def made() -> dict[str, Any]:
            _, _, graph, extra, _ = entry["prompt"]
            shown = projections.with_workflow(projections.ended(entry), graph, extra)
            return {**shown, "outputs": entry["outputs"], "execution_status": entry["status"]}

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

    async def _waiting(self) -> list[dict[str, Any]]:
        return [
            *(projections.waiting(job, "in_progress") for job in await self._queue.running()),
            *(projections.waiting(job, "pending") for job in await self._queue.pending()),
        ]


def _states(text: str) -> tuple[str, ...]:
    wanted = tuple(state.strip() for state in text.split(",") if state.strip())
    for state in wanted:
        _one_of(state, STATES, "status")
    return wanted or STATES


def _one_of(value: str, allowed: tuple[str, ...], name: str) -> str:
    if value not in allowed:
        raise _BadQuery(f"{name} must be one of {', '.join(allowed)}; received {value[:40]!a}")
    return value


def _created(row: dict[str, Any]) -> float:
    return row.get("create_time", 0)


def _duration(row: dict[str, Any]) -> float:
    return row.get("execution_end_time", 0) - row.get("execution_start_time", row.get("execution_end_time", 0))
