"""A workflow under a name, called with named values."""

from typing import Any

import pytest

from execution.spec import Declaration, InputSpec, OutputSpec
from tests.server.house import DECLARATIONS, TWO_NODES
from tests.server.v1.conftest import Api

PAINT = Declaration(
    "Paint",
    "Paint",
    "image",
    inputs=(
        InputSpec("text", "STRING", options={"tooltip": "What to paint"}),
        InputSpec("steps", "INT", options={"min": 1, "max": 50}),
        InputSpec("cfg", "FLOAT", options={"min": 0.0, "max": 10.0}),
        InputSpec("sampler", "COMBO", choices=("euler", "heun")),
        InputSpec("tiled", "BOOLEAN"),
    ),
    outputs=(OutputSpec("IMAGE", "IMAGE"),),
)
GRAPH: dict[str, Any] = {
    "1": {
        "class_type": "Paint",
        "inputs": {"text": "a cat", "steps": 20, "cfg": 7.0, "sampler": "euler", "tiled": False},
    },
    "2": TWO_NODES["2"],
}
INPUTS = {
    "prompt": {"node": "1", "input": "text", "required": True},
    "steps": {"node": "1", "input": "steps", "maximum": 30},
    "cfg": {"node": "1", "input": "cfg"},
    "sampler": {"node": "1", "input": "sampler"},
    "tiled": {"node": "1", "input": "tiled"},
}


@pytest.fixture(autouse=True)
def paint(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(DECLARATIONS, "Paint", PAINT)


async def publish(api: Api, **more: Any):
    return await api("PUT", "/v1/workflows/cat", {"graph": GRAPH, "inputs": INPUTS, "title": "A cat", **more})


async def test_a_workflow_is_published_shown_listed_replaced_and_taken_back(api: Api):
    assert (await publish(api)).status == 201
    assert (await publish(api, description="Paints.")).status == 200
    shown = (await api("GET", "/v1/workflows/cat")).body
    assert shown["description"] == "Paints."
    assert shown["inputs"]["prompt"]["schema"] == {"type": "string", "description": "What to paint"}
    assert shown["inputs"]["steps"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 30, "default": 20}
    assert shown["inputs"]["sampler"]["schema"] == {"enum": ["euler", "heun"], "default": "euler"}
    assert [each["name"] for each in (await api("GET", "/v1/workflows")).body["workflows"]] == ["cat"]
    assert (await api("DELETE", "/v1/workflows/cat")).status == 204
    for method in ("GET", "DELETE"):
        assert (await api(method, "/v1/workflows/cat")).status == 404
    assert (await api("POST", "/v1/workflows/cat/run", {})).status == 404


async def test_it_runs_with_the_values_it_is_given_and_the_graphs_own(api: Api):
    await publish(api)
    said = await api("POST", "/v1/workflows/cat/run?wait=20", {"inputs": {"prompt": "a dog", "cfg": 5}})
    assert (said.status, said.body["title"], said.body["state"]) == (200, "A cat", "succeeded")
    entry = await api.house.services.history.entry(said.body["id"])
    assert entry is not None
    assert entry["prompt"][2]["1"]["inputs"] == {**GRAPH["1"]["inputs"], "text": "a dog", "cfg": 5}


async def test_it_runs_a_table_of_named_values(api: Api):
    await publish(api)
    table = {"values": {"prompt": ["a", "b"], "steps": [3, 4]}, "combine": "product"}
    said = await api("POST", "/v1/workflows/cat/run", {"batch": table})
    assert len(said.body["jobs"]) == 4
    assert (await api("GET", f"/v1/jobs?batch={said.body['batch']}&search=b")).body["jobs"]


@pytest.mark.parametrize(
    ("inputs", "code", "pointer"),
    [
        ({}, "input_missing", "/inputs"),
        ({"prompt": 5}, "invalid_type", "/inputs/prompt"),
        ({"prompt": "x", "steps": 31}, "out_of_range", "/inputs/steps"),
        ({"prompt": "x", "steps": 2.5}, "invalid_type", "/inputs/steps"),
        ({"prompt": "x", "steps": True}, "invalid_type", "/inputs/steps"),
        ({"prompt": "x", "cfg": "7"}, "invalid_type", "/inputs/cfg"),
        ({"prompt": "x", "sampler": "Euler"}, "not_in_list", "/inputs/sampler"),
        ({"prompt": "x", "tiled": 1}, "invalid_type", "/inputs/tiled"),
        ({"prompt": "x", "colour": "red"}, "unknown_input", "/inputs/colour"),
        ({"prompt": ["2", 0]}, "invalid_type", "/inputs/prompt"),
    ],
)
async def test_a_value_that_does_not_fit_is_refused_with_its_place(api: Api, inputs: Any, code: str, pointer: str):
    await publish(api)
    said = await api("POST", "/v1/workflows/cat/run", {"inputs": inputs})
    assert (said.status, said.body["code"], said.body["pointer"]) == (422, code, pointer)


@pytest.mark.parametrize(
    ("inputs", "pointer"),
    [
        ({"x": {"node": "9", "input": "text"}}, "/inputs/x/node"),
        ({"x": {"node": "1", "input": "nothing"}}, "/inputs/x/input"),
        ({"x": {"node": "1"}}, None),
        ({"a b": {"node": "1", "input": "text"}}, None),
    ],
)
async def test_an_input_that_leads_nowhere_is_not_published(api: Api, inputs: Any, pointer: str | None):
    said = await api("PUT", "/v1/workflows/cat", {"graph": GRAPH, "inputs": inputs})
    assert said.status == 422
    if pointer:
        assert said.body["pointer"] == pointer
    assert (await api("PUT", "/v1/workflows/a.b", {"graph": GRAPH})).body["code"] == "invalid_name"


async def test_a_published_workflow_is_described_with_its_own_types(api: Api):
    await publish(api)
    async with api.house.client.get("/openapi.json") as response:
        described = await response.json()
    body = described["paths"]["/v1/workflows/cat/run"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["properties"]["inputs"]["required"] == ["prompt"]
    assert body["properties"]["inputs"]["properties"]["steps"]["maximum"] == 30
