"""A whole house for tests of the server: real queue, history, hub and files, and a worker that does as it is told."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType
from aiohttp.test_utils import TestClient, TestServer

from execution.dispatch import Dispatch
from execution.events import (
    Cached,
    Ending,
    Event,
    Interrupted,
    NodeFinished,
    NodeRef,
    NodeStarted,
    Started,
    Succeeded,
)
from execution.history import History
from execution.intake import Checks, Prepared
from execution.intake import Intake as CheckedIntake
from execution.job import Job
from execution.known_nodes import KnownNodes
from execution.known_packs import KnownPacks
from execution.packs import PackSide
from execution.problems import NodeErrors, Problem, PromptRejected
from execution.queue import Queue
from execution.spec import Declaration, InputSpec, OutputSpec
from execution.workers.thread import ThreadWorker
from execution.workers.worker import Emit, NoAnswer
from execution.workflow.convert import to_prompt
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
from storage.users import Users
from storage.webhooks import Webhooks

Script = Callable[[Job, Emit, Callable[[], bool]], Ending]

DECLARATIONS: dict[str, Declaration] = {
    "EmptyImage": Declaration("EmptyImage", "Empty Image", "image", outputs=(OutputSpec("IMAGE", "IMAGE"),)),
    "PreviewImage": Declaration(
        "PreviewImage", "Preview Image", "image", inputs=(InputSpec("images", "IMAGE"),), is_output=True
    ),
    "LoadImage": Declaration(
        "LoadImage",
        "Load Image",
        "image",
        inputs=(InputSpec("image", "COMBO", choices=(), choices_from="input files"),),
        outputs=(OutputSpec("IMAGE", "IMAGE"),),
    ),
}
TWO_NODES: dict[str, Any] = {
    "1": {"class_type": "EmptyImage", "inputs": {}},
    "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
}


def node(id: str, display: str | None = None, parent: str | None = None) -> NodeRef:
    return NodeRef(id, display or id, parent, display or id)


def run_every_node(job: Job, emit: Emit, should_stop: Callable[[], bool]) -> Ending:
    """Nodes in prompt order; outputs show a picture."""
    emit(Started(job.id, time.time()))
    emit(Cached(job.id, (), time.time()))
    for id in job.graph:
        emit(NodeStarted(job.id, node(id)))
        ui = {"images": [{"filename": f"{id}.png", "subfolder": "", "type": "temp"}]} if id in job.outputs else None
        emit(NodeFinished(job.id, node(id), ui, reported=ui is not None))
    return Succeeded(job.id, time.time())


def wait_for_interrupt(job: Job, emit: Emit, should_stop: Callable[[], bool]) -> Ending:
    emit(Started(job.id, time.time()))
    emit(NodeStarted(job.id, node("1")))
    deadline = time.monotonic() + 20
    while not should_stop():
        assert time.monotonic() < deadline, "nobody interrupted"
        time.sleep(0.002)
    return Interrupted(job.id, time.time(), node("1"), "EmptyImage", ())


@dataclass
class Engine:
    """Does to every job what the script says."""

    script: Script = run_every_node
    freed: list[tuple[bool, bool]] = field(default_factory=list[tuple[bool, bool]])
    expected: list[str] = field(default_factory=list[str])
    packs: PackSide | None = None

    def run(self, job: Job, emit: Emit, should_stop: Callable[[], bool]) -> Ending:
        ending = self.script(job, emit, should_stop)
        emit(ending)
        return ending

    def catalogue(self) -> Mapping[str, Declaration]:
        return DECLARATIONS

    def check(self, questions: Any) -> Any:
        return ()

    def free(self, unload_models: bool, free_memory: bool) -> None:
        self.freed.append((unload_models, free_memory))

    def memory(self) -> Mapping[str, Any]:
        places = {"host": 10, "device": 4}
        model = {"name": "SDXL", "held_by": "a result", "bytes": places, "last_use": None, "next_use": 2}
        return {"device": {"name": "card", "capacity": 9, "used": 4, "free": 5}, "models": [model]}

    def expect(self, job: Job) -> None:
        self.expected.append(job.id)

    def system(self) -> Mapping[str, Any]:
        return {"system": {"os": "posix", "comfyui_version": "0.3.64"}, "devices": [{"name": "cpu", "type": "cpu"}]}


@dataclass
class Ticket:
    prompt_id: str
    number: float
    node_errors: Mapping[str, NodeErrors] = field(default_factory=dict[str, NodeErrors])


@dataclass
class Intake:
    """Takes everything that has outputs; the real one is tested where it lives."""

    queue: Queue
    rejection: PromptRejected | None = None
    node_errors: Mapping[str, NodeErrors] = field(default_factory=dict[str, NodeErrors])

    async def convert(self, file: Mapping[str, Any]) -> dict[str, Any]:
        return to_prompt(file, DECLARATIONS)

    async def prepare(self, body: Mapping[str, Any]) -> Prepared:
        if self.rejection is not None:
            raise self.rejection
        graph: dict[str, Any] = body["prompt"]
        outputs = tuple(id for id, one in graph.items() if DECLARATIONS[one["class_type"]].is_output)
        if not outputs:
            raise PromptRejected(Problem("prompt_no_outputs", "Prompt has no outputs"))
        extra = dict(body.get("extra_data", {}))
        if "client_id" in body:
            extra["client_id"] = body["client_id"]
        number = self.queue.number(body.get("number"), bool(body.get("front")))
        job = Job(body.get("prompt_id", f"job-{number}"), number, graph, outputs, extra)
        return Prepared(job, self.node_errors)

    async def submit(self, body: Mapping[str, Any]) -> Ticket:
        job = (await self.prepare(body)).job
        await self.queue.put(job)
        return Ticket(job.id, job.number, self.node_errors)


@dataclass
class Catalogue:
    nodes: Mapping[str, Declaration] = field(default_factory=lambda: DECLARATIONS)

    answer: Mapping[str, Declaration] | None = None
    deadlines: list[float] = field(default_factory=list[float])

    def current(self) -> Mapping[str, Declaration]:
        return self.nodes

    async def refresh(self, deadline: float) -> Mapping[str, Declaration]:
        self.deadlines.append(deadline)
        if self.answer is None:
            raise NoAnswer("still starting")
        self.nodes = self.answer
        return self.nodes


@dataclass
class House:
    client: TestClient[Any, Any]
    services: Services
    engine: Engine
    intake: Intake
    catalogue: Catalogue

    @property
    def url(self) -> str:
        return str(self.client.make_url("")).rstrip("/")

    @property
    def folders(self) -> Folders:
        return self.services.folders

    @property
    def hub(self) -> Hub:
        return self.services.hub

    async def submit(self, graph: Mapping[str, Any] = TWO_NODES, **fields: Any) -> dict[str, Any]:
        async with self.client.post("/prompt", json={"prompt": graph, **fields}) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def history(self, prompt_id: str) -> dict[str, Any]:
        """The job's entry, once it has ended."""
        async with asyncio.timeout(10):
            while True:
                async with self.client.get(f"/history/{prompt_id}") as response:
                    entry = await response.json()
                if entry:
                    return entry[prompt_id]
                await asyncio.sleep(0.005)


