"""`/health`: are we here, and can we work. Needs no token."""

from collections.abc import Sequence

from aiohttp import web

from execution.queue import Queue
from execution.workers.worker import Worker
from server.problems import json_response


class HealthRoutes:
    def __init__(self, workers: Sequence[Worker], queue: Queue):
        self._workers, self._queue = workers, queue

    def table(self) -> list[web.RouteDef]:
        return [web.get("/health", self.get)]

    async def get(self, request: web.Request) -> web.Response:
        workers = [{"name": one.name, "state": one.state, "trouble": one.trouble} for one in self._workers]
        return json_response({"status": "ok", "queue_remaining": self._queue.remaining, "workers": workers})
