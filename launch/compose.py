"""Wires the server: one function, from settings to everything that must be started and stopped."""

import ipaddress
import os
import secrets
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from aiohttp import web

from execution.dispatch import Dispatch
from execution.events import Event, Filed
from execution.history import History
from execution.intake import Checks, Intake
from execution.known_nodes import KnownNodes
from execution.known_packs import KnownPacks
from execution.queue import Queue
from execution.workers.process import ProcessWorker
from launch.settings import Network, OnStart, Settings
from server.app import build
from server.guard import Access
from server.hub import Hub
from server.routes.features import features
from server.services import Options, Services
from server.v1.feed import Feed
from storage.database import Database
from storage.folders import Folders
from storage.inputs import Inputs
from storage.job_list import JobList
from storage.jobs import Jobs
from storage.logs import RecentLogs
from storage.published import Published
from storage.settings import UserSettings
from storage.unpublished import Unpublished
from storage.users import Users
from storage.webhooks import Webhooks

HOME = Path(__file__).parents[1]
DOOR = "heddle-"  # how the folders of sockets begin; the id of their server follows


@dataclass(frozen=True, slots=True)
class House:
    """Everything of a running server. Started from the first field to the last, stopped the other way round."""

    database: Database
    queue: Queue
    dispatch: Dispatch
    nodes: KnownNodes
    packs: KnownPacks
    app: web.Application
    access: Access
    door: TemporaryDirectory[str]
    on_start: OnStart
    jobs: JobList
    unpublished: Unpublished

    async def open(self) -> None:
        await self.queue.open(self.on_start)
        for id in self.unpublished.jobs():  # filed, and the server ended before it could say so
            job = await self.jobs.one(id)
            if job is None or job.state not in ("queued", "running"):
                self.unpublished.settle(id)
        await self.dispatch.start()
        await self.nodes.start()
        await self.packs.start()

    async def close(self, drain: float = 0) -> None:
        """drain: seconds that jobs which run may take to end; what does not goes back to the queue."""
        await self.packs.close()
        await self.nodes.close()
        await self.dispatch.close(drain)
        self.door.cleanup()


def compose(settings: Settings, folders: Folders, database: Database, logs: RecentLogs) -> House:
    """Build the server's parts. database: open. Call it where an event loop runs."""
    network = settings.network
    access = access_of(network)
    hub = Hub(lambda id: dispatch.running_job(id), lambda: queue.remaining, features(network.max_upload))
    feed = Feed()

    unpublished = Unpublished(settings.paths.state / "unpublished")

    def publish(event: Event) -> None:
        if isinstance(event, Filed):
            unpublished.settle(event.prompt_id)
        hub.publish(event)
        feed.publish(event)

    jobs = Jobs(database)
    queue = Queue(jobs, publish)
    door = TemporaryDirectory(prefix=f"{DOOR}{os.getpid()}-", ignore_cleanup_errors=True)
    command = worker_command(settings, Path(door.name))
    worker = ProcessWorker(command, directory=Path.cwd(), overhear=hub.publish)
    dispatch = Dispatch(queue, [worker], publish)
    inputs = Inputs(folders.input, folders.output, folders.temp)
    nodes = KnownNodes([worker], settings.paths.state / "catalogue.json")
    nodes.load()
    packs = KnownPacks(worker, settings.paths.state / "packs.json")
    packs.load()
    checks = Checks(folders.listing, inputs.has)
    services = Services(
        intake=Intake(queue, nodes, [worker], checks, [packs.handle]),
        queue=queue,
        history=History(jobs),
        dispatch=dispatch,
        catalogue=nodes,
        packs=packs,
        hub=hub,
        folders=folders,
        inputs=inputs,
        users=Users(folders.user, network.multi_user),
        settings=UserSettings(),
        logs=logs,
        jobs=JobList(database),
        published=Published(database),
        webhooks=Webhooks(database),
        feed=feed,
        options=Options(
            access=access,
            limits=network.limits,
            max_upload=network.max_upload,
            compress=network.compress,
            front_end=settings.paths.front_end or HOME / "web" / "dist",
            examples=HOME / "examples",
            arguments=settings.arguments,
        ),
    )
    app = build(services)
    return House(
        *(database, queue, dispatch, nodes, packs, app, access, door),
        on_start=settings.on_start,
        jobs=services.jobs,
        unpublished=unpublished,
    )


def worker_command(settings: Settings, door: Path) -> list[str]:
    """The same program with the same arguments, as a worker. door: the folder of its socket."""
    return [sys.executable, str(HOME / "main.py"), "worker", str(door), *settings.arguments[1:]]


def access_of(network: Network) -> Access:
    """Who may speak to a server with these settings; a token is made where one is needed and none was given."""
    loopback = all(is_loopback(address) for address in network.listen)
    token = None
    if network.auth and (network.token is not None or not loopback):
        token = network.token or secrets.token_urlsafe(24)
    return Access(loopback and token is None, network.allow_hosts, token, network.cors_origin)


def is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def empty_temp(folders: Folders) -> None:
    """What previews left behind. The folder is ours alone: `Settings` sees to that."""
    shutil.rmtree(folders.temp, ignore_errors=True)
    folders.temp.mkdir(parents=True, exist_ok=True)


def urls(addresses: Mapping[str, int], access: Access, tls: bool) -> list[str]:
    """What to type into a browser. addresses: bound address → port."""
    found: list[str] = []
    for address, port in addresses.items():
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(address, f"[{address}]" if ":" in address else address)
        shown = f"/?token={access.token}" if access.needs_token else ""
        found.append(f"{'https' if tls else 'http'}://{host}:{port}{shown}")
    return found
