"""`/upload/image` and `/upload/mask`: files that users give, streamed to the disk."""

import asyncio
import json
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from aiohttp import web
from aiohttp.http import HttpProcessingError
from aiohttp.multipart import BodyPartReader

from server.bodies import Pace, limits_of, pour, too_large
from server.pictures import NotAPicture, Pictures
from server.problems import RequestError, bad, json_response
from storage.inputs import Inputs, Upload, file_kind
from storage.names import BadName, beneath, split_annotation

_LONGEST_FIELD = 64 * 1024
_MOST_PARTS = 100


@dataclass(slots=True)
class Form:
    """What came: the file, the name its sender gave it, and the text fields."""

    upload: Upload | None = None
    name: str = ""
    fields: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def overwrite(self) -> bool:
        return self.fields.get("overwrite", "").lower() in ("true", "1")


class UploadRoutes:
    def __init__(self, inputs: Inputs, pictures: Pictures):
        self._inputs, self._pictures = inputs, pictures

    def table(self) -> list[web.RouteDef]:
        return [web.post("/upload/image", self.image), web.post("/upload/mask", self.mask)]

    async def image(self, request: web.Request) -> web.Response:
        """Any file, images or not."""
        with ExitStack() as scope:
            form = await self._receive(request, scope)
            upload = _file_of(form)
            return await self._store(upload, form)

    async def mask(self, request: web.Request) -> web.Response:
        """An image whose alpha is laid over another, which stays as it is."""
        with ExitStack() as scope:
            form = await self._receive(request, scope)
            upload = _file_of(form)
            original = await asyncio.to_thread(self._original, form.fields.get("original_ref"))

            await asyncio.to_thread(upload.flush)
            try:
                data = await self._pictures.masked(original, upload.path)
            except NotAPicture as error:
                raise bad("not_an_image", "The mask cannot be laid over the image", str(error)) from None

            def keep() -> Upload:
                made = scope.enter_context(self._inputs.upload())
                made.write(data)
                return made

            return await self._store(await asyncio.to_thread(keep), form)

    async def _store(self, upload: Upload, form: Form) -> web.Response:
        type, subfolder = form.fields.get("type", "input") or "input", form.fields.get("subfolder", "")
        try:
            kind = file_kind(type)
            name = await asyncio.to_thread(upload.store, form.name, subfolder, kind, form.overwrite)
        except BadName as error:
            raise bad("invalid_name", "The file cannot be stored under this name", str(error)) from None
        return json_response({"name": name, "subfolder": subfolder, "type": kind})

    async def _receive(self, request: web.Request, scope: ExitStack) -> Form:
        """Read the form part by part. The file goes to the disk as it comes; the rest is small."""
        limit = request.client_max_size
        if request.content_length is not None and request.content_length > limit:
            raise too_large(limit)
        if request.content_type != "multipart/form-data":
            raise bad("invalid_form", "Expected multipart/form-data", f"received {request.content_type[:80]!a}")
        form, parts = Form(), 0
        try:
            reader = await request.multipart()
            pace = Pace(limits_of(request))
            while (part := await pace.within_reason(reader.next())) is not None:
                parts += 1
                if parts > _MOST_PARTS or not isinstance(part, BodyPartReader):
                    raise bad("invalid_form", f"A form has at most {_MOST_PARTS} plain fields")
                if part.name == "image" and part.filename is not None and form.upload is None:
                    form.upload = await asyncio.to_thread(lambda: scope.enter_context(self._inputs.upload()))
                    form.name = part.filename
                    await pour(part, form.upload.write, limit, limits_of(request))
                else:
                    piece = bytearray()
                    await pour(part, piece.extend, min(limit, _LONGEST_FIELD), limits_of(request))
                    form.fields[part.name or ""] = piece.decode("utf-8", "replace")
        except (ValueError, AssertionError, EOFError, HttpProcessingError) as error:  # a form that breaks its own rules
            raise bad("invalid_form", "The form cannot be read", str(error)[:200]) from None
        return form

    def _original(self, reference: str | None) -> Path:
        """The image a mask is for. Raises RequestError 400, or 404 when it is not there."""
        try:
            parsed: Any = json.loads(reference or "")
        except (ValueError, RecursionError):
            parsed = None
        if not isinstance(parsed, dict):
            raise bad("invalid_original_ref", 'original_ref must be JSON: {"filename", "subfolder", "type"}')
        ref = cast(dict[str, Any], parsed)
        filename, subfolder = ref.get("filename"), ref.get("subfolder") or ""
        if not isinstance(filename, str) or not filename or not isinstance(subfolder, str):
            raise bad("invalid_original_ref", "original_ref needs a filename, and subfolder must be text")
        name, annotated = split_annotation(filename)
        try:
            root = self._inputs.root(annotated or file_kind(str(ref.get("type") or "output")))
            path = beneath(root, f"{subfolder}/{name}" if subfolder else name)
        except BadName as error:
            raise bad("invalid_original_ref", "original_ref names no image of ours", str(error)) from None
        if not path.is_file():
            raise RequestError(404, "original_not_found", "The image that the mask is for is not there", name[:200])
        return path


def _file_of(form: Form) -> Upload:
    if form.upload is None or not form.name:
        raise bad("no_file", "The form needs a file in its field `image`, with a file name")
    return form.upload
