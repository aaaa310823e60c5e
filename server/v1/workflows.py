"""Workflows under a name, with named and typed inputs: what an application calls instead of sending a graph."""

import math
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec

from execution.spec import Declaration, InputSpec
from server.services import Catalogue
from server.v1.operations import Answer, Call, Operation
from server.v1.problems import Refused, not_found
from server.v1.submitting import HEADERS, REFUSALS, Place, Row, Submitting, changed
from server.v1.types import (
    Job,
    Publish,
    PublishedInput,
    Run,
    Submit,
    SubmitQuery,
    SubmittedBatch,
    TypedInput,
    Workflow,
    WorkflowList,
    when,
)
from storage.published import Published

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_JSON_TYPES = {"INT": "integer", "FLOAT": "number", "STRING": "string", "BOOLEAN": "boolean"}
_PYTHON_TYPES: Mapping[str, tuple[type, ...]] = {
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "boolean": (bool,),
}


class WorkflowOperations:
    def __init__(
        self,
        published: Published,
        submitting: Submitting,
        catalogue: Catalogue,
        clock: Callable[[], float] = time.time,
    ):
        self._published, self._submitting, self._catalogue = published, submitting, catalogue
        self._clock = clock

    def all(self) -> list[Operation]:
        unknown = {404: "No workflow has this name."}
        at = "/v1/workflows/{name}"
        return [
            Operation(
                "GET", "/v1/workflows", "listWorkflows", "Published workflows", self.listed, {200: (WorkflowList,)}
            ),
            Operation("GET", at, "getWorkflow", "A published workflow", self.get, {200: (Workflow,)}, unknown),
            Operation(
                *("PUT", at, "publishWorkflow", "Publish a workflow, over an earlier one of this name", self.put),
                {200: (Workflow,), 201: (Workflow,)},
                {415: REFUSALS[415], 422: "The graph, an input or the name is wrong."},
                body=Publish,
            ),
            Operation("DELETE", at, "unpublishWorkflow", "Take a workflow back", self.delete, {204: ()}, unknown),
            Operation(
                *("POST", f"{at}/run", "runWorkflow", "Run a published workflow", self.run),
                {200: (Job, SubmittedBatch), 202: (Job, SubmittedBatch)},
                {**unknown, **REFUSALS},
                query=SubmitQuery,
                body=Run,
                headers=HEADERS,
            ),
        ]

    async def workflows(self) -> list[Workflow]:
        return [self._shown(name, content, at) for name, (content, at) in (await self._published.all()).items()]

    async def listed(self, call: Call) -> Answer:
        return Answer(WorkflowList(workflows=await self.workflows()))

    async def get(self, call: Call) -> Answer:
        return Answer(await self._workflow(call.part("name")))

    async def put(self, call: Call) -> Answer:
        name, body = call.part("name"), call.body
        if not _NAME.fullmatch(name):
            raise Refused(422, "invalid_name", "A workflow's name is 1 to 64 letters, digits, - and _")
        graph = await self._submitting.converted(body.graph)
        inputs = {key: self._typed(key, given, graph) for key, given in body.inputs.items()}
        at = self._clock()
        content = {
            "graph": graph,
            "inputs": msgspec.to_builtins(inputs),
            "title": body.title,
            "description": body.description,
        }
        is_new = await self._published.put(name, content, at)
        return Answer(self._shown(name, content, at), 201 if is_new else 200)

    async def delete(self, call: Call) -> Answer:
        if not await self._published.delete(call.part("name")):
            raise not_found("workflow of this name")
        return Answer(status=204)

    async def run(self, call: Call) -> Answer:
        workflow, body = await self._workflow(call.part("name")), call.body
        given: Run = body
        in_table = given.batch.values if given.batch else {}
        for name, value in given.inputs.items():
            _fit(workflow, name, value, f"/inputs/{name}")
        for name, values in in_table.items():
            for row, value in enumerate(values):
                _fit(workflow, name, value, f"/batch/values/{name}/{row}")
        for name, input in workflow.inputs.items():
            if input.required and name not in given.inputs and name not in in_table:
                raise Refused(422, "input_missing", f"The input {name!a} is required", "/inputs")
        places: dict[str, Place] = {name: (input.node, input.input) for name, input in workflow.inputs.items()}
        graph = changed(workflow.graph, Row({places[name]: value for name, value in given.inputs.items()}))
        submit = Submit(
            graph=dict(graph),
            title=given.title or workflow.title or workflow.name,
            priority=given.priority,
            front=given.front,
            client_id=given.client_id,
            batch=given.batch,
            webhook=given.webhook,
        )
        return await self._submitting.submit(call, submit, places)

    async def _workflow(self, name: str) -> Workflow:
        found = await self._published.get(name)
        if found is None:
            raise not_found("workflow of this name")
        return self._shown(name, *found)

    def _shown(self, name: str, content: Mapping[str, Any], at: float) -> Workflow:
        return msgspec.convert({**content, "name": name, "changed_at": when(at)}, Workflow)

    def _typed(self, name: str, given: PublishedInput, graph: Mapping[str, Any]) -> TypedInput:
        """An input with the type of the node's input it sets. Raises Refused 422."""
        where = f"/inputs/{name}"
        found = graph.get(given.node)
        node = cast(dict[str, Any], found) if isinstance(found, dict) else {}
        values: Any = node.get("inputs")
        if not isinstance(values, dict):
            raise Refused(422, "unknown_node", f"The graph has no node {given.node[:80]!a}", f"{where}/node")
        declaration = self._catalogue.current().get(str(node.get("class_type")))
        spec = _spec(declaration, given.input)
        if declaration is None or spec is None:
            raise Refused(
                422, "unknown_input", f"Node {given.node} has no input {given.input[:80]!a}", f"{where}/input"
            )
        schema = _schema(spec, given)
        if not given.required and given.input in values:
            schema["default"] = values[given.input]
        return TypedInput(node=given.node, input=given.input, required=given.required, schema=schema)


