"""What a client feels: start, answers while a node holds the interpreter, cancelling, large graphs over HTTP.

    python benchmarks/server.py

Starts real servers on free ports, with the test pack of misbehaving nodes, and prints a table.
"""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.end_to_end.client import Client  # noqa: E402
from tests.end_to_end.conftest import PACKS, Server, start, wait_until_ready  # noqa: E402


@contextmanager
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        # Only nodes that hang: a pack that wants to see every prompt makes each of them a question to the worker.
        shutil.copytree(PACKS / "misbehaving", base / "custom_nodes" / "misbehaving")
        running = start(base)
        try:
            wait_until_ready(running.url)
            yield running
        finally:
            running.kill()


def row(what: str, value: str, target: str) -> None:
    print(f"| {what} | {value} | {target} |", flush=True)


def start_to_first_answer() -> None:
    """Seconds from starting the process to a 200 for the page and for the queue."""
    times: list[float] = []
    ready: list[float] = []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            running = start(Path(folder))
            with urllib.request.urlopen(f"{running.url}/queue", timeout=10) as answer:
                answer.read()
            times.append(time.perf_counter() - began)
            wait_until_ready(running.url)
            ready.append(time.perf_counter() - began)
            running.kill()
    row("start to first HTTP answer, median of 3", f"{statistics.median(times):.2f} s", "≤ 1 s")
    row("start to worker ready (nodes known), median of 3", f"{statistics.median(ready):.2f} s", "–")


def latency(running: Server, how: str) -> None:
    """Milliseconds of small requests while a node keeps its process busy."""
    with running.client() as client:
        prompt_id = client.submit({"1": {"class_type": "Misbehave", "inputs": {"how": how, "number": 1}}})
        client.until("executing", node="1")
        times: list[float] = []
        for i in range(300):
            path = ("/queue", "/history?max_items=10", "/prompt", "/system_stats", "/object_info/LoadImage")[i % 5]
            began = time.perf_counter()
            client.request("GET", path)
            times.append(1000 * (time.perf_counter() - began))
        times.sort()
        row(f"HTTP p50 / p99 while a node does `{how}`", f"{times[149]:.1f} / {times[296]:.1f} ms", "p99 ≤ 100 ms")
        began = time.perf_counter()
        client.request("POST", "/interrupt", {"prompt_id": prompt_id})
        client.until("executing", node=None, prompt_id=prompt_id)
        cancelled = time.perf_counter() - began
        client.run({"1": {"class_type": "Steps", "inputs": {"total": 1, "seconds": 0.0}}})
        after = time.perf_counter() - began
        row(f"cancel of `{how}`; until the next job is done", f"{cancelled:.2f} s; {after:.2f} s", "≤ 6 s; –")


def chain(count: int) -> dict[str, Any]:
    """PrimitiveString → StringConcatenate → … → PreviewAny: a chain of `count` nodes."""
    graph: dict[str, Any] = {"0": {"class_type": "PrimitiveString", "inputs": {"value": "a"}}}
    for i in range(1, count - 1):
        inputs = {"string_a": "", "string_b": [str(i - 1), 0], "delimiter": ""}
        graph[str(i)] = {"class_type": "StringConcatenate", "inputs": inputs}
    graph["out"] = {"class_type": "PreviewAny", "inputs": {"source": [str(count - 2), 0]}}
    return graph


def pairs(count: int) -> dict[str, Any]:
    graph: dict[str, Any] = {}
    for i in range(count):
        graph[f"a{i}"] = {"class_type": "PrimitiveInt", "inputs": {"value": i}}
        graph[f"b{i}"] = {"class_type": "PreviewAny", "inputs": {"source": [f"a{i}", 0]}}
    return graph


def listened(client: Client, graph: dict[str, Any]) -> tuple[float, float]:
    """Seconds to the answer of the submit, and to the last message of the job; this client hears all of them."""
    began = time.perf_counter()
    prompt_id = client.submit(graph)
    answered = time.perf_counter() - began
    client.until("executing", 600, node=None, prompt_id=prompt_id)
    return answered, time.perf_counter() - began


def polled(client: Client, graph: dict[str, Any]) -> tuple[float, float]:
    """The same for a job of no client, whose end is seen in the length of the queue."""
    began = time.perf_counter()
    status, answer = client.post("/prompt", {"prompt": graph})
    assert status == 200, answer
    answered = time.perf_counter() - began
    while client.get("/prompt")["exec_info"]["queue_remaining"]:
        time.sleep(0.01)
    return answered, time.perf_counter() - began


def graphs(running: Server, url: str) -> None:
    for name, make, targets in (
        ("1,000-node chain", lambda: chain(1000), ("–", "–")),
        ("10,000-node chain", lambda: chain(10_000), ("≤ 2 s", "≤ 0.3 s")),
        ("10,000 independent pairs", lambda: pairs(10_000), ("≤ 2 s", "–")),
        ("50,000-node chain", lambda: chain(50_000), ("works", "–")),
    ):
        for way in (polled, listened):
            # Another place in the graph's key, so that the second way finds nothing of the first in the cache.
            graph = make()
            for node in graph.values():
                node["inputs"]["_"] = way.__name__
            with running.client() if way is listened else Client(url, "") as client:
                for run, target in zip(("first", "cached"), targets, strict=True):
                    submit, total = way(client, graph)
                    row(f"{name}, {run}, {way.__name__}: submit / done", f"{submit:.2f} / {total:.2f} s", target)


def memory(running: Server) -> None:
    process = psutil.Process(running.process.pid)
    row("server RSS after all of this", f"{process.memory_info().rss / 2**20:.0f} MB", "≤ 150 MB")
    workers = [child.memory_info().rss / 2**20 for child in process.children(recursive=True)]
    row("worker RSS", ", ".join(f"{size:.0f} MB" for size in workers), "–")


def main() -> None:
    versions = subprocess.run([sys.executable, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"{versions}, {psutil.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GB\n")
    print("| what | measured | target |\n|---|---|---|")
    start_to_first_answer()
    with server() as running:
        process = psutil.Process(running.process.pid)
        row("server RSS at rest", f"{process.memory_info().rss / 2**20:.0f} MB", "≤ 150 MB")
        for how in ("spin", "hold the lock"):
            latency(running, how)
        graphs(running, running.url)
        memory(running)


if __name__ == "__main__":
    main()
