"""`/experiment/models`: model files with their size and age, and the pictures that lie beside them."""

import asyncio
import base64
import binascii
import io
import json
from pathlib import Path
from typing import Any, cast

from aiohttp import web

from server.bodies import json_in_thread
from server.files import user_bytes
from server.pictures import NotAPicture, Pictures
from server.problems import empty, json_response
from server.routes.view_metadata import metadata
from storage.folders import Folders
from storage.names import BadName, parts

_NOT_MODELS = ("configs", "custom_nodes")
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp")


class ExperimentRoutes:
    def __init__(self, folders: Folders, pictures: Pictures):
        self._folders, self._pictures = folders, pictures

    def table(self) -> list[web.RouteDef]:
        return [
            web.get("/experiment/models", self.kinds),
            web.get("/experiment/models/{folder}", self.files),
            web.get("/experiment/models/preview/{folder}/{path_index}/{filename:.*}", self.preview),
        ]

    async def kinds(self, request: web.Request) -> web.Response:
        return json_response(
            [
                {"name": kind, "folders": [str(path) for path in self._folders.directories(kind)]}
                for kind in self._folders.kinds()
                if kind not in _NOT_MODELS
            ]
        )

    async def files(self, request: web.Request) -> web.Response:
        kind = request.match_info["folder"]
        if kind not in self._folders.kinds() or kind in _NOT_MODELS:
            return empty(404)
        return await json_in_thread(lambda: self._described(kind))

    async def preview(self, request: web.Request) -> web.Response:
        kind, name = request.match_info["folder"], request.match_info["filename"]
        index = request.match_info["path_index"]
        if not index.isascii() or not index.isdigit() or len(index) > 6:
            return empty(404)

        source = await asyncio.to_thread(self._picture_of, kind, int(index), name)
        if source is None:
            return empty(404)
        try:
            data, media = await self._pictures.preview(source, "webp", 90)
        except NotAPicture:
            return empty(404)
        return user_bytes(data, media, f"{Path(name).stem}.webp")

    def _described(self, kind: str) -> list[dict[str, Any]]:
        directories = self._folders.directories(kind)
        rows: list[dict[str, Any]] = []
        for name in self._folders.files(kind):
            for index, directory in enumerate(directories):
                try:
                    stat = (directory / name).stat()
                except OSError:
                    continue
                rows.append(
                    {
                        "name": Path(name).as_posix(),
                        "pathIndex": index,
                        "modified": stat.st_mtime,
                        "created": stat.st_ctime,
                        "size": stat.st_size,
                    }
                )
        return rows

    def _picture_of(self, kind: str, index: int, name: str) -> Path | io.BytesIO | None:
        """The picture of a model: a file of its name beside it, or the cover in its metadata."""
        try:
            directories, below = self._folders.directories(kind), parts(name)
        except (KeyError, BadName):
            return None
        if index >= len(directories) or not below:
            return None
        model = directories[index].joinpath(*below)
        for ending in (*_PICTURES, *(f".preview{ending}" for ending in _PICTURES)):
            beside = model.with_name(model.stem + ending)
            if beside.is_file():
                return beside
        if model.suffix == ".safetensors" and model.is_file():
            return _cover(metadata(model))
        return None


def _cover(about: dict[str, Any] | None) -> io.BytesIO | None:
    try:
        covers: Any = json.loads((about or {}).get("ssmd_cover_images", "null"))
        if isinstance(covers, list) and covers:
            return io.BytesIO(base64.b64decode(cast(list[str], covers)[0]))
    except (ValueError, TypeError, binascii.Error):
        pass
    return None
