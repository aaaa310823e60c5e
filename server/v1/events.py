"""`GET /v1/jobs/{id}/events`: what happens to a job, as server-sent events; a reader that comes back goes on from the
last it has seen (`Last-Event-ID`), or starts over from how the job stands."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
from aiohttp import hdrs, web

from execution.events import (
    Cached,
    Event,
    Filed,
    NodeBlocked,
    NodeFinished,
    NodeStarted,
    Progress,
    Started,
    Text,
)
from server.v1.feed import Feed, JobFeed, entries
from server.v1.jobs import LIVE, JobView
from server.v1.operations import Call, Operation

BEAT = 15.0  # seconds of silence before a comment is sent, so that nobody on the way hangs up


class EventOperations:
    def __init__(self, view: JobView, feed: Feed, beat: float = BEAT):
        self._view, self._feed, self._beat = view, feed, beat

    def all(self) -> list[Operation]:
        return [
            Operation(
                *("GET", "/v1/jobs/{id}/events", "followJob", "What happens to a job, as it happens", self.follow),
                {200: "text/event-stream", 204: ()},
                {404: "No job has this id."},
                headers={"Last-Event-ID": "The id of the last event seen; what came after it is sent."},
            )
        ]

    async def follow(self, call: Call) -> web.StreamResponse:
        """`job` with all that is known, first and last; between them `started`, `cached`, `node_started`, `progress`,
        `text`, `output`, `node_finished`, `blocked`. 204: the reader has seen the end already."""
        id = call.part("id")
        with self._feed.follow(id) as feed:
            job = await self._view.one(id)
            after = self._seen(call.request, feed)
            if job.state not in LIVE and after is not None and after >= feed.last > 0:
                return web.Response(status=204)
            headers = {hdrs.CACHE_CONTROL: "no-cache", "X-Accel-Buffering": "no"}
            response = web.StreamResponse(headers=headers)
            response.content_type = "text/event-stream"
            await response.prepare(call.request)
            if after is None:
                after = feed.last
                await response.write(_frame("job", job, self._name(after)))
            if job.state in LIVE or (feed.ended and after < feed.last):
                with contextlib.suppress(ConnectionError):
                    await self._tell(response, id, feed, after)
            return response

    async def _tell(self, response: web.StreamResponse, id: str, feed: JobFeed, after: int) -> None:
        told = entries(feed, after)
        async for entry in _with_beat(told, self._beat):
            if entry == "beat":
                await response.write(b": still here\n\n")
            elif entry is None:
                await response.write(_frame("job", await self._view.one(id), self._name(feed.lost)))
            else:
                number, event = entry
                if isinstance(event, Filed):
                    await response.write(_frame("job", await self._view.one(id), self._name(number)))
                elif (shown := _shown(event)) is not None:
                    await response.write(_frame(*shown, self._name(number)))

    def _name(self, number: int) -> str:
        return f"{self._feed.mark}-{number}"

    def _seen(self, request: web.Request, feed: JobFeed) -> int | None:
        """The number of the last event a reader has seen; None when it means nothing here: of another run of the
        program, of the future, or forgotten."""
        mark, _, text = request.headers.get("Last-Event-ID", "").partition("-")
        if mark != self._feed.mark or not text.isascii() or not text.isdecimal() or len(text) > 18:
            return None
        number = int(text)
        return number if feed.lost <= number <= feed.last else None


async def _with_beat(told: AsyncGenerator[Any], beat: float) -> AsyncGenerator[Any]:
    """What is told, and "beat" after so many seconds of silence."""
    coming: asyncio.Future[Any] | None = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(anext(told))
            done, _ = await asyncio.wait((coming,), timeout=beat)
            if not done:
                yield "beat"
                continue
            finished, coming = coming, None
            try:
                entry = finished.result()
            except StopAsyncIteration:
                return
            yield entry
    finally:
        if coming is not None:
            coming.cancel()
            with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
                await coming


def _shown(event: Event) -> tuple[str, Any] | None:
    match event:
        case Started(_, at):
            return "started", {"at": at}
        case Cached(_, nodes):
            return "cached", {"nodes": list(nodes)}
        case NodeStarted(_, node, reason):
            return "node_started", {"node": node.id, "reason": reason}
        case Progress(_, node, value, total):
            return "progress", {"node": node.id, "value": value, "total": total}
        case Text(_, node, text):
            return "text", {"node": node.id, "text": text}
        case NodeFinished(_, node, ui, reused):
            if ui is None:
                return "node_finished", {"node": node.id, "reused": reused}
            return "output", {"node": node.id, "reused": reused, "output": ui}
        case NodeBlocked(_, node, _, message):
            return "blocked", {"node": node.id, "message": message}
        case _:
            return None


def _frame(name: str, data: Any, id: str) -> bytes:
    return b"event: %b\nid: %b\ndata: %b\n\n" % (name.encode(), id.encode(), msgspec.json.encode(data, enc_hook=str))
