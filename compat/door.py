"""Where the packs of a worker answer HTTP: a small application of aiohttp, in a thread with a loop of its own.

The server forwards requests to it; nobody else can reach it. It listens at a unix socket in a folder that only this
user can open; where there are none, at a port of this machine, and then every request must show a secret.
"""

import asyncio
import hmac
import logging
import os
import re
import secrets
import socket
import sys
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from execution.packs import Door, PackRoute

log = logging.getLogger(__name__)

SECRET = "X-Heddle-Door"
OPENING = 30.0  # seconds that packs' start-up hooks may take together
LARGEST = 2**40  # bytes of a body: the server has its own limit, and applied it


class PackApp:
    """The application packs add routes to, and the thread it answers in.

    routes: the shared table, each of whose routes is also served beneath /api."""

    def __init__(self) -> None:
        self._secret = secrets.token_urlsafe(24)
        self.app = web.Application(client_max_size=LARGEST, middlewares=[self._only_the_server])
        self.routes = web.RouteTableDef()
        self._own_hooks = len(self.app.on_startup)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._door: Door | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop, which runs from the first time somebody asks for it."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._serve, args=(self._loop,), name="pack routes", daemon=True).start()
        return self._loop

    @property
    def door(self) -> Door | None:
        """None before `open`, and when it failed."""
        return self._door

    def open(self, folder: Path) -> None:
        """Add the routes of the table, and begin to answer if there is anything to answer. folder: private, for the
        socket."""
        self.app.add_routes(self.routes)
        self.app.add_routes([beneath_api(route) for route in self.routes if isinstance(route, web.RouteDef)])
        if not len(self.app.router.resources()) and len(self.app.on_startup) == self._own_hooks:
            return
        try:
            self._door = self.call(self._open(folder)).result(OPENING)
        except Exception:  # a pack's start-up hook, or the system has no socket for us
            log.exception("The routes of packs cannot be answered")

    def call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the loop, from any thread; a future of its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def patterns(self) -> Iterator[PackRoute]:
        """What is answered, as `PackRoute`s."""
        for resource in self.app.router.resources():
            methods = {route.method for route in resource}
            for method in sorted(methods or {"GET"}):
                yield PackRoute(method, pattern_of(resource))

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.run_forever()

    async def _open(self, folder: Path) -> Door:
        runner = web.AppRunner(self.app, access_log=None, handle_signals=False)
        await runner.setup()
        if not has_unix_sockets():
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            return Door(port=int(runner.addresses[0][1]), secret=self._secret)
        path = folder / f"{os.getpid()}.sock"
        await web.UnixSite(runner, str(path)).start()
        return Door(socket=str(path), secret=self._secret)

    @web.middleware
    async def _only_the_server(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        shown = request.headers.get(SECRET, "")
        if not hmac.compare_digest(shown.encode(), self._secret.encode()):
            return web.Response(status=403, text="these routes are reached through the server")
        return await handler(request)


def has_unix_sockets() -> bool:
    """Windows knows them, and its event loop does not."""
    return sys.platform != "win32" and hasattr(socket, "AF_UNIX")


def beneath_api(route: web.RouteDef) -> web.RouteDef:
    return web.RouteDef(route.method, f"/api{route.path}", route.handler, route.kwargs)


def pattern_of(resource: web.AbstractResource) -> str:
    """A regular expression for the paths a resource answers."""
    info = resource.get_info()
    if "path" in info:
        return re.escape(info["path"])
    if "pattern" in info:
        return info["pattern"].pattern
    return re.escape(info.get("prefix", "")) + "(/.*)?"
