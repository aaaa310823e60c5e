"""How a server bears load: many submits, a long queue, many sockets, slow and returning clients.

    python -m benchmarks.load [--quick] [submits queue sockets slow return]

Starts real servers on free ports and prints a table. At full size it takes about four minutes, with --quick one.
"""

import argparse
import asyncio
import json
import multiprocessing
import resource
import selectors
import shutil
import socket
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import aiohttp
import psutil

from benchmarks.server import chain, row
from execution.job import Job
from execution.queue import Queue
from storage.database import Database
from storage.jobs import Jobs
from tests.end_to_end.conftest import PACKS, Server, start, wait_until_ready

SMALL = {
    "1": {"class_type": "PrimitiveString", "inputs": {"value": "a"}},
    "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
}


@contextmanager
def server(*arguments: str, base: Path | None = None) -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        base = base or Path(folder)
        shutil.copytree(PACKS, base / "custom_nodes")
        running = start(base, *arguments, "--limit", "disk_low=0", *("connections=4000",))
        try:
            wait_until_ready(running.url)
            yield running
        finally:
            running.kill()


def rss(running: Server) -> float:
    return psutil.Process(running.process.pid).memory_info().rss / 2**20


def percentile(times: list[float], share: float) -> float:
    """Milliseconds."""
    return 1000 * sorted(times)[min(len(times) - 1, int(len(times) * share))]


def shown(times: list[float]) -> str:
    return f"{percentile(times, 0.5):.1f} / {percentile(times, 0.99):.1f} ms"


@asynccontextmanager
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as opened:
        yield opened


