"""The kill campaign: a server under load is killed again and again, and what it promised must hold each time.

    make kill-test N=100          python -m tests.faults.campaign 100 [SEED]

Half of the kills come at a random instant (the server, its worker, or both), half at a named point of the program, the
points of `doomed` in turn. All rounds share one folder. Each start checks what the rounds before were promised;
in the end everything is run to its end and checked once more.
"""

import contextlib
import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from tests.faults.doomed import SERVER, WORKER, points
from tests.faults.invariants import FINAL, Promised, ask, jobs_in, processes_of, still_works, violations
from tests.faults.small_nodes import graph

ROOT = Path(__file__).parents[2]
CLIENTS = 3
MOST_JOBS = 15  # of one client in one round: in the end all of them are run
JSON = "application/json"


@dataclass
class Round:
    """how: "server", "worker", "both", or a point with the number of times it is passed. instant: seconds of load
    before a kill at a random moment; of a point the longest that is waited for it."""

    number: int
    how: str
    instant: float


@dataclass
class Report:
    kills: dict[str, int] = field(default_factory=dict[str, int])
    starts: list[float] = field(default_factory=list[float])
    violations: list[str] = field(default_factory=list[str])
    jobs: int = 0

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {how}" for how, count in sorted(self.kills.items()))
        starts = sorted(self.starts)
        return (
            f"{sum(self.kills.values())} kills ({kinds}), {self.jobs} jobs acknowledged, "
            f"{len(self.violations)} violations; ready again after {starts[len(starts) // 2]:.2f} s in the middle, "
            f"{starts[-1]:.2f} s at most"
        )


@dataclass
class Server:
    process: subprocess.Popen[str]
    url: str

    def worker(self) -> psutil.Process | None:
        with contextlib.suppress(psutil.Error):
            return next(iter(psutil.Process(self.process.pid).children()), None)
        return None


def start(base: Path, die: str = "", *arguments: str) -> Server | None:
    """The server on this folder; None when it died before it had an address."""
    command = [sys.executable, "-m", "tests.faults.doomed", "--port", "0", "--base-directory", str(base)]
    with (base / "server.log").open("a") as log:
        process = subprocess.Popen(
            [*command, "--limit", "disk_low=0", *arguments],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "HEDDLE_TEST_DIE": die},
        )
    assert process.stdout
    for line in process.stdout:
        if found := re.search(r"http://\S+", line):
            return Server(process, found[0].rstrip("/"))
    process.wait()
    process.stdout.close()
    return None


