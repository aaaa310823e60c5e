"""`/extensions`: scripts that packs bring for the editor."""

import asyncio
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from server.bodies import json_in_thread
from server.files import static_file
from server.problems import empty
from server.services import Packs

FIRST = 30.0  # seconds the page waits at the very first start, when nobody has ever said what packs bring


class ExtensionRoutes:
    """Packs are programs their owner installed: their files are served as what they are, unlike users' files.

    front_end: the folder of the page, which may bring extensions of its own beneath `extensions/`; None without one."""

    def __init__(self, packs: Packs, front_end: Path | None):
        self._packs = packs
        self._front_end = front_end

    def table(self) -> list[web.RouteDef]:
        return [web.get("/extensions", self.scripts)]

    def static(self) -> list[web.RouteDef]:
        return [web.get("/extensions/{name}/{file:.+}", self.file)]

    async def scripts(self, request: web.Request) -> web.Response:
        await self._packs.known(FIRST)

        def found() -> list[str]:
            return [
                f"/extensions/{quote(name)}/{quote(path.relative_to(folder).as_posix())}"
                for name, folder in {**self._own(), **self._packs.web()}.items()
                for path in sorted(folder.rglob("*.js"))
            ]

        return await json_in_thread(found)

    async def file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        folder = self._packs.web().get(name) or (await asyncio.to_thread(self._own)).get(name)
        if folder is None:
            return empty(404)
        return await static_file(folder, request.match_info["file"])

    def _own(self) -> dict[str, Path]:
        """The page's own extensions, by name."""
        folder = None if self._front_end is None else self._front_end / "extensions"
        if folder is None or not folder.is_dir():
            return {}
        return {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()}
