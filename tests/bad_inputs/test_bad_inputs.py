"""Every case of bad input, against one running server: refused or handled as its file says, and the server is well."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.bad_inputs.trials import AGAINST_THE_SERVER, WITH_A_FOLDER, request
from tests.end_to_end.conftest import ROOT, Server

CASES = {path.stem: json.loads(path.read_text()) for path in sorted((Path(__file__).parent / "cases").glob("*.json"))}
TRIED = {name: case["try"] for name, case in CASES.items() if "try" in case}
NEVER_GIVEN = {18, 24, 30, 43, 52, 59, 67, 70, 85, 95}


@pytest.mark.parametrize("name", TRIED)
def test_bad_input(name: str, server: Server, tmp_path: Path):
    for trial in TRIED[name]:
        kind = next(iter(trial))
        if kind in AGAINST_THE_SERVER:
            AGAINST_THE_SERVER[kind](server, trial)
        else:
            WITH_A_FOLDER[kind](tmp_path, trial)
    assert request(server, "GET", "/health")[0] == 200


def test_after_all_of_them_a_job_runs(server: Server):
    with server.client() as client:
        assert client.request("POST", "/queue", {"clear": True})[0] == 200
        prompt_id, _ = client.run({"1": {"class_type": "Steps", "inputs": {"total": 1, "seconds": 0.0}}})
        assert client.history(prompt_id)["status"]["status_str"] == "success"


def test_every_case_has_a_file():
    numbers = {int(re.fullmatch(r"B(\d{3})_[a-z0-9_]+", name)[1]) for name in CASES}  # pyright: ignore[reportOptionalSubscript]
    assert numbers == set(range(1, 101)) - NEVER_GIVEN


@pytest.mark.parametrize("name", CASES)
def test_a_case_is_tried_or_says_where_or_why_not(name: str):
    case: dict[str, Any] = CASES[name]
    assert case["input"]
    assert {"try", "tested_by", "not_applicable"} & set(case)
    for place in case.get("tested_by", []):
        path, _, test = place.partition("::")
        assert test in (ROOT / path).read_text(), place
