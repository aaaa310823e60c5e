"""Errors of the job API: problem details (RFC 9457) with a code for programs and a pointer into the body."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus

import msgspec
from aiohttp import web

from execution.problems import NodeErrors, PromptRejected
from server.problems import RequestError
from server.v1.types import Complaint, Problem

PROBLEM = "application/problem+json"
MOST_COMPLAINTS = 100
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]|(\[\.\.\.\])")


class Refused(Exception):
    """A request that will not be served. code: for programs. pointer: into the body."""

    def __init__(
        self, status: int, code: str, detail: str, pointer: str | None = None, errors: Sequence[Complaint] = ()
    ):
        super().__init__(detail)
        self.status, self.code, self.detail, self.pointer = status, code, detail, pointer
        self.errors = errors
        self.headers: dict[str, str] = {}


def not_found(what: str) -> Refused:
    return Refused(404, "not_found", f"There is no {what}")


def of_request_error(error: RequestError) -> Refused:
    """What the shared parts of the server refuse."""
    detail = f"{error.message}: {error.details}" if error.details else error.message
    refused = Refused(error.status, error.type, detail)
    refused.headers.update(error.headers)
    return refused


def of_type_error(error: msgspec.ValidationError) -> Refused:
    """A body or a query that does not have its type."""
    text, _, path = str(error).partition(" - at `")
    return Refused(422, "invalid_field", f"{text}{f' at {path.rstrip(chr(96))}' if path else ''}", _pointer(path))


def of_rejection(rejected: PromptRejected, row: int | None = None) -> Refused:
    """A graph that will not be run. row: of the batch."""
    problem = rejected.problem
    node = problem.extra.get("node_id")
    pointer = _escaped("graph", node) if isinstance(node, str) else "/graph"
    where = "" if row is None else f"Row {row} of the batch: "
    detail = f"{where}{problem.message}{f': {problem.details}' if problem.details else ''}"
    return Refused(422, problem.type, detail, pointer, complaints(rejected.node_errors))


def complaints(node_errors: Mapping[str, NodeErrors]) -> list[Complaint]:
    found: list[Complaint] = []
    for id, wrong in node_errors.items():
        for error in wrong.errors:
            name = error.extra.get("input_name")
            pointer = _escaped("graph", id, "inputs", name) if isinstance(name, str) else _escaped("graph", id)
            detail = f"{error.message}: {error.details}" if error.details else error.message
            found.append(Complaint(code=error.type, detail=detail, pointer=pointer))
    return found[:MOST_COMPLAINTS]


def answer(refused: Refused) -> web.Response:
    problem = Problem(
        type="about:blank",
        title=HTTPStatus(refused.status).phrase,
        status=refused.status,
        detail=refused.detail,
        code=refused.code,
        pointer=refused.pointer,
        errors=list(refused.errors),
    )
    response = web.Response(body=msgspec.json.encode(problem), status=refused.status, content_type=PROBLEM)
    response.headers.update(refused.headers)
    if refused.status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE):
        response.force_close()  # the rest of the body may never come
    return response


def _pointer(path: str) -> str | None:
    """`$.batch.values[0]` → `/batch/values/0`, as far as it is known."""
    steps: list[str] = []
    for name, index, unknown in _STEP.findall(path):
        if unknown:
            break
        steps.append((name or index).rstrip("`"))
    return _escaped(*steps) if steps else None


def _escaped(*steps: str) -> str:
    return "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in steps)
