"""`/userdata` and `/v2/userdata`: a user's own files. A file's name is one segment of the URL, its slashes escaped.

Every answer about one file carries its `ETag`. Who sends it back as `If-Match` changes the file only if nobody else
has meanwhile, and learns of it by 412; `If-None-Match: *` makes a file only where there is none.
"""

import asyncio
from typing import Any

from aiohttp import ETag, hdrs, web

from server.bodies import flag, json_in_thread, limits_of, pour, too_large
from server.files import user_file
from server.problems import RequestError, bad, empty, json_response
from storage.names import BadName
from storage.userdata import ChangedMeanwhile, Condition, FileInfo, UserData, always
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
            web.get("/userdata/{file}/versions", self.versions),
            web.get("/userdata/{file}/versions/{version}", self.version),
            web.post("/userdata/{file}/versions/{version}/restore", self.restore),
        ]

    async def listing(self, request: web.Request) -> web.Response:
        data = await data_of(request, self._users)
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
        data = await data_of(request, self._users)
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
        data = await data_of(request, self._users)
        try:
            path = await asyncio.to_thread(data.path, request.match_info["file"])
        except BadName as error:
            raise RequestError(403, "invalid_path", str(error)) from None
        return user_file(path) if await asyncio.to_thread(path.is_file) else empty(404)

    async def post(self, request: web.Request) -> web.Response:
        data, name = await data_of(request, self._users), request.match_info["file"]
        limit = request.client_max_size
        if request.content_length is not None and request.content_length > limit:
            raise too_large(limit)
        try:
            await asyncio.to_thread(data.path, name)  # refuse before the body is read
            incoming = await asyncio.to_thread(data.receive)
            with incoming:
                await pour(request, incoming.write, limit, limits_of(request))
                info = await asyncio.to_thread(
                    data.store, incoming, name, flag(request, "overwrite", default=True), _condition(request)
                )
        except BadName as error:
            raise RequestError(403, "invalid_path", str(error)) from None
        except FileExistsError:
            return web.Response(status=409, text="File already exists")
        except ChangedMeanwhile as changed:
            raise _conflict(changed) from changed
        except OSError as error:
            raise bad("cannot_write", "The file cannot be written", error.strerror or "") from error
        return _told(request, info)

    async def delete(self, request: web.Request) -> web.Response:
        data = await data_of(request, self._users)
        try:
            await asyncio.to_thread(data.delete, request.match_info["file"], _condition(request))
        except BadName as error:
            raise RequestError(403, "invalid_path", str(error)) from None
        except FileNotFoundError:
            return empty(404)
        except ChangedMeanwhile as changed:
            raise _conflict(changed) from changed
        except IsADirectoryError:
            raise bad("is_a_directory", "Only files can be deleted, this is a folder") from None
        return empty(204)

    async def move(self, request: web.Request) -> web.Response:
        data = await data_of(request, self._users)
        source, target = request.match_info["file"], request.match_info["dest"]
        try:
            overwrite = flag(request, "overwrite", default=True)
            info = await asyncio.to_thread(data.move, source, target, overwrite, _condition(request))
        except BadName as error:
            raise RequestError(403, "invalid_path", str(error)) from None
        except FileNotFoundError:
            return empty(404)
        except FileExistsError:
            return web.Response(status=409, text="File already exists")
        except ChangedMeanwhile as changed:
            raise _conflict(changed) from changed
        except OSError as error:
            raise bad("cannot_move", "The file cannot be moved", error.strerror or "") from error
        return _told(request, info)

    async def versions(self, request: web.Request) -> web.Response:
        """What the file held before, the latest first."""
        data = await data_of(request, self._users)
        try:
            found = await asyncio.to_thread(data.versions, request.match_info["file"])
        except BadName as error:
            raise RequestError(403, "invalid_path", str(error)) from None
        return json_response([{"id": one.id, "saved": one.saved, "size": one.size} for one in found])

    async def version(self, request: web.Request) -> web.StreamResponse:
        data = await data_of(request, self._users)
        try:
            path = await asyncio.to_thread(data.version, request.match_info["file"], request.match_info["version"])
        except BadName as error:
            raise RequestError(403, "invalid_path", str(error)) from None
        except FileNotFoundError:
            return empty(404)
        return user_file(path, request.match_info["file"].rsplit("/", 1)[-1])

    async def restore(self, request: web.Request) -> web.Response:
        """The file holds an earlier content again; what it held until now becomes a version."""
        data = await data_of(request, self._users)
        file, version = request.match_info["file"], request.match_info["version"]
        try:
            info = await asyncio.to_thread(data.restore, file, version, _condition(request))
        except BadName as error:
            raise RequestError(403, "invalid_path", str(error)) from None
        except FileNotFoundError:
            return empty(404)
        except ChangedMeanwhile as changed:
            raise _conflict(changed) from changed
        return _told(request, info)


async def data_of(request: web.Request, users: Users) -> UserData:
    """The files of whoever asks. Raises RequestError 403."""
    try:
        user = await asyncio.to_thread(users.resolve, request.headers.get("comfy-user"))
    except UnknownUser:
        raise RequestError(403, "unknown_user", "Invalid user specified in request") from None
    return users.data(user)


def _condition(request: web.Request) -> Condition:
    """What `If-Match` and `If-None-Match` ask of the file as it is."""
    wanted, unwanted = request.if_match, request.if_none_match
    if wanted is None and unwanted is None:
        return always

    def holds(tag: str | None) -> bool:
        return (wanted is None or _among(tag, wanted)) and (unwanted is None or not _among(tag, unwanted))

    return holds


def _among(tag: str | None, named: tuple[ETag, ...]) -> bool:
    return tag is not None and any(one.value in (tag, "*") for one in named)


def _conflict(changed: ChangedMeanwhile) -> RequestError:
    return RequestError(
        412,
        "changed_meanwhile",
        str(changed),
        "Nothing was written. Load it again, or send the present tag as If-Match to write over it.",
        {"etag": None if changed.tag is None else f'"{changed.tag}"'},
    )


def _told(request: web.Request, info: FileInfo) -> web.Response:
    response = json_response(info.shown() if flag(request, "full_info") else info.path)
    response.headers[hdrs.ETAG] = f'"{info.tag}"'
    return response
