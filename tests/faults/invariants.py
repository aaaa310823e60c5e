"""What must hold after whatever happened: the promises I1 to I10, checked on a folder and the server that runs on it.

python -m tests.faults.invariants BASE_DIRECTORY      looks at the data alone, with no server running
"""

import json
import re
import sqlite3
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.faults.small_nodes import content, graph

FINAL = ("succeeded", "failed", "interrupted", "crashed", "cancelled")
SLOW = 1.0  # seconds in which /health must answer


@dataclass
class Promised:
    """What a server has said to its clients. acknowledged: job id → its text, in the order of the answers, client by
    client. ended: job id → the final state somebody has seen. workflows: name → the bytes that may be there: the last
    acknowledged ones, and those whose answer never came. uploads: name it got → its bytes."""

    acknowledged: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    ended: dict[str, str] = field(default_factory=dict[str, str])
    workflows: dict[str, set[bytes]] = field(default_factory=dict[str, set[bytes]])
    uploads: dict[str, bytes] = field(default_factory=dict[str, bytes])

    def texts(self) -> dict[str, str]:
        return {id: text for jobs in self.acknowledged.values() for id, text in jobs.items()}


@dataclass
class Job:
    state: str
    number: float
    arrival: int
    ended_at: float | None
    outputs: dict[str, Any]
    status: dict[str, Any]


def jobs_in(base: Path) -> dict[str, Job]:
    query = "SELECT id, state, number, arrival, ended_at, outputs, status FROM jobs"
    with sqlite3.connect(f"file:{database(base)}?mode=ro", uri=True, timeout=10) as connection:
        rows = connection.execute(query).fetchall()
    connection.close()
    return {
        id: Job(state, number, arrival, ended_at, json.loads(outputs or "{}"), json.loads(status or "{}"))
        for id, state, number, arrival, ended_at, outputs, status in rows
    }


def database(base: Path) -> Path:
    return base / "user" / "heddle" / "jobs.sqlite"


def violations(base: Path, promised: Promised, url: str | None = None) -> list[str]:
    """Everything that does not hold, in words. url: of the server that runs on this folder; None when none does."""
    return [*_of_the_data(base, promised), *(_of_the_server(base, promised, url) if url else _of_no_server(base))]


def _of_the_data(base: Path, promised: Promised) -> Iterator[str]:
    with sqlite3.connect(database(base), timeout=10) as connection:
        found = connection.execute("PRAGMA integrity_check").fetchone()[0]
    connection.close()
    if found != "ok":
        yield f"I7: the database is damaged: {found}"
    jobs, texts = jobs_in(base), promised.texts()
    for id in texts:
        if id not in jobs:
            yield f"I1: job {id} was acknowledged and is gone"
    for id, job in jobs.items():
        if (job.state in FINAL) != (job.ended_at is not None):
            yield f"I2: job {id} is {job.state} and its end is {job.ended_at}"
        if job.state in ("succeeded", "failed", "crashed") and not job.status.get("messages"):
            yield f"I2: job {id} is {job.state} without a reason"
        if job.state == "succeeded" and not job.outputs:
            yield f"I2: job {id} succeeded and shows nothing"
    for id, state in promised.ended.items():
        if id in jobs and jobs[id].state != state:
            yield f"I2: job {id} was {state} and is {jobs[id].state}"
    if (running := sum(job.state == "running" for job in jobs.values())) > 1:
        yield f"I3: {running} jobs run and there is one worker"
    yield from _of_the_files(base, promised, jobs, texts)
    for client, mine in promised.acknowledged.items():
        arrivals = [jobs[id].arrival for id in mine if id in jobs]
        if arrivals != sorted(arrivals):
            yield f"I6: jobs of client {client} are not in the order of their answers"


