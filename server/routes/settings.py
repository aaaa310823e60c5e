"""`/settings`: what a user set in the editor."""

import asyncio
from pathlib import Path

from aiohttp import web

from server.bodies import as_object, json_in_thread, read_json
from server.problems import RequestError, empty
from storage.settings import UserSettings
from storage.users import UnknownUser, Users


class SettingsRoutes:
    def __init__(self, users: Users, settings: UserSettings):
        self._users, self._settings = users, settings

    def table(self) -> list[web.RouteDef]:
        return [
            web.get("/settings", self.get),
            web.get("/settings/{id}", self.get_one),
            web.post("/settings", self.post),
            web.post("/settings/{id}", self.post_one),
        ]

    async def get(self, request: web.Request) -> web.Response:
        folder = await self._folder(request)
        return await json_in_thread(lambda: self._settings.read(folder))

    async def get_one(self, request: web.Request) -> web.Response:
        folder = await self._folder(request)
        return await json_in_thread(lambda: self._settings.read(folder).get(request.match_info["id"]))

    async def post(self, request: web.Request) -> web.Response:
        folder = await self._folder(request)
        values = as_object(await read_json(request))
        await asyncio.to_thread(self._settings.merge, folder, values)
        return empty()

    async def post_one(self, request: web.Request) -> web.Response:
        folder = await self._folder(request)
        value = await read_json(request)
        await asyncio.to_thread(self._settings.merge, folder, {request.match_info["id"]: value})
        return empty()

    async def _folder(self, request: web.Request) -> Path:
        try:
            user = await asyncio.to_thread(self._users.resolve, request.headers.get("comfy-user"))
        except UnknownUser:
            raise RequestError(401, "unknown_user", "The header comfy-user names no user of this server") from None
        return self._users.directory(user)
