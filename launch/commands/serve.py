"""The server: start, say where it is, serve until asked to stop.

Exit codes: 0 stopped as asked, 1 could not start, 2 wrong usage.
"""

import asyncio
import contextlib
import ctypes
import errno
import gc
import logging
import os
import shutil
import signal
import ssl
import sys
import tempfile
import webbrowser
from collections.abc import Sequence
from pathlib import Path

import psutil
from aiohttp import web

from launch.arguments import parse_serve
from launch.compose import DOOR, House, compose, empty_temp, urls
from launch.folders import BadModelPaths, folders_of
from launch.logs import configure
from launch.settings import Network, Paths, Settings
from server import connections
from storage import atomic
from storage.database import DamagedDatabase, Database, NewerDatabase
from storage.folders import Folders
from storage.lock import AlreadyInUse
from storage.logs import RecentLogs

log = logging.getLogger(__name__)

# How long requests and jobs that are under way may take once the server was asked to stop, seconds. A job that takes
# longer is begun again by the next server.
DRAINING = 5.0


def serve(arguments: Sequence[str], home: Path) -> int:
    """Run the server until a signal; returns the exit code."""
    settings = parse_serve(arguments, home)
    keep_memory_together()
    collect_seldom()
    allow_connections(settings.network.limits.connections)
    logs = RecentLogs()
    configure(settings.log_level, logs)
    if settings.ignored:
        log.info("these options change nothing here: %s", " ".join(settings.ignored))
    try:
        folders = folders_of(settings.paths)
        folders.make()
        database = Database(settings.paths.state / "jobs.sqlite")
        database.open()
    except (BadModelPaths, AlreadyInUse, DamagedDatabase, NewerDatabase, OSError) as problem:
        print(f"main.py: {problem}", file=sys.stderr)
        return 1
    try:
        empty_temp(folders)
        code = asyncio.run(run(settings, folders, database, logs))
        empty_temp(folders)
        return code
    finally:
        database.close()


def sweep(paths: Paths) -> None:
    """Remove what crashes left: files half written a day ago or longer, and folders of sockets whose server is gone."""
    for door in Path(tempfile.gettempdir()).glob(f"{DOOR}*-*"):
        owner = door.name.removeprefix(DOOR).partition("-")[0]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(door, ignore_errors=True)
    count = sum(atomic.sweep(folder) for folder in (paths.output, paths.input, paths.user))
    if count:
        log.info("%d files that were never finished were removed", count)


def collect_seldom() -> None:
    """A graph of 50,000 nodes makes half a million objects, none of them garbage; looking for some at Python's usual
    pace takes a third of the time of reading it."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def keep_memory_together() -> None:
    """Let all threads share two of the allocator's arenas, where it is glibc's.

    It keeps what each thread freed apart otherwise: after graphs of 50,000 nodes the server held 181 MB instead of 157.
    """
    arena_max = -8  # M_ARENA_MAX of mallopt(3)
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(arena_max, 2)


def allow_connections(count: int) -> None:
    """Raise the number of files this process may hold open, where the system lets us: many start with 1,024, and a
    connection is a file."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * count + 512
    if soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


async def run(settings: Settings, folders: Folders, database: Database, logs: RecentLogs) -> int:
    stopping = asyncio.Event()
    stop_on_signals(stopping)
    house = compose(settings, folders, database, logs)
    runner = connections.runner(house.app, settings.network.limits, DRAINING)
    await runner.setup()
    listening: list[asyncio.Server] = []
    try:
        try:
            bound = await bind(runner, settings.network, listening)
        except OSError as problem:
            print(f"main.py: {in_words(problem, settings.network)}", file=sys.stderr)
            return 1
        await house.open()
        announce(house, bound, settings)
        sweeping = asyncio.create_task(asyncio.to_thread(sweep, settings.paths))
        if settings.quick_test:
            return await quick_test(house)
        await stopping.wait()
        await sweeping
        log.info("stopping; what runs has %g s to end, a second Ctrl-C does not wait", DRAINING)
        return 0
    finally:
        for server in listening:
            server.close()
        await house.close(DRAINING)
        await runner.cleanup()


async def bind(runner: web.AppRunner, network: Network, listening: list[asyncio.Server]) -> dict[str, int]:
    """Listen everywhere asked, and put who listens into `listening`. Returns each address with its port: the same for
    all, also when a free one was asked."""
    tls = None
    if network.tls_certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(network.tls_certificate, network.tls_key)
    bound: dict[str, int] = {}
    gate = connections.Gate(network.limits)
    for address in network.listen:
        port = next(iter(bound.values()), network.port)
        listening.append(await connections.listen(runner, address, port, gate, tls))
        bound[address] = int(listening[-1].sockets[0].getsockname()[1])
    return bound


def in_words(problem: OSError, network: Network) -> str:
    if isinstance(problem, ssl.SSLError):
        return f"the certificate or its key cannot be used: {problem}"
    where = ", ".join(f"{address}:{network.port}" for address in network.listen)
    reason = os.strerror(problem.errno).lower() if problem.errno else str(problem)
    hint = "; --port takes another" if problem.errno == errno.EADDRINUSE else ""
    return f"cannot listen on {where}: {reason}{hint}"


def stop_on_signals(stopping: asyncio.Event) -> None:
    """The first signal asks for an orderly stop, a second one ends at once."""
    loop = asyncio.get_running_loop()

    def asked() -> None:
        if stopping.is_set():
            raise SystemExit(130)
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        if sys.platform == "win32":
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(asked))
        else:
            loop.add_signal_handler(number, asked)


def announce(house: House, bound: dict[str, int], settings: Settings) -> None:
    found = urls(bound, house.access, settings.network.tls_certificate is not None)
    print("\n".join(f"Heddle is at {url}" for url in found), flush=True)
    if not house.access.loopback and not house.access.needs_token:
        log.warning("NO TOKEN IS ASKED: whoever reaches this port can run graphs and read files here (--no-auth)")
    if settings.open_browser:
        with contextlib.suppress(webbrowser.Error):
            webbrowser.open(found[0])


async def quick_test(house: House) -> int:
    """Wait until every worker can run jobs; 1 if one cannot."""
    for worker in house.dispatch.workers:
        while worker.state != "idle":  # one that cannot start is started again and again, and never ready
            if worker.trouble is not None:
                print(f"main.py: {worker.trouble}", file=sys.stderr)
                return 1
            await asyncio.sleep(0.05)
    return 0
