"""`/view_metadata/{folder}`: what a model file says about itself."""

import asyncio
import json
import struct
from pathlib import Path
from typing import Any, cast

from aiohttp import web

from server.problems import empty, json_response
from storage.folders import Folders

_LARGEST_HEADER = 1 << 20


class MetadataRoutes:
    def __init__(self, folders: Folders):
        self._folders = folders

    def table(self) -> list[web.RouteDef]:
        return [web.get("/view_metadata/{folder}", self.get)]

    async def get(self, request: web.Request) -> web.Response:
        name = request.query.get("filename", "")

        def read() -> dict[str, Any] | None:
            path = self._folders.find(request.match_info["folder"], name)
            return None if path is None or path.suffix != ".safetensors" else metadata(path)

        found = await asyncio.to_thread(read)
        return empty(404) if found is None else json_response(found)


def metadata(path: Path) -> dict[str, Any] | None:
    """The `__metadata__` of a safetensors header; None when there is none, or none that can be read."""
    try:
        with path.open("rb") as file:
            length = file.read(8)
            if len(length) < 8:
                return None
            (size,) = struct.unpack("<Q", length)
            if size > _LARGEST_HEADER:
                return None
            header: Any = json.loads(file.read(size))
    except (OSError, ValueError, RecursionError):
        return None
    found = cast(dict[str, Any], header).get("__metadata__") if isinstance(header, dict) else None
    return cast(dict[str, Any], found) if isinstance(found, dict) else None
