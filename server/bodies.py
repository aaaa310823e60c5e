"""Reading what clients send: JSON with limits and reasons, query numbers, and streams of constant memory.

JSON is read whatever its content type says (`server.guard` has looked at that), in a thread when it is large.
"""

import asyncio
import json
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, NoReturn, TypeVar, cast

from aiohttp import web
from aiohttp.multipart import BodyPartReader

from server.limits import Limits
from server.messages import dumps
from server.problems import JSON, RequestError, bad

# Where handlers find the limits of their application.
LIMITS = web.AppKey("limits", Limits)

_LARGE = 64 * 1024
_CHUNK = 256 * 1024

T = TypeVar("T")


def too_large(limit: int) -> RequestError:
    return RequestError(413, "body_too_large", f"Maximum request body size {limit} exceeded.")


def limits_of(request: web.Request) -> Limits:
    return request.app[LIMITS]


async def read_body(request: web.Request) -> bytes:
    """The whole body, for what is held in memory. Raises RequestError 413 beyond the limit, 408 when it stalls."""
    limits = limits_of(request)
    most = min(limits.body, request.client_max_size)
    if request.content_length is not None and request.content_length > most:
        raise too_large(most)
    pieces, pace = bytearray(), Pace(limits)
    while chunk := await pace.within_reason(request.content.readany()):
        pieces += chunk
        pace.check(len(pieces))
        if len(pieces) > most:
            raise too_large(most)
    return bytes(pieces)


async def read_json(request: web.Request, pictures: bool = False) -> Any:
    """The body as JSON. pictures: texts in it may be as long as the body, because programs send pictures as text in
    their graphs. Raises RequestError 400 with the place of the fault."""
    return await _parsed(await read_body(request), request, pictures)


async def read_object(request: web.Request) -> dict[str, Any]:
    """The body as a JSON object; an empty body is an empty object. Raises RequestError 400."""
    body = await read_body(request)
    return as_object(await _parsed(body, request)) if body.strip() else {}


async def _parsed(body: bytes, request: web.Request, pictures: bool = False) -> Any:
    limits = limits_of(request)
    if pictures:
        limits = replace(limits, text=limits.body)
    return await asyncio.to_thread(parse_json, body, limits) if len(body) > _LARGE else parse_json(body, limits)


def as_object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise bad("invalid_json", "The body must be a JSON object", f"received {type(value).__name__}")
    return cast(dict[str, Any], value)


def parse_json(body: bytes, limits: Limits) -> Any:
    """Strict JSON: UTF-8, finite numbers, no key twice in one object, neither too deep nor too long in its texts.
    Raises RequestError 400."""
    if not body.strip():
        raise bad("invalid_json", "The body is empty; expected JSON")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise bad("invalid_json", "The body is not UTF-8", f"at byte {error.start}") from None
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_no_number, parse_float=_float)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise bad("invalid_json", "The body is not valid JSON", where) from None
    except RecursionError:
        raise _too_deep(limits) from None
    except ValueError as error:  # integers of thousands of digits
        raise bad("invalid_json", "The body holds a number that cannot be read", str(error)) from None
    _check_form(value, limits)
    return value


def number(request: web.Request, name: str) -> int | None:
    """A whole number of the query, None when absent. Raises RequestError 400."""
    text = request.query.get(name)
    if text is None or text == "":
        return None
    digits = text[1:] if text[:1] in "+-" else text
    if not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        raise bad("invalid_query", f"{name} must be a whole number", f"received {text[:40]!a}")
    return int(text)


def flag(request: web.Request, name: str, default: bool = False) -> bool:
    """A yes or no of the query; "true" means yes, anything else no."""
    text = request.query.get(name)
    return default if text is None else text.lower() == "true"


def text_of(body: dict[str, Any], name: str) -> str | None:
    """A text field, None when absent or null. Raises RequestError 400 for anything else."""
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise bad("invalid_field", f"{name} must be text", f"received {type(value).__name__}")
    return value


def texts_of(body: dict[str, Any], name: str) -> list[str]:
    """A list of ids, empty when absent; numbers are taken as their text. Raises RequestError 400."""
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise bad("invalid_field", f"{name} must be a list of ids", f"received {type(value).__name__}")
    items = cast(list[Any], value)
    if not all(isinstance(item, str | int) and not isinstance(item, bool) for item in items):
        raise bad("invalid_field", f"{name} must be a list of ids")
    return [str(item) for item in items]


async def json_in_thread(make: Callable[[], Any], status: int = 200) -> web.Response:
    """Answer with JSON that may be large: made and turned into text off the event loop."""
    text = await asyncio.to_thread(lambda: dumps(make()).encode())
    return web.Response(body=text, status=status, content_type=JSON, charset="utf-8")


async def pour(source: BodyPartReader | web.Request, write: Callable[[bytes], None], limit: int, limits: Limits) -> int:
    """Let a body or a part flow to `write` (in a thread), never holding more than a piece of it.

    Returns its size. Raises RequestError 413 beyond `limit` bytes, 408 when it stalls."""
    size, pace = 0, Pace(limits)
    while True:
        if isinstance(source, BodyPartReader):
            chunk = bytes(await pace.within_reason(source.read_chunk(_CHUNK)))
        else:
            chunk = await pace.within_reason(source.content.read(_CHUNK))
        if not chunk:
            return size
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
        pace.check(size)
        await asyncio.to_thread(write, chunk)


class Pace:
    """Someone who stops in the middle of a body, or hardly goes on, must not hold a connection and a file for ever."""

    def __init__(self, limits: Limits):
        self._limits, self._since = limits, time.monotonic()

    async def within_reason(self, reading: Awaitable[T]) -> T:
        """Raises RequestError 408 when no piece comes in time."""
        idle = self._limits.body_idle
        try:
            async with asyncio.timeout(idle):
                return await reading
        except TimeoutError:
            raise RequestError(408, "body_stalled", f"No data came for {idle:g} seconds") from None

    def check(self, size: int) -> None:
        """size: bytes that came so far. Raises RequestError 408 when that is too little for the time it took."""
        taken, slowest = time.monotonic() - self._since, self._limits.body_rate
        if taken > self._limits.body_patience and size / taken < slowest:
            raise RequestError(408, "body_too_slow", f"The body came slower than {slowest:g} bytes a second")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise bad("invalid_json", "The body holds one key twice in one object", ascii(twice[:80]))
    return made


def _no_number(text: str) -> NoReturn:
    raise bad("invalid_json", "The body is not valid JSON", f"{text} is not a JSON number")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise bad("invalid_json", "The body holds a number that is too large", text[:40])
    return value


def _check_form(value: Any, limits: Limits) -> None:
    """Level by level, so that no stack grows with the data. Raises RequestError 400."""
    level: list[Any] = [value]
    for depth in range(limits.depth + 1):
        below: list[Any] = []
        for item in level:
            kind = cast(type[object], type(item))
            if kind is dict:
                if item and max(map(len, item)) > limits.key:
                    raise bad("invalid_json", f"The body holds a key longer than {limits.key} characters")
                below.extend(item.values())
            elif kind is list:
                below.extend(item)
            elif kind is str and len(item) > limits.text:
                raise bad("invalid_json", f"The body holds a text longer than {limits.text} characters")
            if depth == limits.depth and kind in (dict, list):
                raise _too_deep(limits)
        level = below


def _too_deep(limits: Limits) -> RequestError:
    return bad("invalid_json", f"The body is nested deeper than {limits.depth} levels")
