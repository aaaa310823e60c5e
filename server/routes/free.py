"""`/free`: give memory back once the running job is done."""

import asyncio
import logging
from collections.abc import Sequence

from aiohttp import web

from execution.workers.worker import NoAnswer, Worker
from server.bodies import read_object
from server.problems import empty

logger = logging.getLogger(__name__)


class FreeRoutes:
    def __init__(self, workers: Sequence[Worker]):
        self._workers = workers

    def table(self) -> list[web.RouteDef]:
        return [web.post("/free", self.post)]

    async def post(self, request: web.Request) -> web.Response:
        """`free_memory` drops cached results, and models with them unless the body says otherwise."""
        body = await read_object(request)
        free_memory = bool(body.get("free_memory"))
        unload_models = bool(body.get("unload_models", free_memory))
        if free_memory or unload_models:
            asked = (worker.free(unload_models, free_memory) for worker in self._workers)
            for answer in await asyncio.gather(*asked, return_exceptions=True):
                if isinstance(answer, NoAnswer):  # a worker that is not there holds no memory
                    logger.info("a worker could not be asked to free memory: %s", answer)
                elif isinstance(answer, BaseException):
                    raise answer
        return empty()
