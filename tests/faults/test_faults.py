"""Faults of processes, clients and the machine, each put right; in the end everything that was promised holds."""

import json
import os
import resource
import shutil
import signal
import socket
import sqlite3
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.faults import campaign
from tests.faults.campaign import Server
from tests.faults.invariants import Promised, ask, jobs_in, still_works, violations
from tests.faults.small_nodes import graph

Begin = Callable[..., Server]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Starts the server with small nodes on this test's folder; in the end all of it must be gone."""
    started: list[Server] = []

    def start(*arguments: str) -> Server:
        server = campaign.start(tmp_path, "", *arguments)
        assert server is not None, (tmp_path / "server.log").read_text()
        started.append(server)
        return server

    yield start
    for server in started:
        server.process.kill()
        server.process.wait()
        if server.process.stdout:
            server.process.stdout.close()
    assert not campaign.gone(tmp_path)


def submit(server: Server, text: str, *between: str, **more: Any) -> str:
    return ask(server.url, "/prompt", json.dumps({"prompt": graph(text, *between, **more)}).encode())["prompt_id"]


def until(true: Callable[[], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.01)
    return found


def running(server: Server) -> list[str]:
    return [row[1] for row in ask(server.url, "/queue")["queue_running"]]


def test_a_worker_killed_in_the_middle_costs_its_job_one_attempt(begin: Begin, tmp_path: Path):
    server = begin()
    id = submit(server, "slow", "Wait", seconds=0.5)
    until(lambda: running(server) == [id])
    worker = until(server.worker)
    worker.kill()
    killed = time.monotonic()
    until(lambda: ask(server.url, f"/history/{id}"))
    assert time.monotonic() - killed < 10  # on an idle machine about one second
    assert jobs_in(tmp_path)[id].state == "succeeded"
    log = (tmp_path / "server.log").read_text()
    assert log.count("ERROR") == 1, log  # one cause, said once
    assert "SIGKILL" in log
    promised = Promised({"me": {id: "slow"}})
    assert not violations(tmp_path, promised, server.url)


def test_a_job_that_kills_its_worker_each_time_is_parked(begin: Begin, tmp_path: Path):
    server = begin()
    ids = {submit(server, "deadly", "Die"): "deadly", submit(server, "harmless"): "harmless"}
    assert not list(still_works(tmp_path, server.url))
    assert [jobs_in(tmp_path)[id].state for id in ids] == ["crashed", "succeeded"]
    assert not violations(tmp_path, Promised({"me": ids}), server.url)


@pytest.mark.parametrize(
    ("signals", "code"), [([signal.SIGTERM], 0), ([signal.SIGINT], 0), ([signal.SIGINT, signal.SIGINT], 130)]
)
def test_every_way_to_stop_is_clean(begin: Begin, tmp_path: Path, signals: list[signal.Signals], code: int):
    server = begin()
    id = submit(server, "slow", "Wait", seconds=30)
    until(lambda: running(server) == [id])
    began = time.monotonic()
    for number in signals:
        server.process.send_signal(number)
        if len(signals) > 1:
            until(lambda: "stopping" in (tmp_path / "server.log").read_text())
    assert server.process.wait(20) == code
    assert time.monotonic() - began < (12 if code == 0 else 5)
    assert not campaign.gone(tmp_path)
    assert not violations(tmp_path, Promised({"me": {id: "slow"}}))
    assert begin().process.poll() is None
    assert jobs_in(tmp_path)[id].state in ("queued", "running")


def test_clients_that_hang_up_leave_nothing_behind(begin: Begin, tmp_path: Path):
    server = begin()
    address = urllib.parse.urlsplit(server.url)
    process = psutil.Process(server.process.pid)
    (tmp_path / "output" / "large.bin").write_bytes(bytes(20 * 2**20))
    body = json.dumps({"prompt": graph("gone")}).encode()
    post = f"POST /prompt HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    ask(server.url, "/health")
    files = process.num_fds()
    download = b"GET /view?filename=large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for sent in (b"", post[:20], post, post + body[:30], post + body, download):
        for _ in range(10):
            with socket.create_connection((address.hostname or "", address.port or 0)) as connection:
                connection.sendall(sent)
    until(lambda: process.num_fds() <= files + 3)
    assert not list(still_works(tmp_path, server.url))
    # The whole body came, so those jobs are there; whether the others' were read to their end, nobody can say.
    assert sum(job.state == "succeeded" for job in jobs_in(tmp_path).values()) >= 1
    (tmp_path / "output" / "large.bin").unlink()
    assert not violations(tmp_path, Promised(), server.url)


def test_a_thousand_clients_come_back_at_once(begin: Begin, tmp_path: Path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    server = begin()
    address = urllib.parse.urlsplit(server.url)
    opened = [socket.create_connection((address.hostname or "", address.port or 0), timeout=20) for _ in range(1000)]
    try:
        for connection in opened:
            connection.sendall(b"GET /prompt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        began = time.monotonic()
        answers = [connection.recv(15) for connection in opened]
        assert set(answers) == {b"HTTP/1.1 200 OK"}
        assert time.monotonic() - began < 10  # on an idle machine about half a second
    finally:
        for connection in opened:
            connection.close()
    assert not violations(tmp_path, Promised(), server.url)


def test_a_temporary_folder_that_was_cleaned_away_comes_back(begin: Begin, tmp_path: Path):
    server = begin()
    shutil.rmtree(tmp_path / "temp")
    shutil.rmtree(tmp_path / "output")
    assert not list(still_works(tmp_path, server.url))
    assert not violations(tmp_path, Promised(), server.url)


def test_a_clock_that_jumps_changes_nothing(begin: Begin, tmp_path: Path):
    """The times a server wrote lie in the future, or long ago, for the next one."""
    server = begin()
    ids = {submit(server, str(n), "Wait", seconds=0.3): str(n) for n in range(4)}
    until(lambda: running(server))
    server.process.kill()
    server.process.wait()
    assert not campaign.gone(tmp_path)
    with sqlite3.connect(tmp_path / "user" / "heddle" / "jobs.sqlite") as connection:
        connection.execute("UPDATE jobs SET submitted_at = submitted_at + 86400 * (arrival % 3 - 1)")
        connection.execute("UPDATE jobs SET beat_at = beat_at + 86400 WHERE beat_at IS NOT NULL")
    connection.close()
    doors = Path(tempfile.gettempdir())
    assert list(doors.glob(f"heddle-{server.process.pid}-*"))
    dead, server = server.process.pid, begin()
    until(lambda: not list(doors.glob(f"heddle-{dead}-*")))  # what the dead one left is swept away
    assert not list(still_works(tmp_path, server.url))
    assert {jobs_in(tmp_path)[id].state for id in ids} == {"succeeded"}
    assert not violations(tmp_path, Promised({"me": ids}), server.url)


def test_it_starts_without_a_home_and_in_the_plainest_locale(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("HOME", raising=False)
    for name in ("LANG", "LC_ALL"):
        monkeypatch.setenv(name, "C")
    server = begin()
    (tmp_path / "input" / os.fsdecode(b"odd-\xff.png")).write_bytes(b"x")
    (tmp_path / "input" / "ü🎨.png").write_bytes(b"x")
    assert "ü🎨.png" in ask(server.url, "/internal/files/input")
    ask(server.url, "/userdata/%C3%BC.json", b"{}")
    assert not list(still_works(tmp_path, server.url))
    assert not violations(tmp_path, Promised(), server.url)


def test_every_fault_has_a_test_or_a_reason():
    root = Path(__file__).parents[2]
    faults: dict[str, Any] = json.loads((Path(__file__).parent / "faults.json").read_text())
    assert set(faults) == {f"F{n}" for n in range(1, 41)} - {"F12", "F22", "F24", "F28"}
    for fault, places in faults.items():
        for place in [] if isinstance(places, str) else places:
            path, _, name = place.partition("::")
            assert name in (root / path).read_text(), f"{fault}: {place}"
