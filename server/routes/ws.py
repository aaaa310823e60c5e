"""`/ws`: the socket on which clients hear what happens."""

import uuid

from aiohttp import web

from server.hub import Hub
from server.limits import Limits
from server.problems import RequestError, bad

_LONGEST_ID = 256


class SocketRoutes:
    def __init__(self, hub: Hub, limits: Limits):
        self._hub, self._limits = hub, limits

    def table(self) -> list[web.RouteDef]:
        return [web.get("/ws", self.get)]

    async def get(self, request: web.Request) -> web.StreamResponse:
        # No pings from us: scripts that work between two reads would be taken for dead.
        # Pings come to us, so that they count among what a client says. aiohttp refuses at its limit, we above it.
        socket = web.WebSocketResponse(max_msg_size=self._limits.frame + 1, compress=False, autoping=False)
        if not socket.can_prepare(request):
            return web.Response(status=400, text="Expected a websocket upgrade")
        id = request.query.get("clientId") or uuid.uuid4().hex
        if len(id) > _LONGEST_ID or not id.isprintable():
            raise bad("invalid_client_id", f"clientId must be printable text of at most {_LONGEST_ID} characters")
        if self._hub.sockets >= self._limits.sockets:
            raise RequestError(503, "too_many_sockets", "Too many open websockets; close some")
        await socket.prepare(request)
        await self._hub.serve(id, socket, request)
        return socket
