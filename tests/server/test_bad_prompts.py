"""Bad requests to run something: refused with a reason, and nothing is the worse for it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.house import TWO_NODES, House, built

EMPTY = {"class_type": "EmptyImage", "inputs": {}}
SHOW = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with built(tmp_path, checked=True) as made:
        yield made


BAD: dict[str, Any] = {
    "prompt null": {"prompt": None},
    "prompt a list": {"prompt": []},
    "prompt a text": {"prompt": "x"},
    "no nodes": {"prompt": {}},
    "no outputs": {"prompt": {"1": EMPTY}},
    "node null": {"prompt": {"1": None, "2": SHOW}},
    "node a list": {"prompt": {"1": [], "2": SHOW}},
    "class a number": {"prompt": {"1": {"class_type": 5, "inputs": {}}}},
    "class a list": {"prompt": {"1": {"class_type": ["EmptyImage"], "inputs": {}}}},
    "class missing": {"prompt": {"1": {"inputs": {}}}},
    "class unknown": {"prompt": {"1": {"class_type": "__class__", "inputs": {}}, "2": SHOW}},
    "class of 10 KB": {"prompt": {"1": {"class_type": "x" * 10_000, "inputs": {}}}},
    "node off to the side without inputs": {"prompt": {**TWO_NODES, "9": {"class_type": "EmptyImage"}}},
    "inputs a list": {"prompt": {"1": {"class_type": "EmptyImage", "inputs": []}, "2": SHOW}},
    "empty id": {"prompt": {"": EMPTY, "2": SHOW}},
    "id of 10 KB": {"prompt": {"x" * 10_000: EMPTY, "2": SHOW}},
    "id with a NUL": {"prompt": {"\0": EMPTY, "2": SHOW}},
    "link to nothing": {"prompt": {"2": SHOW}},
    "link to itself": {"prompt": {"2": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}}}},
    "slot beyond": {"prompt": {"1": EMPTY, "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 5]}}}},
    "link of three": {"prompt": {"1": EMPTY, "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0, 1]}}}},
    "client id an object": {"prompt": TWO_NODES, "client_id": {"a": 1}},
    "client id of a megabyte": {"prompt": TWO_NODES, "client_id": "x" * 900_000},
    "client id inside": {"prompt": TWO_NODES, "extra_data": {"client_id": [1]}},
    "extra data a list": {"prompt": TWO_NODES, "extra_data": []},
    "number a word": {"prompt": TWO_NODES, "number": "x"},
    "number nan": {"prompt": TWO_NODES, "number": "nan"},
    "number infinite": {"prompt": TWO_NODES, "number": "1e999"},
    "number an object": {"prompt": TWO_NODES, "number": {}},
    "prompt id an object": {"prompt": TWO_NODES, "prompt_id": {}},
    "targets a text": {"prompt": TWO_NODES, "partial_execution_targets": "2"},
    "targets unknown": {"prompt": TWO_NODES, "partial_execution_targets": ["77"]},
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD.keys())
async def test_a_bad_prompt_is_refused_and_the_next_one_runs(house: House, body: dict[str, Any]):
    async with house.client.post("/prompt", json=body) as response:
        answer = await response.json()
        assert response.status == 400, answer
    assert answer["error"]["type"]
    assert answer["error"]["message"]
    assert isinstance(answer["node_errors"], dict)
    assert len(json.dumps(answer)) < 20_000
    entry = await house.history((await house.submit())["prompt_id"])
    assert entry["status"]["status_str"] == "success"


async def test_a_good_prompt_passes_the_same_door(house: House):
    ticket = await house.submit(client_id="me", prompt_id="mine", number="-2.5")
    assert ticket == {"prompt_id": "mine", "number": -2.5, "node_errors": {}}
    assert (await house.history("mine"))["prompt"][0] == -2.5
