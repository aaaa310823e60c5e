"""`/object_info`: what nodes there are."""

from aiohttp import web

from server.definitions import Definitions
from server.problems import JSON


class ObjectInfoRoutes:
    def __init__(self, definitions: Definitions):
        self._definitions = definitions

    def table(self) -> list[web.RouteDef]:
        return [web.get("/object_info", self.all), web.get("/object_info/{node_class}", self.one)]

    async def all(self, request: web.Request) -> web.Response:
        described = await self._definitions.all()
        headers = {"ETag": described.etag, "Cache-Control": "no-cache"}
        known = request.headers.get("If-None-Match", "")
        if known == "*" or described.etag in [tag.strip().removeprefix("W/") for tag in known.split(",")]:
            return web.Response(status=304, headers=headers)
        return web.Response(body=described.body, content_type=JSON, charset="utf-8", headers=headers)

    async def one(self, request: web.Request) -> web.Response:
        body = await self._definitions.one(request.match_info["node_class"])
        return web.Response(body=body, content_type=JSON, charset="utf-8")
