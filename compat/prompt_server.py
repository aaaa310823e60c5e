"""`PromptServer`: the server as packs see it from the worker they live in.

Its routes are answered here and reached through the server; what it sends goes to clients as events of this worker.
"""

import asyncio
import json
import logging
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from aiohttp import web

from compat.door import PackApp
from compat.pictures import preview_of
from compat.placeholder import NotPromised
from compat.world import World, running
from execution.events import Broadcast, Event
from execution.job import Job

log = logging.getLogger(__name__)

Handler = Callable[[dict[str, Any]], Any]


class BinaryEventTypes:
    PREVIEW_IMAGE = 1
    UNENCODED_PREVIEW_IMAGE = 2
    TEXT = 3
    PREVIEW_IMAGE_WITH_METADATA = 4


class PromptServer:
    """One for a process, at `PromptServer.instance`, there before the first pack is imported.

    client_id, last_prompt_id: of the job that runs. app, routes, loop: where packs' requests are answered. What is
    said about the server itself (`address`, `port`) is what it was told, not what it found."""

    instance: "PromptServer"

    def __init__(self, world: World):
        self._pack_app = PackApp()
        self._tell: Callable[[Event], None] | None = None
        self._job: Job | None = None
        self.on_prompt_handlers: list[Handler] = []
        self.app: web.Application = self._pack_app.app
        self.routes: web.RouteTableDef = self._pack_app.routes
        self.prompt_queue = PromptQueueView(lambda: self._job)
        self.user_manager = UserManager(world)
        self.supports = ["custom_nodes_from_web"]
        self.number = 0
        self.sockets: dict[str, Any] = {}
        self.sockets_metadata: dict[str, Any] = {}
        self.client_session: Any = None
        self.address = str(world.flags.get("listen", "127.0.0.1"))
        self.port = int(world.flags.get("port", 8188))
        self.web_root = str(Path(__file__).parents[1] / "web" / "dist")

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Of the thread that answers packs' requests."""
        return self._pack_app.loop

    @property
    def pack_app(self) -> PackApp:
        return self._pack_app

    # What runs

    @property
    def client_id(self) -> str | None:
        return self._job.client_id if self._job else None

    @property
    def last_prompt_id(self) -> str | None:
        return self._job.id if self._job else None

    @property
    def last_node_id(self) -> str | None:
        """The node whose call this is asked in."""
        run = running()
        return run.node.id if run else None

    def begin(self, job: Job) -> None:
        self._job = job

    def end(self, job: Job) -> None:
        self._job = None

    # To clients

    def speak(self, tell: Callable[[Event], None]) -> None:
        self._tell = tell

    def send_sync(self, event: str | int, data: Any, sid: str | None = None) -> None:
        """From any thread: tell one client, or all. event: a message's type with JSON-able data; a number with bytes,
        or for pictures (format, PIL image, longer side)."""
        match event:
            case BinaryEventTypes.UNENCODED_PREVIEW_IMAGE:
                self._say(BinaryEventTypes.PREVIEW_IMAGE, _preview_frame(data), sid)
            case BinaryEventTypes.PREVIEW_IMAGE_WITH_METADATA if isinstance(data, tuple):
                picture, about = cast(tuple[Any, Any], data)
                image, kind = preview_of(picture, None)
                text = json.dumps({**about, "image_type": f"image/{kind}"}).encode()
                self._say(event, struct.pack(">I", len(text)) + text + image, sid)
            case int():
                self._say(int(event), bytes(data), sid)
            case _:
                self._say(str(event), data, sid)

    async def send(self, event: str | int, data: Any, sid: str | None = None) -> None:
        self.send_sync(event, data, sid)

    async def send_json(self, event: str, data: Any, sid: str | None = None) -> None:
        self.send_sync(event, data, sid)

    async def send_bytes(self, event: int, data: bytes, sid: str | None = None) -> None:
        self.send_sync(event, data, sid)

    def send_progress_text(self, text: str | bytes, node_id: str, sid: str | None = None) -> None:
        """A line beside a node. Without a sid it goes to the client of the job that runs, if it has one."""
        body = text.encode() if isinstance(text, str) else text
        name = str(node_id).encode()
        self._say(BinaryEventTypes.TEXT, struct.pack(">I", len(name)) + name + body, sid or self.client_id)

    def _say(self, event: str | int, data: Any, sid: str | None) -> None:
        if self._tell is None:
            log.debug("nobody hears %s: the worker is still starting", event)
            return
        self._tell(Broadcast(event, data, sid))

    # Prompts

    def add_on_prompt_handler(self, handler: Handler) -> None:
        """handler: is given the body of every submitted prompt and returns the one to use."""
        self.on_prompt_handlers.append(handler)

    def trigger_on_prompt(self, json_data: dict[str, Any]) -> dict[str, Any]:
        """The body as all handlers want it. One that raises, or returns something else, is passed over."""
        for handler in self.on_prompt_handlers:
            try:
                changed = handler(json_data)
            except Exception:
                log.exception("a pack's handler of prompts failed; the prompt is used as it was")
                continue
            if isinstance(changed, dict):
                json_data = cast(dict[str, Any], changed)
            else:
                log.warning("a pack's handler of prompts returned %s, not the prompt", type(changed).__name__)
        return json_data

    # What only the server can do

    def queue_updated(self) -> None:
        """Clients hear of the queue from the server itself."""

    def add_routes(self) -> None:
        """The server adds its own."""

    def get_queue_info(self) -> dict[str, Any]:
        return {"exec_info": {"queue_remaining": self.prompt_queue.get_tasks_remaining()}}


