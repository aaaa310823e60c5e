"""`/models`: names of model files, by kind."""

from aiohttp import web

from server.bodies import json_in_thread
from server.problems import empty, json_response
from storage.folders import Folders


class ModelRoutes:
    def __init__(self, folders: Folders):
        self._folders = folders

    def table(self) -> list[web.RouteDef]:
        return [web.get("/models", self.kinds), web.get("/models/{folder}", self.files)]

    async def kinds(self, request: web.Request) -> web.Response:
        return json_response(self._folders.kinds())

    async def files(self, request: web.Request) -> web.Response:
        kind = request.match_info["folder"]
        if kind not in self._folders.kinds():
            return empty(404)
        return await json_in_thread(lambda: self._folders.files(kind))
