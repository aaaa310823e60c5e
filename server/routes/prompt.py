"""`/prompt`: queue a graph; how much is queued."""

from collections.abc import Mapping
from typing import Any, cast

from aiohttp import web

from execution.problems import NodeErrors, Problem, PromptRejected
from execution.queue import Queue, QueueFull
from server.admission import Admission
from server.bodies import json_in_thread, read_json
from server.hub import Hub
from server.problems import RequestError, json_response
from server.services import Intake

RETRY_AFTER = "10"  # seconds to wait when the queue is full


class PromptRoutes:
    def __init__(self, intake: Intake, queue: Queue, hub: Hub, admission: Admission):
        self._intake, self._queue, self._hub, self._admission = intake, queue, hub, admission

    def table(self) -> list[web.RouteDef]:
        return [web.get("/prompt", self.get), web.post("/prompt", self.post)]

    async def get(self, request: web.Request) -> web.Response:
        return json_response({"exec_info": {"queue_remaining": self._queue.remaining}})

    async def post(self, request: web.Request) -> web.Response:
        await self._admission.check(request)
        body: Any = await read_json(request, pictures=True)
        try:
            if not isinstance(body, dict) or "prompt" not in body:
                raise PromptRejected(Problem("no_prompt", "No prompt provided", "No prompt provided"))
            ticket = await self._intake.submit(body)  # pyright: ignore[reportUnknownArgumentType]  # JSON
        except QueueFull as full:
            raise RequestError(429, "queue_full", str(full), headers={"Retry-After": RETRY_AFTER}) from full
        except PromptRejected as rejected:
            problem, errors = rejected.problem, rejected.node_errors
            return await json_in_thread(
                lambda: {"error": shown(problem), "node_errors": shown_errors(errors)}, status=400
            )
        self._hub.expect(ticket.prompt_id, client_of(body))  # pyright: ignore[reportUnknownArgumentType]  # JSON
        answer = {"prompt_id": ticket.prompt_id, "number": ticket.number}
        if not ticket.node_errors:
            return json_response({**answer, "node_errors": {}})
        return await json_in_thread(lambda: {**answer, "node_errors": shown_errors(ticket.node_errors)})


def client_of(body: Mapping[str, Any]) -> str | None:
    """Who submitted: told beside the prompt, or in its extra data."""
    extra = body.get("extra_data")
    inner = cast(Mapping[str, Any], extra).get("client_id") if isinstance(extra, Mapping) else None
    client = body.get("client_id", inner)
    return client if isinstance(client, str) else None


def shown(problem: Problem) -> dict[str, Any]:
    return {
        "type": problem.type,
        "message": problem.message,
        "details": problem.details,
        "extra_info": dict(problem.extra),
    }


def shown_errors(errors: Mapping[str, NodeErrors]) -> dict[str, Any]:
    return {
        id: {
            "errors": [shown(problem) for problem in wrong.errors],
            "dependent_outputs": list(wrong.dependent_outputs),
            "class_type": wrong.class_type,
        }
        for id, wrong in errors.items()
    }
