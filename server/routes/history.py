"""`/history`: jobs that ended."""

from aiohttp import web

from execution.history import History
from server.bodies import json_in_thread, number, read_object, texts_of
from server.problems import empty

# Records in one answer; asked for more, or for all, a client gets the last so many.
MOST = 10_000


class HistoryRoutes:
    def __init__(self, history: History):
        self._history = history

    def table(self) -> list[web.RouteDef]:
        return [
            web.get("/history", self.page),
            web.get("/history/{prompt_id}", self.one),
            web.post("/history", self.post),
        ]

    async def page(self, request: web.Request) -> web.Response:
        max_items, offset = number(request, "max_items"), number(request, "offset")
        most = MOST if max_items is None or max_items < 0 else min(max_items, MOST)
        entries = await self._history.page(most, -1 if offset is None else offset)
        return await json_in_thread(lambda: entries)

    async def one(self, request: web.Request) -> web.Response:
        """`{}` until the job has ended: clients ask until it is not empty."""
        prompt_id = request.match_info["prompt_id"]
        entry = await self._history.entry(prompt_id)
        return await json_in_thread(lambda: {} if entry is None else {prompt_id: entry})

    async def post(self, request: web.Request) -> web.Response:
        body = await read_object(request)
        ids = texts_of(body, "delete")
        if body.get("clear"):
            await self._history.clear()
        if ids:
            await self._history.delete(ids)
        return empty()
