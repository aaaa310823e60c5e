"""What a server promised is kept by the next one, whatever moment the first one was killed at."""

import asyncio
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

from execution.dispatch import Dispatch
from execution.events import Filed
from execution.queue import Queue
from execution.workers.thread import ThreadWorker
from storage.database import Database
from storage.jobs import Jobs
from tests.execution.workers.engines import Misbehaving
from tests.jobs.conftest import Told

ROOT = Path(__file__).parents[2]
KILLS = 8
FINAL = ("succeeded", "failed", "interrupted", "crashed", "cancelled")


def run_and_kill(path: Path, round: int, lines: int) -> tuple[set[str], set[str]]:
    """Kill a server with SIGKILL after it has said so many lines. Returns what it acknowledged and what it ended."""
    command = [sys.executable, "-m", "tests.jobs.server_to_kill", str(path), str(round)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        assert server.stdout is not None
        said = [server.stdout.readline() for _ in range(lines)]
        server.kill()
        said += server.stdout.readlines()
    words = [line.split() for line in said if line.endswith("\n")]
    return {id for word, id in words if word == "ack"}, {id for word, id in words if word == "end"}


def states(path: Path) -> dict[str, tuple[str, str | None]]:
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    found = {id: (state, status) for id, state, status in connection.execute("SELECT id, state, status FROM jobs")}
    connection.close()
    return found


async def test_nothing_acknowledged_is_lost_however_often_the_server_is_killed(tmp_path: Path):
    chance = random.Random(20240607)
    path = tmp_path / "heddle.db"
    acknowledged: set[str] = set()
    for round in range(KILLS):
        acks, ends = await asyncio.to_thread(run_and_kill, path, round, chance.randint(1, 60))
        acknowledged |= acks
        known = states(path)
        assert acknowledged <= known.keys()
        assert all(known[id][0] == "succeeded" and known[id][1] for id in ends)
        assert sum(state == "running" for state, _ in known.values()) <= 1

    database, told = Database(path), Told()
    database.open()
    jobs = Jobs(database)
    queue = Queue(jobs, told, attempts=3)
    await queue.open()
    expected = [waiting.id for waiting in await queue.pending()]
    dispatch = Dispatch(queue, [ThreadWorker(Misbehaving)], told)
    await dispatch.start()
    await told.until(lambda: queue.remaining == 0)
    assert [event.prompt_id for event in told.of(Filed)] == expected
    await dispatch.close()
    database.close()
    known = states(path)
    assert acknowledged <= known.keys()
    assert all(state in FINAL and status for state, status in known.values())