def _spec(declaration: Declaration | None, name: str) -> InputSpec | None:
    return None if declaration is None else next((one for one in declaration.inputs if one.name == name), None)


def _schema(spec: InputSpec, given: PublishedInput) -> dict[str, Any]:
    """JSON Schema of an input's values: what the node declares, narrowed. Choices that are files come and go, so they
    are not written down; a run that names a missing one is refused like any graph."""
    schema: dict[str, Any] = {}
    if spec.type in _JSON_TYPES:
        schema["type"] = _JSON_TYPES[spec.type]
    if given.choices is not None:
        schema["enum"] = given.choices
    elif spec.choices is not None and spec.choices_from is None and not spec.names_file:
        schema["enum"] = list(spec.choices)
    for key, option, narrowed in (("minimum", "min", given.minimum), ("maximum", "max", given.maximum)):
        bound = spec.options.get(option) if narrowed is None else narrowed
        if isinstance(bound, int | float) and math.isfinite(bound):
            schema[key] = bound
    description = given.description or spec.options.get("tooltip")
    if description:
        schema["description"] = str(description)
    return schema


def _fit(workflow: Workflow, name: str, value: Any, pointer: str) -> None:
    """Raises Refused 422 when a value does not fit its input."""
    input = workflow.inputs.get(name)
    if input is None:
        raise Refused(422, "unknown_input", f"{workflow.name} has no input {name[:80]!a}", pointer)
    schema = input.schema
    wanted = _PYTHON_TYPES.get(schema.get("type", ""))
    is_truth = isinstance(value, bool)
    if wanted is not None and (not isinstance(value, wanted) or (is_truth and bool not in wanted)):
        raise Refused(422, "invalid_type", f"{name} must be {schema['type']}, received {type(value).__name__}", pointer)
    if "enum" in schema and value not in schema["enum"]:
        shown = ", ".join(map(str, schema["enum"][:10]))
        raise Refused(422, "not_in_list", f"{name} must be one of {shown}; received {str(value)[:80]!a}", pointer)
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    if isinstance(value, int | float) and not is_truth and not low <= value <= high:
        raise Refused(422, "out_of_range", f"{name} must be within {low}…{high}; received {value}", pointer)
