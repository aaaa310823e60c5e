"""`/node_replacements`: which nodes took the place of older ones. There are none yet."""

from aiohttp import web

from server.problems import json_response


class NodeReplacementRoutes:
    def table(self) -> list[web.RouteDef]:
        return [web.get("/node_replacements", self.get)]

    async def get(self, request: web.Request) -> web.Response:
        return json_response({})
