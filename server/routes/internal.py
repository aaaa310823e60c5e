"""`/internal`: for the editor itself: folders, files newest first, the log."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from aiohttp import web

from server.bodies import as_object, json_in_thread, read_json, text_of
from server.hub import Hub
from server.problems import empty, json_response
from storage.folders import Folders
from storage.inputs import Inputs, file_kind
from storage.logs import RecentLogs
from storage.names import BadName

_TERMINAL = {"cols": 80, "rows": 24}
_LOG_PERIOD = 0.25


class InternalRoutes:
    def __init__(self, folders: Folders, inputs: Inputs, logs: RecentLogs, hub: Hub):
        self._folders, self._inputs, self._logs, self._hub = folders, inputs, logs, hub
        self._watchers: set[str] = set()
        self._watched = asyncio.Event()

    def table(self) -> list[web.RouteDef]:
        return [
            web.get("/internal/files/{type}", self.files),
            web.get("/internal/folder_paths", self.folder_paths),
            web.get("/internal/logs", self.log_text),
            web.get("/internal/logs/raw", self.log_entries),
            web.patch("/internal/logs/subscribe", self.subscribe),
        ]

    async def files(self, request: web.Request) -> web.Response:
        try:
            kind = file_kind(request.match_info["type"])
        except BadName:
            return json_response({"error": "Invalid directory type"}, status=400)
        return await json_in_thread(lambda: self._inputs.newest(kind))

    async def folder_paths(self, request: web.Request) -> web.Response:
        return json_response(
            {kind: [str(path) for path in self._folders.directories(kind)] for kind in self._folders.kinds()}
        )

    async def log_text(self, request: web.Request) -> web.Response:
        return json_response("".join(entry.text for entry in self._logs.entries()))

    async def log_entries(self, request: web.Request) -> web.Response:
        return json_response({"entries": [entry.shown() for entry in self._logs.entries()], "size": _TERMINAL})

    async def subscribe(self, request: web.Request) -> web.Response:
        body = as_object(await read_json(request))
        client = text_of(body, "clientId") or ""
        if body.get("enabled"):
            self._watchers.add(client)
            self._watched.set()
        else:
            self._watchers.discard(client)
        return empty()

    async def tell_watchers(self, app: web.Application) -> AsyncGenerator[None]:
        """Runs while the server does: new lines go to those who asked. Lines come from many threads, so they are
        fetched now and then rather than pushed."""
        task = asyncio.create_task(self._tell())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _tell(self) -> None:
        while True:
            await self._watched.wait()
            seen = self._newest()
            while self._watchers:
                await asyncio.sleep(_LOG_PERIOD)
                self._watchers &= set(self._hub.clients())  # those who left are forgotten
                if fresh := self._logs.entries(since=seen):
                    seen = fresh[-1].number + 1
                    data = {"entries": [entry.shown() for entry in fresh], "size": None}
                    self._hub.send("logs", data, to=tuple(self._watchers))
            self._watched.clear()

    def _newest(self) -> int:
        entries = self._logs.entries()
        return entries[-1].number + 1 if entries else 0
