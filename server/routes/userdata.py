"""`/userdata` and `/v2/userdata`: a user's own files. A file's name is one segment of the URL, its slashes escaped."""

import asyncio
from typing import Any

from aiohttp import web

from server.bodies import flag, json_in_thread, pour, too_large
from server.files import user_file
from server.problems import RequestError, bad, empty, json_response
from storage.names import BadName
from storage.userdata import FileInfo, UserData
from storage.users import UnknownUser, Users


class UserDataRoutes:
    def __init__(self, users: Users):
        self._users = users

    def table(self) -> list[web.RouteDef]:
        return [
            web.get("/userdata", self.listing),
            web.get("/v2/userdata", self.tree),
            web.get("/userdata/{file}", self.get),
            web.post("/userdata/{file}", self.post),
            web.delete("/userdata/{file}", self.delete),
            web.post("/userdata/{file}/move/{dest}", self.move),
        ]

    async def listing(self, request: web.Request) -> web.Response:
        data = await self._data(request)
        directory = request.query.get("dir", "")
        if not directory:
            return web.Response(status=400, text="Directory not provided")
        try:
            files = await asyncio.to_thread(data.files, directory, flag(request, "recurse"))
        except BadName:
            return web.Response(status=403, text="Invalid directory")
        except FileNotFoundError:
            return web.Response(status=404, text="Directory not found")
        full, split = flag(request, "full_info"), flag(request, "split")

        def shown(info: FileInfo) -> Any:
            if full:
                return info.shown()
            return [info.path, *info.path.split("/")] if split else info.path

        return await json_in_thread(lambda: [shown(info) for info in files])

    async def tree(self, request: web.Request) -> web.Response:
        data = await self._data(request)
        try:
            entries = await asyncio.to_thread(data.tree, request.query.get("path", ""))
        except BadName:
            return web.Response(status=400, text="Invalid path requested")
        except FileNotFoundError:
            return web.Response(status=404, text="Requested path not found")
        except NotADirectoryError:
            return web.Response(status=400, text="Requested path is not a directory")
        return await json_in_thread(lambda: [entry.shown() for entry in entries])

    async def get(self, request: web.Request) -> web.StreamResponse:
        data = await self._data(request)
        try:
            path = await asyncio.to_thread(data.path, request.match_info["file"])
        except BadName as error:
            raise RequestError(403, "invalid_path", str(error)) from None
        return user_file(path) if await asyncio.to_thread(path.is_file) else empty(404)

    async def post(self, request: web.Request) -> web.Response:
        data, name = await self._data(request), request.match_info["file"]
        limit = request.client_max_size
        if request.content_length is not None and request.content_length > limit:
            raise too_large(limit)
        try:
            await asyncio.to_thread(data.path, name)  # refuse before the body is read
            incoming = await asyncio.to_thread(data.receive)
            with incoming:
                await pour(request, incoming.write, limit)
                info = await asyncio.to_thread(data.store, incoming, name, flag(request, "overwrite", default=True))
        except BadName as error:
            raise RequestError(403, "invalid_path", str(error)) from None
        except FileExistsError:
            return web.Response(status=409, text="File already exists")
        except OSError as error:
            raise bad("cannot_write", "The file cannot be written", error.strerror or "") from error
        return _told(request, info)

    async def delete(self, request: web.Request) -> web.Response:
        data = await self._data(request)
        try:
            await asyncio.to_thread(data.delete, request.match_info["file"])
        except BadName as error:
            raise RequestError(403, "invalid_path", str(error)) from None
        except FileNotFoundError:
            return empty(404)
        except IsADirectoryError:
            raise bad("is_a_directory", "Only files can be deleted, this is a folder") from None
        return empty(204)

    async def move(self, request: web.Request) -> web.Response:
        data = await self._data(request)
        source, target = request.match_info["file"], request.match_info["dest"]
        try:
            info = await asyncio.to_thread(data.move, source, target, flag(request, "overwrite", default=True))
        except BadName as error:
            raise RequestError(403, "invalid_path", str(error)) from None
        except FileNotFoundError:
            return empty(404)
        except FileExistsError:
            return web.Response(status=409, text="File already exists")
        except OSError as error:
            raise bad("cannot_move", "The file cannot be moved", error.strerror or "") from error
        return _told(request, info)

    async def _data(self, request: web.Request) -> UserData:
        try:
            user = await asyncio.to_thread(self._users.resolve, request.headers.get("comfy-user"))
        except UnknownUser:
            raise RequestError(403, "unknown_user", "Invalid user specified in request") from None
        return UserData(self._users.directory(user))


def _told(request: web.Request, info: FileInfo) -> web.Response:
    return json_response(info.shown() if flag(request, "full_info") else info.path)
