"""`/global_subgraphs`: blueprints shared by everyone, from the `subgraphs` folders of packs."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

from aiohttp import web

from server.problems import json_response
from storage.folders import Folders


class GlobalSubgraphRoutes:
    def __init__(self, folders: Folders):
        self._folders = folders

    def table(self) -> list[web.RouteDef]:
        return [web.get("/global_subgraphs", self.all), web.get("/global_subgraphs/{id}", self.one)]

    async def all(self, request: web.Request) -> web.Response:
        found = await asyncio.to_thread(self._found)
        return json_response({id: _shown(path) for id, path in found.items()})

    async def one(self, request: web.Request) -> web.Response:
        def read() -> dict[str, Any] | None:
            path = self._found().get(request.match_info["id"])
            return None if path is None else {**_shown(path), "data": path.read_text(encoding="utf-8")}

        shown = await asyncio.to_thread(read)
        return json_response(shown) if shown is not None else json_response(None, status=404)

    def _found(self) -> dict[str, Path]:
        """Ids are made from places, so they stay the same from start to start."""
        paths = [
            path
            for packs in self._folders.directories("custom_nodes")
            for path in sorted(packs.glob("*/subgraphs/*.json"))
        ]
        return {hashlib.sha256(str(path).encode()).hexdigest()[:32]: path for path in paths}


def _shown(path: Path) -> dict[str, Any]:
    pack = path.parent.parent.name
    return {"source": "custom_node", "name": path.stem, "info": {"node_pack": f"custom_nodes.{pack}"}}
