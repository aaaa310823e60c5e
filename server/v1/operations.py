"""An operation of the job API as data: what it takes, what it gives, who does it. The routes are made from these, and
so is the description at `/openapi.json`, which therefore cannot differ from what is served."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from server.bodies import read_json
from server.problems import JSON, RequestError
from server.v1 import problems
from server.v1.problems import Refused
from server.v1.types import Given

_LARGE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was checked. query, body: of the types their operation names."""

    request: web.Request
    query: Any
    body: Any

    def part(self, name: str) -> str:
        """A variable part of the path."""
        return self.request.match_info[name]


@dataclass(frozen=True, slots=True)
class Answer:
    """value: of one of the types that the operation names for this status; None for an empty body."""

    value: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Operation:
    """answers: status → types of the body (one of them); an empty tuple for no body; "text/event-stream" and the like
    for what is no JSON. refusals: statuses with a problem, and why. query, body: None when there is none."""

    method: str
    path: str
    name: str
    summary: str
    handle: Callable[[Call], Awaitable[Answer | web.StreamResponse]]
    answers: Mapping[int, tuple[type, ...] | str]
    refusals: Mapping[int, str] = field(default_factory=dict[int, str])
    query: type[Given] | None = None
    body: type[Given] | None = None
    headers: Mapping[str, str] = field(
        default_factory=dict[str, str]
    )  # of the request, which may carry them: name → what


def routes(operations: Iterable[Operation]) -> list[web.RouteDef]:
    return [web.route(each.method, each.path, _handler(each)) for each in operations]


def _handler(operation: Operation) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            query = None if operation.query is None else _query(request, operation.query)
            body = None if operation.body is None else await _body(request, operation.body)
            said = await operation.handle(Call(request, query, body))
        except Refused as refused:
            return problems.answer(refused)
        except RequestError as error:
            return problems.answer(problems.of_request_error(error))
        return await _response(said) if isinstance(said, Answer) else said

    return handle


def _query(request: web.Request, kind: type[Given]) -> Given:
    fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
    given: dict[str, Any] = {}
    for name, text in request.query.items():
        if name == "token":
            continue  # the guard's
        if name in given:
            raise Refused(422, "invalid_query", f"{name} is given twice")
        is_list = name in fields and _is_list(fields[name])
        given[name] = [part for part in text.split(",") if part] if is_list else text
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise Refused(422, "invalid_query", str(error).replace("$.", "")) from None


def _is_list(kind: Any) -> bool:
    info = msgspec.inspect.type_info(kind)
    while isinstance(info, msgspec.inspect.Metadata):
        info = info.type
    return isinstance(info, msgspec.inspect.ListType)


async def _body(request: web.Request, kind: type[Given]) -> Given:
    if request.content_type != JSON:
        raise Refused(415, "unsupported_content_type", f"Send {JSON}; received {request.content_type[:80]!a}")
    value = await read_json(request, pictures=True)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise problems.of_type_error(error) from None


async def _response(said: Answer) -> web.Response:
    if said.value is None:
        return web.Response(status=said.status, headers=said.headers)
    encode = msgspec.json.Encoder(enc_hook=str).encode
    body = await asyncio.to_thread(encode, said.value)
    return web.Response(body=body, status=said.status, headers=said.headers, content_type=JSON)
