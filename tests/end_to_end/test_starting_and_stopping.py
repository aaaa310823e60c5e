"""Starting and stopping the program, as a launcher or a person does."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from tests.end_to_end.conftest import ROOT, Server, wait_until_ready

SLEEP: dict[str, Any] = {"1": {"class_type": "Misbehave", "inputs": {"how": "sleep", "number": 0}}}


def test_the_quick_test_starts_everything_and_exits_with_zero(tmp_path: Path):
    command = [
        sys.executable,
        str(ROOT / "main.py"),
        "--quick-test-for-ci",
        "--port",
        "0",
        "--base-directory",
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr


def test_a_second_server_on_the_same_data_is_refused_with_the_owners_pid(start_server: Callable[..., Server]):
    first = start_server()
    command = [sys.executable, str(ROOT / "main.py"), "--port", "0", "--base-directory", str(first.base)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1
    assert f"in use by process {first.process.pid}" in second.stderr


def test_a_port_that_is_taken_is_said_in_one_line(start_server: Callable[..., Server], tmp_path: Path):
    first = start_server()
    port = first.url.rsplit(":", 1)[1]
    command = [sys.executable, str(ROOT / "main.py"), "--port", port, "--base-directory", str(tmp_path / "other")]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1
    assert "address already in use" in second.stderr
    assert "Traceback" not in second.stderr


def test_stopping_ends_every_process_and_puts_a_running_job_back(start_server: Callable[..., Server]):
    running = start_server()
    wait_until_ready(running.url)
    with running.client() as client:
        prompt_id = client.submit(SLEEP)
        client.until("executing", node="1")
    children = psutil.Process(running.process.pid).children(recursive=True)
    assert children
    began = time.monotonic()
    assert running.stop() == 0
    assert time.monotonic() - began < 12
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]

    again = start_server(base=running.base)
    with again.client() as client:
        queue = client.get("/queue")
        assert prompt_id in {item[1] for part in queue.values() for item in part}


def test_the_page_is_there_before_the_worker_is(start_server: Callable[..., Server]):
    with start_server().client() as client:
        status, page = client.request("GET", "/")
        assert status == 200
        assert b"<html" in page.lower()
        assert client.get("/queue") == {"queue_running": [], "queue_pending": []}
