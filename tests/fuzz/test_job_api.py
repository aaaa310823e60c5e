"""Schemathesis asks the job API whatever its description allows and whatever it does not."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import campaign
from tests.faults.invariants import Promised, ask, still_works, violations

EXAMPLES = 15  # of each operation and each kind of data


@pytest.fixture
def server(tmp_path: Path) -> Iterator[campaign.Server]:
    campaign.know_the_nodes(tmp_path)
    running = campaign.start(tmp_path)
    assert running is not None
    yield running
    running.process.kill()
    running.process.wait()
    if running.process.stdout:
        running.process.stdout.close()


def test_the_job_api_keeps_to_its_description(server: campaign.Server, tmp_path: Path):
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{server.url}/openapi.json", "--no-color"),
        *("--phases", "coverage,fuzzing", "--max-examples", str(EXAMPLES), "--generation-deterministic"),
        # What a graph must be is more than a schema can say: data that fit the schema may be refused in words.
        *("--exclude-checks", "positive_data_acceptance", "--continue-on-failure", "--warnings", "off"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-6000:]
    ask(server.url, "/v1/queue/resume", b"")
    assert not list(still_works(tmp_path, server.url))
    assert not violations(tmp_path, Promised(), server.url)
