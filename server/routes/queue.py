"""`/queue`: what waits and what runs; taking back what waits."""

from aiohttp import web

from execution.queue import Queue
from server import projections
from server.bodies import json_in_thread, read_object, texts_of
from server.problems import empty


class QueueRoutes:
    def __init__(self, queue: Queue):
        self._queue = queue

    def table(self) -> list[web.RouteDef]:
        return [web.get("/queue", self.get), web.post("/queue", self.post)]

    async def get(self, request: web.Request) -> web.Response:
        """Both lists in the order of service."""
        running, pending = await self._queue.running(), await self._queue.pending()
        return await json_in_thread(
            lambda: {
                "queue_running": [projections.row(job) for job in running],
                "queue_pending": [projections.row(job) for job in pending],
            }
        )

    async def post(self, request: web.Request) -> web.Response:
        body = await read_object(request)
        ids = texts_of(body, "delete")
        if body.get("clear"):
            await self._queue.clear()
        if ids:
            await self._queue.delete(ids)
        return empty()
