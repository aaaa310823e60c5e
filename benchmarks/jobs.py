"""What queue and history cost when they are full, on a real database.

    python -m benchmarks.jobs [--jobs N] [--seconds S]

N jobs that wait and N that have ended, each a graph of 15 nodes (3 KB). Then every question a client asks, a hundred
times each, and S seconds of 200 submits a second, each with a key of its own. Prints medians and 99th percentiles in
milliseconds, as one who awaits the answer measures them.
"""

import argparse
import asyncio
import random
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from execution.job import Job
from execution.queue import Queue, Submission
from storage.database import Database
from storage.job_list import JobList, Wanted
from storage.jobs import Jobs

WORDS = ["castle", "river", "dragon", "portrait", "neon", "forest", "sunset", "robot", "glass", "mountain"]
AT_ONCE = 500


def graph(seed: int) -> dict[str, Any]:
    chance = random.Random(seed)
    inputs = {
        "seed": seed * 7919,
        "steps": 20,
        "cfg": 7.0,
        "sampler_name": "euler",
        "model": ["1", 0],
        "text": " ".join(chance.choices(WORDS, k=20)),
    }
    return {str(n): {"class_type": "KSampler", "inputs": inputs} for n in range(15)}


async def measure(name: str, ask: Callable[[int], Awaitable[object]], count: int = 100) -> None:
    taken: list[float] = []
    for n in range(count):
        begun = time.perf_counter()
        await ask(n)
        taken.append(time.perf_counter() - begun)
    report(name, taken)


def report(name: str, taken: list[float]) -> None:
    taken = sorted(taken)
    print(f"| {name} | {taken[len(taken) // 2] * 1e3:.1f} | {taken[int(len(taken) * 0.99)] * 1e3:.1f} |", flush=True)


async def fill(queue: Queue, database: Database, count: int) -> None:
    for start in range(0, 2 * count, AT_ONCE):
        jobs = [Job(f"j{n}", n, graph(n), ("1",), {}) for n in range(start, start + AT_ONCE)]
        await queue.put_all(jobs, Submission())

    def end(db: sqlite3.Connection) -> None:
        ended = "shown = 1, filed = arrival, started_at = 1, ended_at = 2, outputs = '{}', status = '{}', meta = '{}'"
        db.execute(f"UPDATE jobs SET state = 'succeeded', {ended} WHERE arrival <= ?", (count,))
        db.execute("UPDATE jobs SET state = 'failed' WHERE arrival <= ? AND arrival % 100 = 0", (count,))

    await database.write(end)


async def submits(queue: Queue, seconds: float, rate: float = 200) -> list[float]:
    taken: list[float] = []

    async def submit(n: int) -> None:
        begun = time.perf_counter()
        await queue.put_all([Job(f"s{n}", n, graph(n), ("1",), {})], Submission(key=f"k{n}"))
        taken.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for n in range(int(seconds * rate)):
            group.create_task(submit(n))
            await asyncio.sleep(max(0.0, begun + (n + 1) / rate - time.perf_counter()))
    return taken


async def main(folder: Path, count: int, seconds: float) -> None:
    database = Database(folder / "jobs.sqlite")
    database.open()
    jobs, listed = Jobs(database, keep=10**7), JobList(database)
    queue = Queue(jobs, lambda _: None, most=10**7)
    await queue.open()
    begun = time.perf_counter()
    await fill(queue, database, count)
    size = (folder / "jobs.sqlite").stat().st_size / 2**20
    print(f"{count:,} waiting and {count:,} ended, taken in in {time.perf_counter() - begun:.0f} s, {size:.0f} MiB\n")
    print("| what | p50 ms | p99 ms |\n|---|---:|---:|")
    some = random.Random(0).randrange
    await measure("newest page of 50", lambda _: listed.page(Wanted(), 50))
    await measure("a page in the middle", lambda n: listed.page(Wanted(before=count + n), 50))
    await measure("failed jobs", lambda _: listed.page(Wanted(states=["failed"]), 50))
    await measure("search: a common word", lambda _: listed.page(Wanted(words="castle"), 50))
    await measure("search: three words", lambda _: listed.page(Wanted(words="castle river drag"), 50))
    await measure("search: a seed", lambda _: listed.page(Wanted(words=str(some(count) * 7919)), 50))
    await measure("search: a common word, failed", lambda _: listed.page(Wanted(words="castle", states=["failed"]), 50))
    await measure("search: nothing found", lambda _: listed.page(Wanted(words="castle xyzzy"), 50))
    await measure("position", lambda _: queue.position(f"j{some(count, 2 * count)}"))
    await measure("one job", lambda _: listed.one(f"j{some(2 * count)}"))
    await measure("how many in each state", lambda _: listed.counts())
    await measure("cancel one", lambda n: queue.delete([f"j{2 * count - 1 - n}"]))
    await measure("move to the front", lambda n: queue.move_to_front(f"j{2 * count - 200 - n}"))
    await measure("move before another", lambda n: queue.move_before(f"j{2 * count - 400 - n}", f"j{count + 300 + n}"))
    await measure("claim", lambda _: jobs.claim("w", 1.0))
    report(f"submit, 200 a second for {seconds:g} s", await submits(queue, seconds))
    database.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=60)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        asyncio.run(main(Path(made), given.jobs, given.seconds))
