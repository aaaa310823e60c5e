"""A job whose worker died goes on from what had been done."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.end_to_end.conftest import Server, wait_until_ready


def test_the_second_attempt_begins_where_the_first_one_died(start_server: Callable[..., Server], tmp_path: Path):
    server = start_server("--cache-disk", "100M")
    wait_until_ready(server.url)
    folder = str(tmp_path / "user" / "heddle" / "results")
    graph: dict[str, Any] = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 16, "height": 16, "batch_size": 1, "color": 0}},
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "once"}},
        "4": {"class_type": "DieOnce", "inputs": {"image": ["2", 0], "folder": folder, "results": 2}},
    }
    with server.client() as client:
        kind = {"Content-Type": "application/json"}
        status, body = client.request("POST", "/v1/jobs?wait=60", {"graph": graph}, kind)
        assert status == 200, body
        job = json.loads(body)
        assert (job["state"], job["attempt"]) == ("succeeded", 2), job["error"]
        assert job["outputs"]["4"] == {"text": ["alive"]}
        saved = [file.name for file in (tmp_path / "output").glob("*.png")]
        assert saved == [file["name"] for file in job["files"]], "of the first attempt nothing is left"
        messages = dict(client.history(job["id"])["status"]["messages"])
        assert messages["execution_cached"]["nodes"] == ["1", "2"]
    assert server.stop() == 0
