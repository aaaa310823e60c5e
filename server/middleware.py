"""What surrounds every handler: refusals, errors in a form clients can read, and headers."""

import errno
import logging
from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from server import guard
from server.guard import Access
from server.limits import Limits
from server.problems import RequestError
from server.v1.problems import answer, of_request_error

logger = logging.getLogger(__name__)

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_IMAGES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp", ".gif", ".svg", ".avif")
_COMPRESSED = ("application/json", "text/plain")


def errors() -> Middleware:
    """Every failure becomes an answer. A fault of ours is logged with its trace and answered without it."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except RequestError as error:
            return _refusal(request, error)
        except web.HTTPRequestEntityTooLarge as error:
            text = f"Maximum request body size {request.client_max_size} exceeded. {error.text or ''}"
            return _refusal(request, RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", text))
        except web.HTTPException as error:
            return _plain(error)
        except OSError as error:
            if isinstance(error, ConnectionError) and request.transport is None:
                return web.Response(status=HTTPStatus.BAD_REQUEST)  # the client is gone; nobody reads this
            if error.errno not in _NO_ROOM:
                logger.exception("%s %s failed", request.method, request.path)
                text = "The disk cannot be written to or read"
                return _refusal(request, RequestError(503, "storage_unavailable", text))
            logger.error("%s %s failed: %s", request.method, request.path, error)
            text = "There is no room left on the disk; nothing was kept"
            return _refusal(request, RequestError(507, "disk_full", text))
        except Exception:
            logger.exception("%s %s failed", request.method, request.path)
            text = "The server made a mistake; its log has the details"
            return _refusal(request, RequestError(500, "internal_error", text))

    return middleware


def _refusal(request: web.Request, error: RequestError) -> web.Response:
    """In the form of the API that was asked."""
    if request.path.startswith(("/v1/", "/api/v1/")):
        return answer(of_request_error(error))
    return _too_large(error.message) if error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else error.response()


def headers(access: Access, compress: bool) -> Middleware:
    """Headers of every answer, refusals included."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if response.prepared:  # a websocket; its headers are long gone
            return response
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "same-origin")
        if access.cors_origin is not None:
            _allow_other_origins(response, access.cors_origin)
        else:
            response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        _cache(request, response)
        if compress and isinstance(response, web.Response) and response.content_type in _COMPRESSED:
            response.enable_compression()
        return response

    return middleware


def guarded(access: Access, limits: Limits) -> Middleware:
    """Nobody passes unchecked; a token shown in the query becomes a cookie, so that it leaves the address bar."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        guard.check_size(request, limits)
        guard.check(request, access)
        if request.method == hdrs.METH_OPTIONS:
            return web.Response()
        if access.needs_token and "token" in request.query and request.path == "/" and request.method == "GET":
            response = web.Response(status=HTTPStatus.FOUND, headers={hdrs.LOCATION: "/"})
            # SameSite=Lax, not Strict: a link to the editor should find it open. Pages of others are refused anyway.
            response.set_cookie(
                guard.COOKIE, access.token or "", httponly=True, samesite="Lax", secure=request.secure, path="/"
            )
            return response
        return await handler(request)

    return middleware


def _allow_other_origins(response: web.StreamResponse, origin: str) -> None:
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Allow-Methods"] = "POST, GET, DELETE, PUT, OPTIONS, PATCH"
    response.headers["Access-Control-Allow-Headers"] = "Content-Type, Authorization"
    response.headers["Access-Control-Allow-Credentials"] = "true"


def _cache(request: web.Request, response: web.StreamResponse) -> None:
    path = request.path.lower()
    if hdrs.CACHE_CONTROL in response.headers:
        return
    if path.endswith(_IMAGES):
        age = 86400 if response.status < 300 else 3600 if response.status == HTTPStatus.NOT_FOUND else None
        if age is not None:
            response.headers[hdrs.CACHE_CONTROL] = f"public, max-age={age}"
    elif path.endswith((".js", ".css")) or (path.endswith(".json") and path.rsplit("/", 1)[-1].startswith("index")):
        response.headers[hdrs.CACHE_CONTROL] = "no-cache"


def _too_large(text: str) -> web.Response:
    """The rest of the body is not read, so the connection cannot be used again."""
    response = web.Response(status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text=text)
    response.force_close()
    return response


def _plain(error: web.HTTPException) -> web.Response:
    """aiohttp's own exceptions (404, 405, redirects) as ordinary answers, so that they get their headers too."""
    body = None if error.status == HTTPStatus.NOT_FOUND else error.text
    response = web.Response(status=error.status, reason=error.reason, text=body)
    for name, value in error.headers.items():
        if name not in (hdrs.CONTENT_TYPE, hdrs.CONTENT_LENGTH):
            response.headers.add(name, value)
    for name, morsel in error.cookies.items():
        response.cookies[name] = morsel
    return response
