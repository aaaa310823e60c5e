"""`/interrupt`: stop what runs."""

from aiohttp import web

from execution.dispatch import Dispatch
from server.bodies import read_object, text_of
from server.problems import empty


class InterruptRoutes:
    def __init__(self, dispatch: Dispatch):
        self._dispatch = dispatch

    def table(self) -> list[web.RouteDef]:
        return [web.post("/interrupt", self.post)]

    async def post(self, request: web.Request) -> web.Response:
        """With an id only that job, and only if it runs; without, whatever runs."""
        body = await read_object(request)
        self._dispatch.interrupt(text_of(body, "prompt_id"))
        return empty()
