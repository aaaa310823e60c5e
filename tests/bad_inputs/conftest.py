"""One server for all bad inputs; what it logs in the end is part of the test."""

import re
import shutil
from collections.abc import Iterator

import pytest

from tests.end_to_end.conftest import PACKS, Server, start, wait_until_ready

# Nothing that was sent is a fault of ours; a node that is killed or fails is the worker's affair.
FAULT = re.compile(r"(ERROR|CRITICAL)\s+(server|storage|asyncio|aiohttp)")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    base = tmp_path_factory.mktemp("server")
    shutil.copytree(PACKS, base / "custom_nodes")
    # Nobody waits here as long as for a slow network.
    running = start(base, "--limit", "body_idle=0.5", "header_seconds=1", "disk_low=0")
    wait_until_ready(running.url)
    yield running
    log = (base / "server.log").read_text()
    assert running.stop() == 0, log[-3000:]
    ours = [line for line in log.splitlines() if FAULT.search(line)]
    assert not ours, ours[:10]
