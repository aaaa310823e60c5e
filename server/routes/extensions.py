"""`/extensions`: scripts that packs bring for the editor."""

from urllib.parse import quote

from aiohttp import web

from server.bodies import json_in_thread
from server.files import static_file
from server.problems import empty
from server.services import Packs

FIRST = 30.0  # seconds the page waits at the very first start, when nobody has ever said what packs bring


class ExtensionRoutes:
    """Packs are programs their owner installed: their files are served as what they are, unlike users' files."""

    def __init__(self, packs: Packs):
        self._packs = packs

    def table(self) -> list[web.RouteDef]:
        return [web.get("/extensions", self.scripts)]

    def static(self) -> list[web.RouteDef]:
        return [web.get("/extensions/{name}/{file:.+}", self.file)]

    async def scripts(self, request: web.Request) -> web.Response:
        await self._packs.known(FIRST)

        def found() -> list[str]:
            return [
                f"/extensions/{quote(name)}/{quote(path.relative_to(folder).as_posix())}"
                for name, folder in self._packs.web().items()
                for path in sorted(folder.rglob("*.js"))
            ]

        return await json_in_thread(found)

    async def file(self, request: web.Request) -> web.StreamResponse:
        folder = self._packs.web().get(request.match_info["name"])
        if folder is None:
            return empty(404)
        return await static_file(folder, request.match_info["file"])
