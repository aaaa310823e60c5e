"""`/view`: files that users gave and nodes made."""

import asyncio
from pathlib import Path

from aiohttp import web

from server.files import user_bytes, user_file
from server.pictures import NotAPicture, Pictures
from server.problems import RequestError, bad, empty
from storage.inputs import Inputs, file_kind
from storage.names import BadName, beneath, split_annotation

_QUALITY = 90


class ViewRoutes:
    def __init__(self, inputs: Inputs, pictures: Pictures):
        self._inputs, self._pictures = inputs, pictures

    def table(self) -> list[web.RouteDef]:
        return [web.get("/view", self.get)]

    async def get(self, request: web.Request) -> web.StreamResponse:
        filename = request.query.get("filename")
        if filename is None:
            return empty(404)
        path = await asyncio.to_thread(
            self._locate, filename, request.query.get("type", "output"), request.query.get("subfolder", "")
        )
        if path is None:
            return empty(404)
        channel = request.query.get("channel", "rgba")
        try:
            if "preview" in request.query:
                return await self._preview(path, request.query["preview"], channel)
            if channel == "rgb":
                return user_bytes(await self._pictures.without_alpha(path), "image/png", path.name)
            if channel == "a":
                return user_bytes(await self._pictures.alpha_only(path), "image/png", path.name)
        except NotAPicture as error:
            raise bad("not_an_image", "This file cannot be shown as a picture", str(error)) from None
        return user_file(path)

    async def _preview(self, path: Path, wanted: str, channel: str) -> web.Response:
        format, _, quality = wanted.partition(";")
        # JPEG has no alpha, so asking for alpha asks for WEBP.
        format = "jpeg" if format == "jpeg" and "a" not in channel.replace("rgba", "") else "webp"
        if channel != "rgba" and "a" in channel:
            format = "webp"
        percent = int(quality) if quality.isascii() and quality.isdigit() and len(quality) < 4 else _QUALITY
        data, kind = await self._pictures.preview(path, format, max(1, min(100, percent)), alpha="a" in channel)
        return user_bytes(data, kind, path.name)

    def _locate(self, filename: str, type: str, subfolder: str) -> Path | None:
        """The file, or None if there is none. Raises RequestError 400 for odd names, 403 for folders outside."""
        name, annotated = split_annotation(filename)
        if not name or name.startswith(("/", "\\")) or ".." in name:
            raise bad("invalid_filename", "filename must be the name of a file", f"received {filename[:80]!a}")
        try:
            root = self._inputs.root(annotated or file_kind(type))
        except BadName as error:
            raise bad("invalid_type", str(error)) from None
        if "/" in name or "\\" in name:
            return None
        try:
            folder = beneath(root, subfolder)
        except BadName as error:
            raise RequestError(403, "invalid_subfolder", str(error)) from None
        try:
            path = beneath(root, f"{folder.relative_to(root.resolve()).as_posix()}/{name}")
        except BadName:
            return None
        return path if path.is_file() else None