class Ears:
    """A websocket and what came over it."""

    def __init__(self, socket: Any):
        self.socket = socket

    async def next(self) -> Any:
        """The next message: a dict, or bytes. Fails when the socket closes instead."""
        async with asyncio.timeout(10):
            message = await self.socket.receive()
        assert message.type in (WSMsgType.TEXT, WSMsgType.BINARY), f"closed with {message.data}"
        return message.json() if message.type is WSMsgType.TEXT else message.data

    async def until(self, type: str, **wanted: Any) -> list[Any]:
        """Everything up to and with the message of that type that has those fields."""
        heard: list[Any] = []
        while True:
            heard.append(await self.next())
            last = heard[-1]
            if isinstance(last, dict) and last["type"] == type and wanted.items() <= last["data"].items():
                return heard

    async def end(self, prompt_id: str) -> list[Any]:
        return await self.until("executing", node=None, prompt_id=prompt_id)

    async def silent(self) -> bool:
        """Nothing waits to be heard: the answer to a negotiation comes first."""
        await self.socket.send_json({"type": "feature_flags", "data": {}})
        return (await self.next())["type"] == "feature_flags"


@contextlib.asynccontextmanager
async def ears(house: House, id: str = "", flags: Mapping[str, Any] | None = None) -> AsyncIterator[Ears]:
    """A client that has been greeted."""
    async with house.client.ws_connect(f"/ws?clientId={id}") as socket:
        client = Ears(socket)
        assert (await client.next())["type"] == "status"
        if flags is not None:
            await socket.send_json({"type": "feature_flags", "data": flags})
            await client.until("feature_flags")
        yield client


@contextlib.asynccontextmanager
async def built(
    base: Path,
    options: Options | None = None,
    multi_user: bool = False,
    checked: bool = False,
    engine: Engine | None = None,
) -> AsyncIterator[House]:
    """A server on a free port, with everything behind it. checked: prompts pass the real intake."""
    options = options or Options(max_upload=1 << 20)
    folders = Folders(base)
    await asyncio.to_thread(folders.make)
    database = Database(base / "jobs.sqlite")
    await asyncio.to_thread(database.open)
    store = Jobs(database)
    engine = engine or Engine()
    worker = ThreadWorker(lambda: engine)

    def job_of(id: str) -> Job | None:
        return next((held.job for held in dispatch.running if held.job.id == id), None)

    feed = Feed()

    def publish(event: Event) -> None:
        hub.publish(event)
        feed.publish(event)

    hub = Hub(job_of, lambda: queue.remaining, features(options.max_upload))
    queue = Queue(store, publish)
    dispatch = Dispatch(queue, [worker], publish)
    intake, catalogue = Intake(queue), Catalogue()
    inputs = Inputs(folders.input, folders.output, folders.temp)
    nodes = KnownNodes([worker], base / "nodes.json")
    packs = KnownPacks(worker, base / "packs.json")
    checks = Checks(listing=folders.listing, file_exists=lambda name: inputs.find(name) is not None)
    services = Services(
        intake=CheckedIntake(queue, nodes, [worker], checks, [packs.handle]) if checked else intake,
        queue=queue,
        history=History(store),
        dispatch=dispatch,
        catalogue=catalogue,
        packs=packs,
        hub=hub,
        folders=folders,
        inputs=inputs,
        users=Users(folders.user, multi=multi_user),
        settings=UserSettings(),
        logs=RecentLogs(),
        jobs=JobList(database),
        published=Published(database),
        webhooks=Webhooks(database),
        feed=feed,
        options=options,
    )
    await queue.open()
    await dispatch.start()
    await worker.ready()
    await packs.refresh()
    server = TestServer(build(services))
    client = TestClient(server)
    await client.start_server()
    try:
        yield House(client, services, engine, intake, catalogue)
    finally:
        await client.close()
        await dispatch.close()
        await asyncio.to_thread(database.close)


def access(**changes: Any) -> Options:
    return Options(access=Access(**changes), max_upload=1 << 20)