async def timed(work: Awaitable[Any]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


async def get(client: aiohttp.ClientSession, url: str) -> bytes:
    async with client.get(url) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.read()


async def submits(seconds: float, rate: int) -> None:
    """An open loop: each submit has its moment, whether those before it were answered or not."""
    with server() as running:
        before = rss(running)
        known: set[str] = set()
        times: list[float] = []
        async with session() as client:

            async def submit(at: float) -> None:
                async with client.post(f"{running.url}/prompt", json={"prompt": SMALL}) as answer:
                    known.add((await answer.json())["prompt_id"])
                times.append(time.perf_counter() - at)

            async with asyncio.TaskGroup() as group:
                began = time.perf_counter()
                for number in range(int(seconds * rate)):
                    at = began + number / rate
                    await asyncio.sleep(max(0.0, at - time.perf_counter()))
                    group.create_task(submit(at))
        with sqlite3.connect(running.base / "user" / "heddle" / "jobs.sqlite") as connection:
            kept = {id for (id,) in connection.execute("SELECT id FROM jobs")}
        connection.close()
        row(f"{rate} submits/s for {seconds:g} s: p50 / p99", shown(times), "p99 < 50 ms")
        row("of these lost", f"{len(known - kept)} of {len(known)}", "0")
        row("server RSS", f"{before:.0f} → {rss(running):.0f} MiB", "+≤ 150 MiB")


async def long_queue(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        await fill(base / "user" / "heddle" / "jobs.sqlite", count)
        with server("--on-start", "paused", base=base) as running:
            async with session() as client:
                url = running.url
                ways: dict[str, Callable[[int], Awaitable[Any]]] = {
                    "first page of 50": lambda _: get(client, f"{url}/v1/jobs?state=queued&limit=50"),
                    "position of one": lambda n: get(client, f"{url}/v1/jobs/job-{n * 7919 % count}"),
                    "length": lambda _: get(client, f"{url}/prompt"),
                    "cancel one": lambda n: cancel(client, f"{url}/v1/jobs/job-{n * 104729 % count}"),
                    "submit one": lambda _: post(client, f"{url}/prompt", {"prompt": SMALL, "number": 5.0}),
                }
                for name, way in ways.items():
                    times = [await timed(way(n)) for n in range(200)]
                    row(f"{count:,} queued jobs, {name}: p50 / p99", shown(times), "p99 < 50 ms")
            row("server RSS", f"{rss(running):.0f} MiB", "–")


async def fill(path: Path, count: int) -> None:
    database = Database(path)
    database.open()
    queue = Queue(Jobs(database), lambda _: None, most=count + 1000)
    await queue.open()
    for begin in range(0, count, 2000):
        jobs = (Job(f"job-{n}", n, SMALL, ("2",), {}) for n in range(begin, min(begin + 2000, count)))
        await asyncio.gather(*(queue.put(job) for job in jobs))
    database.close()


async def cancel(client: aiohttp.ClientSession, url: str) -> None:
    async with client.delete(url) as answer:
        assert answer.status in (200, 202, 204, 409), await answer.text()


async def post(client: aiohttp.ClientSession, url: str, body: Any) -> Any:
    async with client.post(url, json=body) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


UPGRADE = (
    "GET /ws?clientId={} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def open_socket(host: str, port: int, name: str) -> socket.socket:
    """A websocket, greeted."""
    opened = socket.create_connection((host, port))
    opened.sendall(UPGRADE.format(name).encode())
    while b"\r\n\r\n" not in opened.recv(65536):
        pass
    return opened


def listen(host: str, port: int, count: int, ready: Event, stop: Event) -> None:
    """In a process of its own: sockets that are read as fast as messages come, and not looked into; these readers
    shall not take the processor from what is measured."""
    selector, buffer = selectors.DefaultSelector(), bytearray(2**18)
    for number in range(count):
        opened = open_socket(host, port, f"listening{number}")
        opened.setblocking(False)
        selector.register(opened, selectors.EVENT_READ)
    ready.set()
    while not stop.is_set():
        for key, _ in selector.select(0.1):
            if not cast(socket.socket, key.fileobj).recv_into(buffer):
                selector.unregister(key.fileobj)


async def sockets(count: int, slow: int, nodes: int) -> None:
    with server() as running:
        spawn = multiprocessing.get_context("spawn")
        ready, stop = spawn.Event(), spawn.Event()
        address = urlsplit(running.url)
        host, port = address.hostname or "", address.port or 0
        listeners = spawn.Process(target=listen, args=(host, port, count - slow, ready, stop))
        listeners.start()
        await asyncio.to_thread(ready.wait, 60)
        deaf = [open_socket(host, port, f"deaf{number}") for number in range(slow)]
        before, most = rss(running), 0.0
        async with session() as client:
            id = (await post(client, f"{running.url}/prompt", {"prompt": chain(nodes)}))["prompt_id"]
            began = time.perf_counter()
            times: list[float] = []
            while not json.loads(await get(client, f"{running.url}/history/{id}")):
                for _ in range(10):
                    times.append(await timed(get(client, f"{running.url}/health")))
                    await asyncio.sleep(0.005)
                most = max(most, rss(running))
            took = time.perf_counter() - began
        stop.set()
        await asyncio.to_thread(listeners.join)
        for opened in deaf:
            opened.close()
        what = f"{count} sockets, {slow} of them not read, {nodes:,}-node job"
        row(f"{what}: done after", f"{took:.1f} s", "–")
        row(f"{what}: server RSS", f"{before:.0f} → {most:.0f} MiB", "+≤ 300 MiB")
        row(f"{what}: /health p50 / p99", shown(times), "p99 < 50 ms")


async def slow_headers(count: int, seconds: float) -> None:
    with server() as running:
        address = urlsplit(running.url)
        done = asyncio.Event()

        async def drip() -> None:
            """One byte a second; when the server has had enough, again."""
            while not done.is_set():
                try:
                    _, writer = await asyncio.open_connection(address.hostname, address.port)
                    for byte in b"GET /queue HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 600:
                        if done.is_set() or writer.is_closing():
                            break
                        writer.write(bytes([byte]))
                        await asyncio.sleep(1)
                    writer.close()
                except OSError:
                    await asyncio.sleep(0.1)

        dripping = [asyncio.create_task(drip()) for _ in range(count)]
        await asyncio.sleep(2)
        times: list[float] = []
        async with session() as client:
            until = time.perf_counter() + seconds
            while time.perf_counter() < until:
                times.append(await timed(get(client, f"{running.url}/queue")))
                await asyncio.sleep(0.02)
        done.set()
        await asyncio.gather(*dripping)
        row(f"{count:,} slow-loris connections, another client: p50 / p99", shown(times), "p99 < 200 ms")
        row("server RSS", f"{rss(running):.0f} MiB", "–")


async def everybody_returns(count: int) -> None:
    with server() as running:
        async with session() as client:
            address = running.url.replace("http", "ws")

            async def come(number: int) -> None:
                async with client.ws_connect(f"{address}/ws?clientId={number}") as socket:
                    await socket.receive()
                    await get(client, f"{running.url}/queue")

            took = await timed(asyncio.gather(*(come(n) for n in range(count))))
        row(f"{count:,} clients connect at once, are greeted and ask for the queue", f"{took:.2f} s", "< 5 s")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("parts", nargs="*", default=["submits", "queue", "sockets", "slow", "return"])
    asked = parser.parse_args()
    quick: bool = asked.quick
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))
    parts: dict[str, Callable[[], Awaitable[None]]] = {
        "submits": lambda: submits(5 if quick else 60, 200),
        "queue": lambda: long_queue(5_000 if quick else 100_000),
        "sockets": lambda: sockets(100 if quick else 500, 10 if quick else 50, 2_000 if quick else 10_000),
        "slow": lambda: slow_headers(200 if quick else 1_000, 5 if quick else 30),
        "return": lambda: everybody_returns(200 if quick else 1_000),
    }
    print(
        f"{psutil.cpu_count()} cores, load {psutil.getloadavg()[0]:.1f}\n\n| what | measured | target |\n|---|---|---|"
    )
    for name in asked.parts:
        asyncio.run(parts[name]())  # pyright: ignore[reportArgumentType]


if __name__ == "__main__":
    main()
