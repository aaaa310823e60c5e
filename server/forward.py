"""Requests to addresses that packs answer: packs live in the worker, so these go there and their answers come back.

Our own addresses come first; what we would answer with 404 or 405 is looked up among those of packs. A request has
passed every check of ours before it is sent on, bodies and answers flow through in pieces, and a worker that is not
there is a 503 that says so.
"""

import logging
from collections.abc import AsyncIterator
from http import HTTPStatus

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
    UnixConnector,
    hdrs,
    web,
)
from aiohttp.abc import AbstractStreamWriter
from aiohttp.typedefs import Handler, Middleware
from aiohttp.web_request import BaseRequest
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from execution.packs import Door
from execution.workers.worker import NoAnswer
from server.bodies import Pace, limits_of, too_large
from server.problems import RequestError
from server.services import Packs

logger = logging.getLogger(__name__)

SECRET = "X-Heddle-Door"
STARTING = 30.0  # seconds a request waits for a worker that is just starting
AGAIN = 5.0  # seconds for a new worker's door, when the old one has closed
CONNECT = 5.0
SILENCE = 600.0  # seconds between two pieces of an answer: packs download models while the page waits
_PIECE = 256 * 1024
_AT_ONCE = 64
_BETWEEN_TWO = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding"}
    | {"upgrade", "content-length", "expect"}
)
"""Headers about one connection, which are not those of the next."""


class Forward:
    """Carries requests to the packs' door. `close` lets go of its connections."""

    def __init__(self, packs: Packs):
        self._packs = packs
        self._session: ClientSession | None = None
        self._door: Door | None = None

    def middleware(self) -> Middleware:
        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                response = await handler(request)
            except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
                if not self._is_theirs(request):
                    raise
            else:
                if response.status != HTTPStatus.NOT_FOUND or response.prepared or not self._is_theirs(request):
                    return response
            return await self.send(request)

        return middleware

    async def send(self, request: web.Request) -> web.StreamResponse:
        """The packs' answer. Raises RequestError 413, 501 and 503."""
        if hdrs.UPGRADE in request.headers:
            raise RequestError(501, "not_forwarded", "Websockets of packs are not carried; use the one at /ws")
        if request.content_length is not None and request.content_length > request.client_max_size:
            raise too_large(request.client_max_size)
        try:
            door = self._packs.current().door or (await self._packs.refresh(STARTING)).door
            try:
                return await self._send(request, door)
            except ClientConnectorError:  # nothing of the request is gone yet; perhaps there is a new worker
                return await self._send(request, (await self._packs.refresh(AGAIN)).door)
        except (NoAnswer, ClientError, TimeoutError) as error:
            logger.warning("%s %s could not be sent to its pack: %s", request.method, request.path, error)
            raise RequestError(
                503, "packs_unavailable", "The worker that holds this pack does not answer", str(error)[:300]
            ) from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _is_theirs(self, request: web.Request) -> bool:
        return self._packs.current().answers(request.method, request.rel_url.path)

    async def _send(self, request: web.Request, door: Door | None) -> web.StreamResponse:
        if door is None:
            raise NoAnswer("no pack of the worker that runs now answers requests")
        session = await self._session_at(door)
        headers = without_connection(request.headers)
        headers["X-Forwarded-For"] = request.remote or ""
        headers[SECRET] = door.secret
        pieces = Pieces(request)
        try:
            answer = await session.request(
                request.method,
                URL.build(scheme="http", host="127.0.0.1", port=door.port or 80).join(request.rel_url),
                headers=headers,
                data=pieces.read() if request.can_read_body else None,
                allow_redirects=False,
            )
        except ClientError as error:
            if pieces.problem is not None:
                raise pieces.problem from error
            raise
        return Forwarded(answer)

    async def _session_at(self, door: Door) -> ClientSession:
        if self._session is None or door != self._door:
            before = self._session
            at = UnixConnector(door.socket, limit=_AT_ONCE) if door.socket else TCPConnector(limit=_AT_ONCE)
            self._session = ClientSession(
                connector=at,
                cookie_jar=DummyCookieJar(),
                timeout=ClientTimeout(total=None, sock_connect=CONNECT, sock_read=SILENCE),
                auto_decompress=False,
                skip_auto_headers=(hdrs.USER_AGENT, hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE),
            )
            self._door = door
            if before is not None:
                await before.close()
        return self._session


class Pieces:
    """A request's body as it comes. problem: why it broke off: it was too large, or stalled."""

    def __init__(self, request: web.Request):
        self._request = request
        self.problem: RequestError | None = None

    async def read(self) -> AsyncIterator[bytes]:
        size, limit, pace = 0, self._request.client_max_size, Pace(limits_of(self._request))
        try:
            while piece := await pace.within_reason(self._request.content.readany()):
                size += len(piece)
                pace.check(size)
                if size > limit:
                    raise too_large(limit)
                yield piece
        except RequestError as problem:
            self.problem = problem
            raise


class Forwarded(web.StreamResponse):
    """An answer that flows through: its body is read while it is written."""

    def __init__(self, answer: ClientResponse):
        super().__init__(status=answer.status, reason=answer.reason, headers=without_connection(answer.headers))
        self._answer = answer
        if answer.content_length is not None:
            self.content_length = answer.content_length

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        try:
            writer = await super().prepare(request)
            if request.method != hdrs.METH_HEAD:
                async for piece in self._answer.content.iter_chunked(_PIECE):
                    await self.write(piece)
            return writer
        finally:
            self._answer.release()


def without_connection(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """A copy without what belongs to the connection it came over."""
    named = {name.strip().lower() for name in headers.get(hdrs.CONNECTION, "").split(",")}
    kept = [(name, value) for name, value in headers.items() if name.lower() not in _BETWEEN_TWO | named]
    return CIMultiDict(kept)