def _of_the_files(base: Path, promised: Promised, jobs: dict[str, Job], texts: dict[str, str]) -> Iterator[str]:
    wanted: dict[str, str] = {}
    for id, job in jobs.items():
        for shown in job.outputs.values():
            for image in shown.get("images", []):
                if (name := image["filename"]) in wanted:
                    yield f"I4: {name} is the result of two jobs"
                wanted[name] = image["text"]
                if id in texts and image["text"] != texts[id]:
                    yield f"I4: job {id} shows the result of another"
    for name, text in wanted.items():
        path = base / "output" / name
        if not path.is_file():
            yield f"I4: {name} is listed and is not there"
        elif path.read_bytes() != content(text):
            yield f"I4: {name} does not hold what was written"
    for path in (base / "output").glob("[!.]*"):
        if path.stat().st_size != len(content("")):
            yield f"I5: {path.name} is half a file in a visible folder"
    for name, data in promised.uploads.items():
        path = base / "input" / name
        if not path.is_file() or path.read_bytes() != data:
            yield f"I4: upload {name} was acknowledged and is not what was sent"
    for name, allowed in promised.workflows.items():
        path = base / "user" / "default" / name
        if not path.is_file() or path.read_bytes() not in allowed:
            yield f"I4: workflow {name} is not what was saved last"


def _of_no_server(base: Path) -> Iterator[str]:
    if left := processes_of(base):
        yield f"I8: without a server {len(left)} processes are left: {[process.pid for process in left]}"


def processes_of(base: Path) -> list[psutil.Process]:
    """Servers and workers that run on this folder."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if str(base) in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def _of_the_server(base: Path, promised: Promised, url: str) -> Iterator[str]:
    began = time.monotonic()
    try:
        ask(url, "/health")
    except (OSError, ValueError) as error:
        yield f"I9: the server is not well: {error}"
        return
    if (took := time.monotonic() - began) > SLOW:
        yield f"I9: /health took {took:.1f} s"
    for id in list(promised.texts())[-10:]:
        try:
            ask(url, f"/v1/jobs/{urllib.parse.quote(id, safe='')}")
        except urllib.error.HTTPError as error:
            with error:
                yield f"I1: the server says {error.code} of job {id}, which it acknowledged"
    shown = [row[1] for row in ask(url, "/queue")["queue_pending"]]
    waiting = {id: job for id, job in jobs_in(base).items() if job.state == "queued"}
    expected = sorted(waiting, key=lambda id: (waiting[id].number, waiting[id].arrival))
    order = [id for id in shown if id in waiting]
    if order != [id for id in expected if id in set(order)]:
        yield "I6: the queue is shown in another order than it is served"
    if len(processes_of(base)) > 2:
        yield f"I8: {len(processes_of(base))} processes run, a server and a worker are expected"
    if traces := re.findall(r"Traceback", (base / "server.log").read_text(errors="replace")):
        yield f"I10: the log holds {len(traces)} traces"


def still_works(base: Path, url: str, seconds: float = 60) -> Iterator[str]:
    """I9: a new job is taken in and succeeds; everything that waits is done before."""
    body = json.dumps({"prompt": graph("the last one")}).encode()
    id = ask(url, "/prompt", body)["prompt_id"]
    deadline = time.monotonic() + seconds
    while not (entry := ask(url, f"/history/{id}")):
        if time.monotonic() > deadline:
            yield f"I9: a new job was not done within {seconds:g} s"
            return
        time.sleep(0.02)
    if entry[id]["status"]["status_str"] != "success":
        yield f"I9: a new job failed: {entry[id]['status']}"
    for name, job in jobs_in(base).items():
        if job.state not in FINAL:
            yield f"I3: job {name} is still {job.state} when nothing is left to do"


def ask(url: str, path: str, body: bytes | None = None) -> Any:
    with urllib.request.urlopen(urllib.request.Request(url + path, data=body), timeout=20) as answer:
        text = answer.read()
        return json.loads(text) if text else None


def main() -> int:
    found = violations(Path(sys.argv[1]).resolve(), Promised())
    print("\n".join(found) or "everything holds")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
