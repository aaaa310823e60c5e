"""Who hears what: events come in one by one on the event loop, frames go to the clients they concern.

A job's messages go to the client that submitted it. Of a job without a client, everybody learns progress and
interruption, and nothing else; its pictures and texts go only to clients that asked for them (`watch_all_jobs`).
A client id "" hears of nothing but the queue.

A client that comes back with its id takes over from its old socket, which stays open and hears nothing more, and is
told where things stand: the queue, the node that runs, the progress, the last picture.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiohttp import web

from execution.events import (
    Broadcast,
    Cached,
    Crashed,
    Ending,
    Event,
    Failed,
    Filed,
    Interrupted,
    NodeBlocked,
    NodeFinished,
    NodeStarted,
    Preview,
    Progress,
    QueueChanged,
    Queued,
    Started,
    Succeeded,
    Text,
)
from execution.job import Job
from server import messages
from server.client import GOING_AWAY, TRY_AGAIN_LATER, Client
from server.outbox import Frame, Overflow
from server.progress import GATHER, MANY, JobView
from server.turns import Turns

logger = logging.getLogger(__name__)

_REMEMBERED_FLAGS = 1024
AT_ONCE = 16  # frames sent in one round of the loop; a large one takes a tenth of a millisecond
RESYNC, WATCH_ALL, METADATA = "resync", "watch_all_jobs", "supports_preview_metadata"


class Hub:
    """job_of: the job of a prompt id while it waits or runs; asked once per job. remaining: jobs waiting and running.
    features: what the server tells about itself when a client negotiates."""

    def __init__(self, job_of: Callable[[str], Job | None], remaining: Callable[[], int], features: Mapping[str, Any]):
        self._job_of, self._remaining, self._features = job_of, remaining, features
        self._clients: dict[str, Client] = {}
        self._flags: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._views: dict[str, JobView] = {}
        self._gathering: dict[str, asyncio.TimerHandle] = {}
        self._awaited: dict[str, str | None] = {}  # jobs that have not begun → who submitted them
        self._sockets: set[Client] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns = Turns(AT_ONCE)
        self._watching: list[Client] | None = None  # those that watch all jobs; None: to be looked for again

    @property
    def sockets(self) -> int:
        """Open ones, also those of clients that a newer socket took over from."""
        return len(self._sockets)

    def clients(self) -> list[str]:
        """Ids of the clients that hear us."""
        return list(self._clients)

    async def serve(self, id: str, socket: web.WebSocketResponse, request: web.Request) -> None:
        """Talk to a client until its socket closes."""
        client = Client(id, socket, request, self._flags_of(id), self._turns)
        client.on_flags = lambda: self._answer_flags(client)
        self._greet(client)
        self._clients[id] = client
        self._watching = None
        self._sockets.add(client)
        writer = asyncio.create_task(client.write())
        try:
            await client.read()
        finally:
            self._sockets.discard(client)
            self._forget(client)
            writer.cancel()

    def publish(self, event: Event) -> None:
        """Tell those whom it concerns. On the event loop; returns at once, whatever the clients do."""
        try:
            self._publish(event)
        except (TypeError, ValueError, RecursionError):
            logger.exception("an event could not be told: %s", type(event).__name__)

    def expect(self, prompt_id: str, client_id: str | None) -> None:
        """Know who waits for a job that has just been queued, in case it never begins."""
        if prompt_id in self._awaited:  # else it has already begun
            self._awaited[prompt_id] = client_id

    def send(self, type: str, data: Any, to: Iterable[str] | None = None) -> None:
        """A message outside of jobs. to: client ids; None is everybody."""
        frame = messages.message(type, data)
        for client in self._named(to):
            self._put(client, frame)

    async def close(self) -> None:
        """Say goodbye to everybody."""
        await asyncio.gather(*(client.close(GOING_AWAY, b"the server stops") for client in list(self._sockets)))
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _publish(self, event: Event) -> None:
        match event:
            case QueueChanged():
                frame = messages.status(event.remaining)
                for client in list(self._clients.values()):
                    self._put(client, frame, key="status")
            case Queued():  # clients hear of the queue's length, by QueueChanged
                self._awaited[event.prompt_id] = None
            case Broadcast():
                self._broadcast(event)
            case Filed():
                view = self._views.pop(event.prompt_id, None) or self._look(event.prompt_id)
                self._tell(view, messages.nothing_executing(event.prompt_id))
            case _:
                self._publish_of_job(event)

    def _publish_of_job(
        self,
        event: Started
        | Cached
        | NodeStarted
        | Progress
        | Preview
        | Text
        | NodeFinished
        | NodeBlocked
        | Succeeded
        | Failed
        | Interrupted
        | Crashed,
    ) -> None:
        view = self._views.get(event.prompt_id)
        if view is None:
            view = self._views[event.prompt_id] = self._look(event.prompt_id)
        self._awaited.pop(event.prompt_id, None)
        if isinstance(event, Ending):
            self._close(view, event)
        match event:
            case Started():
                view.restart()
                self._tell(view, messages.of_job(event, view.graph))
            case Cached():
                self._tell(view, messages.of_job(event, view.graph))
            case NodeStarted():
                view.begin(event.node)
                self._tell_progress(view)
                self._tell(view, lambda: messages.executing(event), key=("executing", event.prompt_id))
            case Progress():
                view.tick(event.node, event.value, event.total)
                self._tell_progress(view)
                key = ("progress", event.prompt_id, event.node.id)
                self._tell(view, messages.progress(event), everybody=True, key=key)
            case Preview():
                self._preview(view, event)
            case Text():
                self._tell(view, messages.text(event), key=("text", event.prompt_id, event.node.id))
            case NodeFinished():
                if event.reported:
                    self._tell(view, messages.executed(event))
                if event.reported or not event.reused:
                    view.end(event.node)
                    self._tell_progress(view)
            case NodeBlocked():
                self._tell(view, messages.blocked(event))
            case Succeeded() | Failed() | Crashed():
                self._tell(view, messages.of_job(event, view.graph))
            case Interrupted():
                self._tell(view, messages.of_job(event, view.graph), everybody=True)

    def _tell(
        self, view: JobView, frame: Frame | Callable[[], Frame], *, everybody: bool = False, key: object = None
    ) -> None:
        """frame: or what makes it, if somebody listens."""
        listeners = self._listeners(view, everybody)
        if callable(frame):
            frame = frame() if listeners else ""
        for client in listeners:
            self._put(client, frame, key=key)

    def _tell_progress(self, view: JobView) -> None:
        """A node's row changed: told at once, or gathered with others while the job is large."""
        if not view.large:
            self._tell(view, view.snapshot, everybody=True, key=("state", view.prompt_id))
        elif len(view.changed) >= MANY:
            self._tell_gathered(view)
        elif view.prompt_id not in self._gathering:
            later = asyncio.get_running_loop().call_later(GATHER, self._tell_gathered, view)
            self._gathering[view.prompt_id] = later

    def _tell_gathered(self, view: JobView) -> None:
        if (waiting := self._gathering.pop(view.prompt_id, None)) is not None:
            waiting.cancel()
        if view.changed:
            self._tell(view, view.gathered, everybody=True)
            view.changed.clear()  # also when nobody listened

    def _close(self, view: JobView, ending: Ending) -> None:
        """Before a job's end is told: no node is left running, and no change untold."""
        if not isinstance(ending, Succeeded) and view.fail():
            self._tell_progress(view)
        self._tell_gathered(view)

    def _preview(self, view: JobView, event: Preview) -> None:
        listeners = self._listeners(view, everybody=False)
        result = not event.droppable  # some nodes deliver their finished images over the socket
        if not result:
            view.preview = event
        key = None if result else ("preview", event.prompt_id, event.node.id)
        for client in listeners:
            self._put(client, self._picture(client, event), key=key, preview=not result, result=result)

    def _broadcast(self, event: Broadcast) -> None:
        if isinstance(event.type, int):
            if not isinstance(event.data, bytes):
                logger.warning("a node sent event %d without bytes; dropped", event.type)
                return
            frame: Frame = messages.binary(event.type, event.data)
        else:
            frame = messages.message(event.type, event.data)
        for client in self._named(None if event.client is None else [event.client]):
            self._put(client, frame)

    def _greet(self, client: Client) -> None:
        """What a new socket is told first, before anything that happens from now on."""
        outbox = client.outbox
        outbox.put(messages.status(self._remaining(), client.id))
        for view in self._views.values():
            if view.client_id == client.id and view.client_id:
                self._catch_up(client, view)

    def _catch_up(self, client: Client, view: JobView) -> None:
        for node in view.executing.values():
            client.outbox.put(messages.still_executing(view.prompt_id, node))
        if view.rows:
            client.outbox.put(view.snapshot())
        if view.preview is not None:
            client.outbox.put(self._picture(client, view.preview), preview=True)

    def _resync(self, client: Client) -> None:
        """The client fell behind and asked for this: it starts over from how things stand."""
        dropped = len(client.outbox)
        client.outbox.clear()
        client.outbox.put(messages.message("resync", {"dropped": dropped}))
        client.outbox.put(messages.status(self._remaining()))
        for view in self._views.values():
            if client in self._listeners(view, everybody=False):
                self._catch_up(client, view)

    def _put(
        self, client: Client, frame: Frame, *, key: object = None, preview: bool = False, result: bool = False
    ) -> None:
        try:
            client.outbox.put(frame, key=key, preview=preview, result=result)
        except Overflow:
            self._overflowed(client)

    def _overflowed(self, client: Client) -> None:
        """The client fell too far behind: it starts over if it asked for that, else it is closed."""
        if client.supports(RESYNC):
            self._resync(client)
            return
        logger.info("client %s does not read; closing it", ascii(client.id))
        self._forget(client)
        client.outbox.clear()
        task = asyncio.create_task(client.close(TRY_AGAIN_LATER, b"too slow"))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _forget(self, client: Client) -> None:
        """Only if it is still the one: a newer socket of the same id keeps its place."""
        if self._clients.get(client.id) is client:
            del self._clients[client.id]
            self._watching = None

    def _look(self, prompt_id: str) -> JobView:
        job = self._job_of(prompt_id)
        if job is not None:
            return JobView(prompt_id, job.client_id, job.graph)
        # It never began: what is known of it is who submitted it. Of others nobody hears.
        return JobView(prompt_id, self._awaited.get(prompt_id) or "", {})

    def _listeners(self, view: JobView, everybody: bool) -> list[Client]:
        if view.client_id is None:
            return list(self._clients.values()) if everybody else self._watchers()
        client = self._clients.get(view.client_id) if view.client_id else None
        return [] if client is None else [client]

    def _watchers(self) -> list[Client]:
        """Asked for with every node of a job without a client, so they are not looked for among hundreds each time."""
        if self._watching is None:
            self._watching = [client for client in self._clients.values() if client.supports(WATCH_ALL)]
        return self._watching

    def _answer_flags(self, client: Client) -> None:
        self._watching = None
        self._put(client, messages.message("feature_flags", self._features))

    def _named(self, ids: Iterable[str] | None) -> list[Client]:
        if ids is None:
            return list(self._clients.values())
        return [self._clients[id] for id in ids if id in self._clients]

    def _picture(self, client: Client, event: Preview) -> bytes:
        if client.supports(METADATA):
            return messages.preview_with_metadata(event)
        return messages.preview(event)

    def _flags_of(self, id: str) -> dict[str, Any]:
        """Flags belong to the id: they outlive a lost connection, and the oldest of many ids are forgotten."""
        flags = self._flags.setdefault(id, {})
        self._flags.move_to_end(id)
        while len(self._flags) > _REMEMBERED_FLAGS:
            self._flags.popitem(last=False)
        return flags
