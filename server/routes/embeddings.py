"""`/embeddings`: names as they are written in prompts."""

import os

from aiohttp import web

from server.bodies import json_in_thread
from storage.folders import Folders


class EmbeddingRoutes:
    def __init__(self, folders: Folders):
        self._folders = folders

    def table(self) -> list[web.RouteDef]:
        return [web.get("/embeddings", self.get)]

    async def get(self, request: web.Request) -> web.Response:
        return await json_in_thread(lambda: [os.path.splitext(name)[0] for name in self._folders.files("embeddings")])
