"""Whether a server that runs thousands of jobs keeps anything of them: memory, files, threads, tasks.

    make soak                      python -m benchmarks.soak [JOBS]

5 % of the jobs fail, 2 % are cancelled, 1 % kill their worker, clients come and go. The server is the real one around
nodes without torch, so what grows is the server's own. 2,000 jobs are run to warm up, until the database's caches are
full, then so many are measured; 2,000 and 2,000 take about two and a half minutes.
"""

import json
import random
import re
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.faults.campaign import Server, know_the_nodes, start
from tests.faults.invariants import Promised, ask, jobs_in, still_works, violations
from tests.faults.small_nodes import graph

AT_ONCE = 50
WARM_UP = 2000


@dataclass
class Sample:
    jobs: int
    rss: float  # MiB
    files: int
    threads: int
    tasks: int


def sample(server: Server, base: Path, jobs: int) -> Sample:
    """After everything that runs has ended, and its connections with it."""
    process = psutil.Process(server.process.pid)
    before = len(told(base))
    server.process.send_signal(signal.SIGUSR1)
    while len(found := told(base)) <= before:
        time.sleep(0.02)
    return Sample(jobs, process.memory_info().rss / 2**20, process.num_fds(), process.num_threads(), found[-1])


def told(base: Path) -> list[int]:
    """How many tasks the server had each time it was asked."""
    return [
        int(n) for n in re.findall(r"^tasks (\d+)", (base / "server.log").read_text(errors="replace"), re.MULTILINE)
    ]


def batch(server: Server, chance: random.Random, begin: int) -> dict[str, str]:
    """Submit some jobs, cancel a few of them, and wait until none is left."""
    ids: dict[str, str] = {}
    for number in range(begin, begin + AT_ONCE):
        dice = chance.random()
        between = ("Die",) if dice < 0.01 else ("Fail",) if dice < 0.06 else ("Wait",) if dice < 0.1 else ()
        body = json.dumps({"prompt": graph(f"soak {number}", *between)}).encode()
        ids[ask(server.url, "/prompt", body)["prompt_id"]] = f"soak {number}"
        if chance.random() < 0.02:
            ask(server.url, "/queue", json.dumps({"delete": [chance.choice(list(ids))]}).encode())
    while ask(server.url, "/prompt")["exec_info"]["queue_remaining"]:
        time.sleep(0.02)
    return ids


def slope(late: list[Sample]) -> float:
    """MiB per 1,000 jobs, by least squares."""
    mean_x, mean_y = sum(s.jobs for s in late) / len(late), sum(s.rss for s in late) / len(late)
    spread = sum((s.jobs - mean_x) ** 2 for s in late)
    return 1000 * sum((s.jobs - mean_x) * (s.rss - mean_y) for s in late) / spread


def main() -> int:
    count = WARM_UP + (int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
    chance, promised = random.Random(7), Promised({"soak": {}})
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        know_the_nodes(base)
        server = start(base)
        assert server is not None
        samples: list[Sample] = []
        print("| jobs | RSS MiB | files | threads | tasks |\n|---:|---:|---:|---:|---:|")
        for done in range(0, count, AT_ONCE):
            promised.acknowledged["soak"].update(batch(server, chance, done))
            samples.append(sample(server, base, done + AT_ONCE))
            if len(samples) % max(1, count // AT_ONCE // 10) == 0:
                s = samples[-1]
                print(f"| {s.jobs:,} | {s.rss:.1f} | {s.files} | {s.threads} | {s.tasks} |", flush=True)
        found = [*still_works(base, server.url), *violations(base, promised, server.url)]
        states = sorted(job.state for job in jobs_in(base).values())
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(20)
        if server.process.stdout:
            server.process.stdout.close()
    late = [s for s in samples if s.jobs > WARM_UP]
    print(f"\n{', '.join(f'{states.count(state)} {state}' for state in dict.fromkeys(states))}")
    print(f"RSS {slope(late):+.2f} MiB per 1,000 jobs (target < 0.5)")
    for what in ("files", "threads", "tasks"):
        values = [getattr(s, what) for s in late]
        print(f"{what}: {min(values)} to {max(values)} (target: constant, ± 5)")
    print("\n".join(found) or "0 violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
