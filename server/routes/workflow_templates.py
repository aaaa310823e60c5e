"""`/workflow_templates`: example workflows, our own and those that packs bring."""

import asyncio
from pathlib import Path

from aiohttp import web

from server.bodies import json_in_thread
from server.files import static_file
from server.problems import empty
from storage.folders import Folders
from storage.names import BadName, beneath

OURS = "heddle"
_PLACES = ("example_workflows", "example", "examples", "workflow", "workflows")


class TemplateRoutes:
    """examples: the folder of our own, listed like a pack's; None for none."""

    def __init__(self, folders: Folders, examples: Path | None = None):
        self._folders, self._examples = folders, examples

    def table(self) -> list[web.RouteDef]:
        return [web.get("/workflow_templates", self.all)]

    def static(self) -> list[web.RouteDef]:
        return [web.get("/workflow_templates/{pack}/{file:.+}", self.file)]

    async def all(self, request: web.Request) -> web.Response:
        def found() -> dict[str, list[str]]:
            names: dict[str, list[str]] = {}
            if self._examples is not None and (ours := sorted(self._examples.glob("*.json"))):
                names[OURS] = [path.stem for path in ours]
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
        if pack == OURS:
            return self._examples
        for packs in self._folders.directories("custom_nodes"):
            for place in _PLACES:
                try:
                    folder = beneath(packs, f"{pack}/{place}")
                    if beneath(folder, file).is_file():
                        return folder
                except BadName:
                    continue
        return None