class PromptQueueView:
    """The queue as far as a worker knows it: the job it runs. The rest belongs to the server, at `/queue`."""

    def __init__(self, job: Callable[[], Job | None]):
        self._job = job
        self.history: dict[str, Any] = {}
        self.flags: dict[str, Any] = {}

    @property
    def currently_running(self) -> dict[int, tuple[Any, ...]]:
        """Number → (number, id, graph, extra data, outputs)."""
        job = self._job()
        return {0: (job.number, job.id, job.graph, job.extra, list(job.outputs))} if job else {}

    @property
    def queue(self) -> list[tuple[Any, ...]]:
        return []

    def get_tasks_remaining(self) -> int:
        return len(self.currently_running)

    def get_current_queue(self) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        """What runs, and what waits."""
        return list(self.currently_running.values()), []

    get_current_queue_volatile = get_current_queue

    def get_history(self, prompt_id: str | None = None, max_items: int | None = None, offset: int = -1) -> Any:
        return {}

    def set_flag(self, name: str, data: Any) -> None:
        """ "unload_models" and "free_memory" are heeded when the running job, or the next one, has ended."""
        self.flags[name] = data

    def get_flags(self, reset: bool = True) -> dict[str, Any]:
        flags = dict(self.flags)
        if reset:
            self.flags.clear()
        return flags

    def put(self, item: Any) -> None:
        raise NotPromised("PromptServer.instance.prompt_queue.put (POST /prompt queues a graph)")

    def wipe_queue(self) -> None:
        raise NotPromised('PromptServer.instance.prompt_queue.wipe_queue (POST /queue {"clear": true} does it)')

    def delete_queue_item(self, function: Any) -> bool:
        raise NotPromised('PromptServer.instance.prompt_queue.delete_queue_item (POST /queue {"delete": …} does it)')

    def wipe_history(self) -> None:
        raise NotPromised('PromptServer.instance.prompt_queue.wipe_history (POST /history {"clear": true} does it)')

    def delete_history_item(self, id_to_delete: str) -> None:
        raise NotPromised(
            'PromptServer.instance.prompt_queue.delete_history_item (POST /history {"delete": …} does it)'
        )


class UserManager:
    """Where users keep their files."""

    def __init__(self, world: World):
        self._folder = world.folders.user
        self._multi = bool(world.flags.get("multi_user"))
        self.settings = UserSettingsView(self)

    def get_request_user_id(self, request: web.Request) -> str:
        """Raises KeyError for a user nobody knows."""
        id = request.headers.get("comfy-user", "") if self._multi else "default"
        if not id or Path(id).name != id or (not (self._folder / id).is_dir() and self._multi):
            raise KeyError(f"Unknown user: {id}")
        return id

    def get_request_user_filepath(
        self, request: web.Request, file: str | None, type: str = "userdata", create_dir: bool = True
    ) -> str | None:
        """A path beneath the user's folder; None for one outside of it."""
        root = (self._folder / self.get_request_user_id(request)).resolve()
        path = (root / file).resolve() if file else root
        if not path.is_relative_to(root):
            return None
        if create_dir:
            path.parent.mkdir(parents=True, exist_ok=True)
        return str(path)


class UserSettingsView:
    """The settings of the page, as they are on disk."""

    def __init__(self, users: UserManager):
        self._users = users

    def get_settings(self, request: web.Request) -> dict[str, Any]:
        path = self._users.get_request_user_filepath(request, "comfy.settings.json", create_dir=False)
        try:
            found: object = json.loads(Path(path or "").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return cast(dict[str, Any], found) if isinstance(found, Mapping) else {}


def _preview_frame(picture: Any) -> bytes:
    image, kind = preview_of(picture, None)
    return struct.pack(">I", 1 if kind == "jpeg" else 2) + image
