"""The description of the job API: OpenAPI 3.1, made from the operations and their types."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from server.problems import JSON
from server.v1.operations import Operation
from server.v1.problems import PROBLEM
from server.v1.types import Job, Problem, Workflow

VERSION = "1.0"
_REFS = "#/components/schemas/{name}"
# What every request may meet: the guard's refusals and the limits.
_ALWAYS = {
    400: "The request cannot be read.",
    401: "The server needs its token.",
    403: "The request comes from a page of another site.",
}
_WITH_BODY = {413: "The body is too large.", 415: "The body is not application/json.", 422: "A field is wrong."}
_WITH_QUERY = {422: "A parameter is wrong."}


def describe(operations: Sequence[Operation], published: Iterable[Workflow] = ()) -> dict[str, Any]:
    """published: workflows that are each described as an operation of their own."""
    kinds: dict[type, None] = {Problem: None, Job: None}
    for each in operations:
        for body in each.answers.values():
            kinds |= dict.fromkeys(() if isinstance(body, str) else body)
        kinds |= dict.fromkeys(kind for kind in (each.body, each.query) if kind is not None)
    _, schemas = msgspec.json.schema_components(list(kinds), ref_template=_REFS)
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, schemas)
    run = next(each for each in operations if each.name == "runWorkflow")
    for workflow in published:
        paths[run.path.replace("{name}", workflow.name)] = {"post": _published(run, workflow, schemas)}
    described = {kind.__name__ for kind in (each.query for each in operations) if kind is not None}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Heddle",
            "version": VERSION,
            "description": "Jobs, their results, and published workflows. What was answered is on disk.",
        },
        "paths": paths,
        "webhooks": {"jobEnded": {"post": _webhook()}},
        "components": {
            "schemas": {name: schema for name, schema in schemas.items() if name not in described},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _operation(each: Operation, schemas: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {"operationId": each.name, "summary": each.summary}
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", each.path)
    ]
    if each.query is not None:
        for name, schema in schemas[each.query.__name__]["properties"].items():
            parameter = {"name": name, "in": "query", "required": False, "schema": schema}
            if schema.get("type") == "array":
                parameter |= {"style": "form", "explode": False}
            parameters.append(parameter)
    parameters += [
        {"name": name, "in": "header", "required": False, "description": what, "schema": {"type": "string"}}
        for name, what in each.headers.items()
    ]
    if parameters:
        shown["parameters"] = parameters
    if each.body is not None:
        shown["requestBody"] = {"required": True, "content": {JSON: {"schema": _ref(each.body)}}}
    shown["responses"] = {
        **{str(status): _answer(body) for status, body in each.answers.items()},
        **{str(status): _refusal(why) for status, why in sorted(_refusals(each).items())},
    }
    return shown


def _published(run: Operation, workflow: Workflow, schemas: Mapping[str, Any]) -> dict[str, Any]:
    """A published workflow as an operation with inputs of its own types."""
    shown = _operation(run, schemas)
    shown["parameters"] = [each for each in shown["parameters"] if each["in"] != "path"]
    shown |= {"operationId": f"run_{workflow.name}", "summary": workflow.title or f"Run {workflow.name}"}
    if workflow.description:
        shown["description"] = workflow.description
    inputs = {
        "type": "object",
        "properties": {name: input.schema for name, input in workflow.inputs.items()},
        "required": [name for name, input in workflow.inputs.items() if input.required],
        "additionalProperties": False,
    }
    body = {**schemas["Run"], "properties": {**schemas["Run"]["properties"], "inputs": inputs}}
    shown["requestBody"] = {"required": True, "content": {JSON: {"schema": body}}}
    return shown


def _refusals(each: Operation) -> dict[int, str]:
    found = dict(_ALWAYS)
    if each.query is not None:
        found |= _WITH_QUERY
    if each.body is not None:
        found |= _WITH_BODY
    return found | dict(each.refusals)


def _answer(body: tuple[type, ...] | str) -> dict[str, Any]:
    if isinstance(body, str):
        return {"description": "A stream", "content": {body: {"schema": {"type": "string"}}}}
    if not body:
        return {"description": "Nothing"}
    schemas = [_ref(kind) for kind in body]
    return {
        "description": " or ".join(kind.__name__ for kind in body),
        "content": {JSON: {"schema": schemas[0] if len(schemas) == 1 else {"oneOf": schemas}}},
    }


def _refusal(why: str) -> dict[str, Any]:
    return {"description": why, "content": {PROBLEM: {"schema": _ref(Problem)}}}


def _webhook() -> dict[str, Any]:
    schema = {"type": "object", "properties": {"type": {"const": "job.ended"}, "data": _ref(Job)}}
    return {
        "summary": "A job with a webhook has ended",
        "requestBody": {"content": {JSON: {"schema": schema}}},
        "responses": {"2XX": {"description": "Taken; anything else is tried again for a day."}},
    }


def _ref(kind: type) -> dict[str, str]:
    return {"$ref": _REFS.format(name=kind.__name__)}
