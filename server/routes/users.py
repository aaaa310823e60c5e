"""`/users`: who there is."""

import asyncio

from aiohttp import web

from server.bodies import read_object
from server.problems import json_response
from storage.users import DEFAULT, BadUserName, Users


class UserRoutes:
    def __init__(self, users: Users):
        self._users = users

    def table(self) -> list[web.RouteDef]:
        return [web.get("/users", self.get), web.post("/users", self.post)]

    async def get(self, request: web.Request) -> web.Response:
        if self._users.multi:
            return json_response({"storage": "server", "users": await asyncio.to_thread(self._users.all)})
        migrated = await asyncio.to_thread(self._users.directory(DEFAULT).exists)
        return json_response({"storage": "server", "migrated": migrated})

    async def post(self, request: web.Request) -> web.Response:
        name = (await read_object(request)).get("username")
        if not isinstance(name, str):
            return json_response({"error": "username must be text."}, status=400)
        try:
            return json_response(await asyncio.to_thread(self._users.create, name))
        except BadUserName as error:
            return json_response({"error": str(error)}, status=400)
