"""A real server in a process of its own, on a free port, with an empty base directory."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.end_to_end.client import Client

ROOT = Path(__file__).parents[2]
PACKS = Path(__file__).parent / "packs"
STAND_INS = ROOT / "tests" / "compat" / "stand_ins"


@dataclass
class Server:
    """A running `python main.py`."""

    process: subprocess.Popen[str]
    url: str
    base: Path

    def client(self, client_id: str | None = None) -> Client:
        return Client(self.url, client_id)

    def stop(self) -> int:
        """Ask it to end as a person does with Ctrl-C; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(15)
        finally:
            self.process.kill()
            self.process.wait()
            if self.process.stdout:
                self.process.stdout.close()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


def start(base: Path, *arguments: str) -> Server:
    """Start a server; returns when it has printed its address and answers."""
    log = (base / "server.log").open("a")
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "main.py"), "--port", "0", "--base-directory", str(base), "--cpu", *arguments],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    log.close()
    assert process.stdout
    for line in process.stdout:
        if found := re.search(r"http://\S+", line):
            return Server(process, found[0].rstrip("/"), base)
    raise AssertionError(f"the server ended with {process.wait()}: {(base / 'server.log').read_text()[-3000:]}")


def wait_until_ready(url: str, seconds: float = 60) -> None:
    """Until the worker has told which nodes there are."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"{url}/object_info/EmptyImage", timeout=seconds) as answer:
            if answer.read() != b"{}":
                return
        time.sleep(0.1)  # another process is starting; there is nothing else to wait on
    raise AssertionError("the worker did not become ready")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    base = tmp_path_factory.mktemp("server")
    for packs in (PACKS, STAND_INS):
        shutil.copytree(packs, base / "custom_nodes", dirs_exist_ok=True)
    running = start(base)
    wait_until_ready(running.url)
    yield running
    assert running.stop() == 0, (base / "server.log").read_text()[-3000:]


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with server.client() as connected:
        connected.until("status")
        yield connected


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start further servers; all are gone when the test ends."""
    started: list[Server] = []

    def begin(*arguments: str, base: Path = tmp_path) -> Server:
        base.mkdir(parents=True, exist_ok=True)
        if not (base / "custom_nodes").exists():
            shutil.copytree(PACKS, base / "custom_nodes")
        started.append(start(base, *arguments))
        return started[-1]

    yield begin
    for running in started:
        running.kill()