class Load:
    """Clients that submit, cancel, upload and save as fast as they are answered, until the server is gone."""

    def __init__(self, url: str, promised: Promised, round: int):
        self._address = urlsplit(url).netloc
        self._promised, self._round = promised, round
        self._stop = threading.Event()
        self.refused: list[str] = []
        self._threads = [threading.Thread(target=self._client, args=(n,), daemon=True) for n in range(CLIENTS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _client(self, number: int) -> None:
        chance = random.Random(f"{self._round} {number}")
        mine = self._promised.acknowledged.setdefault(f"{self._round}.{number}", {})
        connection = http.client.HTTPConnection(self._address, timeout=20)
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
            for step in range(10_000):
                if self._stop.is_set():
                    return
                self._step(connection, chance, mine, f"{self._round}-{number}-{step}")

    def _step(self, connection: http.client.HTTPConnection, chance: random.Random, mine: dict[str, str], text: str):
        dice = chance.random()
        if dice < 0.70 and len(mine) < MOST_JOBS:
            odd = {0: ("Wait",), 1: ("Wait", "Wait"), 2: ("Fail",), 3: ("Wait",), 4: ("Die",)}
            between = odd.get(chance.randrange(60), ())
            answer = self._ask(connection, "POST", "/prompt", json.dumps({"prompt": graph(text, *between)}).encode())
            mine[answer["prompt_id"]] = text
        elif dice < 0.78 and mine:
            self._ask(connection, "POST", "/queue", json.dumps({"delete": [chance.choice(list(mine))]}).encode())
        elif dice < 0.82:
            self._ask(connection, "POST", "/interrupt", b"")
        elif dice < 0.91:
            name = f"workflow-{text.split('-')[1]}.json"  # a client's own, saved again and again
            data = json.dumps({"text": text}).encode() * 50
            allowed = self._promised.workflows.get(name)
            if allowed is not None:
                allowed.add(data)  # from here on it may be either, until the answer
            self._ask(connection, "POST", f"/userdata/{name}", data)
            self._promised.workflows[name] = {data}
        else:
            data = text.encode() * 500
            head = '--b\r\nContent-Disposition: form-data; name="image"; filename="upload.bin"\r\n\r\n'
            body = head.encode() + data + b"\r\n--b--\r\n"
            kind = "multipart/form-data; boundary=b"
            self._promised.uploads[self._ask(connection, "POST", "/upload/image", body, kind)["name"]] = data

    def _ask(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes,
        kind: str = JSON,
    ) -> Any:
        connection.request(method, path, body, {"Content-Type": kind})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            self.refused.append(f"{method} {path} was answered with {answer.status} {text[:200]!r}")
            raise http.client.HTTPException(self.refused[-1])
        return json.loads(text) if text else None


def rounds(count: int, seed: int) -> Iterator[Round]:
    chance = random.Random(seed)
    named = points(SERVER) + points(WORKER)
    chance.shuffle(named)
    for number in range(count):
        if number % 2:
            once = named[number // 2 % len(named)].partition(".")[0] in ("open", "migrate", "drain")
            passed = 1 if once else chance.randint(1, 12)
            yield Round(number, f"{named[number // 2 % len(named)]} {passed}", 1.0)
        else:
            yield Round(number, chance.choice(["server", "server", "worker", "both"]), chance.uniform(0.0, 0.7))


def campaign(base: Path, count: int, seed: int) -> Report:
    promised, report = Promised(), Report()
    know_the_nodes(base)
    for round in rounds(count, seed):
        die = round.how if "." in round.how else ""
        server = one_start(base, die, promised, report, round)
        if server is not None:
            with Load(server.url, promised, round.number) as load:
                end(server, round)
            report.violations += [f"round {round}: {refusal}" for refusal in load.refused]
        left = gone(base)
        report.violations += [f"round {round}: I8: process {process.pid} outlived its server" for process in left]
        for process in left:
            process.kill()
        kind = "at a named point" if die else f"of {round.how}" if round.how != "both" else "of server and worker"
        report.kills[kind] = report.kills.get(kind, 0) + 1
        for id, job in jobs_in(base).items():
            if job.state in FINAL:
                promised.ended.setdefault(id, job.state)
    server = one_start(base, "", promised, report, Round(count, "the last start", 0))
    if server is None:
        report.violations.append("the server does not start any more")
        return report
    report.violations += still_works(base, server.url, seconds=120)
    report.violations += violations(base, promised, server.url)
    server.process.send_signal(signal.SIGTERM)
    if server.process.wait(15) != 0:
        report.violations.append("the last stop was not clean")
    if server.process.stdout:
        server.process.stdout.close()
    report.violations += violations(base, promised)
    report.jobs = len(promised.texts())
    return report


def know_the_nodes(base: Path) -> None:
    """Start once until the worker has said which nodes there are; later servers know it from the disk."""
    server = start(base)
    assert server is not None, (base / "server.log").read_text()
    while not ask(server.url, "/object_info/Save"):
        time.sleep(0.02)
    end(server, Round(-1, "server", 0))
    gone(base)


def gone(base: Path, seconds: float = 5) -> list[psutil.Process]:
    """Wait until nothing of a killed server is left; what is left after that."""
    deadline = time.monotonic() + seconds
    while (left := processes_of(base)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def one_start(base: Path, die: str, promised: Promised, report: Report, round: Round) -> Server | None:
    """Start, look at how long it takes, and check what was promised before."""
    began = time.monotonic()
    server = start(base, die)
    if server is None:
        return None
    report.starts.append(time.monotonic() - began)
    with contextlib.suppress(OSError):  # it died at its point already
        report.violations += [f"round {round}: {found}" for found in violations(base, promised, server.url)]
    return server


def end(server: Server, round: Round) -> None:
    """Let it die at its point, or kill it."""
    point = round.how.rpartition(" ")[0] or round.how
    if point.startswith("drain"):
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
    elif "." not in point:
        time.sleep(round.instant)
    with contextlib.suppress(subprocess.TimeoutExpired):
        if "." in point:
            server.process.wait(round.instant)
    worker = server.worker()
    if worker is not None and point in ("worker", "both"):
        with contextlib.suppress(psutil.Error):
            worker.kill()
        if point == "worker":
            time.sleep(round.instant)  # the server goes on, with a new worker, and is killed later
    server.process.kill()
    server.process.wait()
    if server.process.stdout:
        server.process.stdout.close()


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        report = campaign(Path(folder), count, seed)
    print(f"seed {seed}, {time.monotonic() - began:.0f} s: {report}")
    print("\n".join(report.violations))
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
