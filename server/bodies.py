"""Reading what clients send: JSON with limits and reasons, query numbers, and streams of constant memory.

JSON is read whatever its content type says (`server.guard` has looked at that), in a thread when it is large.
"""

import asyncio
import json
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeVar, cast

from aiohttp import web
from aiohttp.multipart import BodyPartReader

from server.messages import dumps
from server.problems import JSON, RequestError, bad

DEPTH = 64
_LARGE = 64 * 1024
_CHUNK = 256 * 1024
IDLE = 15.0  # seconds between two pieces of a body
# A body that takes longer than this many seconds must have come faster than so many bytes a second.
PATIENCE, SLOWEST = 30.0, 1024.0

T = TypeVar("T")


def too_large(limit: int) -> RequestError:
    return RequestError(413, "body_too_large", f"Maximum request body size {limit} exceeded.")


async def read_body(request: web.Request) -> bytes:
    """The whole body. Raises RequestError 413 beyond the application's limit."""
    limit = request.client_max_size
    if request.content_length is not None and request.content_length > limit:
        raise too_large(limit)
    pieces, since = bytearray(), time.monotonic()
    while chunk := await _within_reason(request.content.readany()):
        pieces += chunk
        _check_pace(len(pieces), since)
        if len(pieces) > limit:
            raise too_large(limit)
    return bytes(pieces)


async def read_json(request: web.Request) -> Any:
    """The body as JSON. Raises RequestError 400 with the place of the fault."""
    body = await read_body(request)
    if len(body) > _LARGE:
        return await asyncio.to_thread(parse_json, body)
    return parse_json(body)


async def read_object(request: web.Request) -> dict[str, Any]:
    """The body as a JSON object; an empty body is an empty object. Raises RequestError 400."""
    body = await read_body(request)
    if not body.strip():
        return {}
    value = await asyncio.to_thread(parse_json, body) if len(body) > _LARGE else parse_json(body)
    return as_object(value)


def as_object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise bad("invalid_json", "The body must be a JSON object", f"received {type(value).__name__}")
    return cast(dict[str, Any], value)


def parse_json(body: bytes) -> Any:
    """Strict JSON: UTF-8, finite numbers, no key twice in one object, at most DEPTH levels. Raises RequestError 400."""
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
        raise bad("invalid_json", f"The body is nested deeper than {DEPTH} levels") from None
    except ValueError as error:  # integers of thousands of digits
        raise bad("invalid_json", "The body holds a number that cannot be read", str(error)) from None
    if _deeper_than(value, DEPTH):
        raise bad("invalid_json", f"The body is nested deeper than {DEPTH} levels")
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


async def pour(source: BodyPartReader | web.Request, write: Callable[[bytes], None], limit: int) -> int:
    """Let a body or a part flow to `write` (in a thread), never holding more than a piece of it.

    Returns its size. Raises RequestError 413 beyond `limit` bytes, 408 when it stalls."""
    size, since = 0, time.monotonic()
    while True:
        if isinstance(source, BodyPartReader):
            chunk = bytes(await _within_reason(source.read_chunk(_CHUNK)))
        else:
            chunk = await _within_reason(source.content.read(_CHUNK))
        if not chunk:
            return size
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
        _check_pace(size, since)
        await asyncio.to_thread(write, chunk)


async def _within_reason(reading: Awaitable[T]) -> T:
    """Someone who stops in the middle of a body must not hold a connection and a file for ever."""
    try:
        async with asyncio.timeout(IDLE):
            return await reading
    except TimeoutError:
        raise RequestError(408, "body_stalled", f"No data came for {IDLE:g} seconds") from None


def _check_pace(size: int, since: float) -> None:
    taken = time.monotonic() - since
    if taken > PATIENCE and size / taken < SLOWEST:
        raise RequestError(408, "body_too_slow", f"The body came slower than {SLOWEST:g} bytes a second")


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


def _deeper_than(value: Any, depth: int) -> bool:
    """Level by level, so that no stack grows with the data."""
    level: list[Any] = [value]
    for _ in range(depth):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below += cast(dict[str, Any], item).values()
            elif isinstance(item, list):
                below += cast(list[Any], item)
        if not below:
            return False
        level = below
    return any(isinstance(item, dict | list) for item in level)
