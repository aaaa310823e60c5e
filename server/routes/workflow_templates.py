"""`/workflow_templates`: example workflows that packs bring."""

import asyncio
from pathlib import Path

from aiohttp import web

from server.bodies import json_in_thread
from server.files import static_file
from server.problems import empty
from storage.folders import Folders
from storage.names import BadName, beneath

_PLACES = ("example_workflows", "example", "examples", "workflow", "workflows")


class TemplateRoutes:
    def __init__(self, folders: Folders):
        self._folders = folders

    def table(self) -> list[web.RouteDef]:
        return [web.get("/workflow_templates", self.all)]

    def static(self) -> list[web.RouteDef]:
        return [web.get("/workflow_templates/{pack}/{file:.+}", self.file)]

    async def all(self, request: web.Request) -> web.Response:
        def found() -> dict[str, list[str]]:
            names: dict[str, list[str]] = {}
            for pack in self._folders.packs():
                for place in _PLACES:
                    for path in sorted(pack.glob(f"{place}/*.json")):
                        names.setdefault(pack.name, []).append(path.stem)
            return names

        return await json_in_thread(found)

    async def file(self, request: web.Request) -> web.StreamResponse:
        folder = await asyncio.to_thread(self._place, request.match_info["pack"], request.match_info["file"])
        return empty(404) if folder is None else await static_file(folder, request.match_info["file"])

    def _place(self, pack: str, file: str) -> Path | None:
        for packs in self._folders.directories("custom_nodes"):
            for place in _PLACES:
                try:
                    folder = beneath(packs, f"{pack}/{place}")
                    if beneath(folder, file).is_file():
                        return folder
                except BadName:
                    continue
        return None
