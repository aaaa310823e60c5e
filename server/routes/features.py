"""`/features`: what this server can do; also its half of the negotiation over the socket."""

from typing import Any

from aiohttp import web

from server.problems import json_response


def features(max_upload: int) -> dict[str, Any]:
    """max_upload: bytes. Unknown flags are ignored by clients, so ours stand beside the known ones."""
    return {
        "supports_preview_metadata": True,
        "max_upload_size": max_upload,
        "resync": True,
        "watch_all_jobs": True,
    }


class FeatureRoutes:
    def __init__(self, max_upload: int):
        self._features = features(max_upload)

    def table(self) -> list[web.RouteDef]:
        return [web.get("/features", self.get)]

    async def get(self, request: web.Request) -> web.Response:
        return json_response(self._features)
