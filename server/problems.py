"""What went wrong with a request, as clients read it: `{"error": {"type", "message", "details"}}`, never a bare 500."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web

from server.messages import dumps

JSON = "application/json"


class RequestError(Exception):
    """A client's mistake, to be answered with its status and a reason that says what to do."""

    def __init__(
        self,
        status: int,
        type: str,
        message: str,
        details: str = "",
        extra: dict[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ):
        super().__init__(message)
        self.status, self.type, self.message, self.details = status, type, message, details
        self.extra, self.headers = extra or {}, headers or {}

    def response(self) -> web.Response:
        response = error_response(self.status, self.type, self.message, self.details, self.extra)
        response.headers.update(self.headers)
        if self.status == HTTPStatus.REQUEST_TIMEOUT:
            response.force_close()  # the rest of the body may never come
        return response


def bad(type: str, message: str, details: str = "") -> RequestError:
    """400."""
    return RequestError(400, type, message, details)


def error_response(
    status: int, type: str, message: str, details: str = "", extra: dict[str, Any] | None = None
) -> web.Response:
    error = {"type": type, "message": message, "details": details, "extra_info": extra or {}}
    # `node_errors` is what clients of POST /prompt read beside the error; to everyone else it is harmless.
    return web.Response(status=status, text=dumps({"error": error, "node_errors": {}}), content_type=JSON)


def json_response(data: Any, status: int = 200) -> web.Response:
    """For small data; what can be large is turned into text in a thread (`json_in_thread`)."""
    return web.Response(text=dumps(data), status=status, content_type=JSON)


def empty(status: int = 200) -> web.Response:
    """Most changing routes answer with nothing, and clients test for exactly 200."""
    return web.Response(status=status)
