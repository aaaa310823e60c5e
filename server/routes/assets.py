"""`/api/assets`, `/api/tags`: a store of files by content, which this server does not have; clients are told so."""

from aiohttp import web

from server.problems import json_response


class AssetRoutes:
    def table(self) -> list[web.RouteDef]:
        return [web.route("*", path, self.refuse) for path in ("/assets", "/assets/{rest:.*}", "/tags")]

    async def refuse(self, request: web.Request) -> web.Response:
        error: dict[str, object] = {
            "code": "SERVICE_DISABLED",
            "message": "This server has no asset store",
            "details": {},
        }
        return json_response({"error": error}, status=503)
