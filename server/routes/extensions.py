"""`/extensions`: scripts that packs bring for the editor."""

from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from server.bodies import json_in_thread
from server.files import static_file
from server.problems import empty


class ExtensionRoutes:
    """Packs are programs their owner installed: their files are served as what they are, unlike users' files."""

    def __init__(self, directories: Callable[[], Mapping[str, Path]]):
        self._directories = directories

    def table(self) -> list[web.RouteDef]:
        return [web.get("/extensions", self.scripts)]

    def static(self) -> list[web.RouteDef]:
        return [web.get("/extensions/{name}/{file:.+}", self.file)]

    async def scripts(self, request: web.Request) -> web.Response:
        def found() -> list[str]:
            return [
                f"/extensions/{quote(name)}/{quote(path.relative_to(folder).as_posix())}"
                for name, folder in self._directories().items()
                for path in sorted(folder.rglob("*.js"))
            ]

        return await json_in_thread(found)

    async def file(self, request: web.Request) -> web.StreamResponse:
        folder = self._directories().get(request.match_info["name"])
        if folder is None:
            return empty(404)
        return await static_file(folder, request.match_info["file"])
