"""`/ws`: the socket on which clients hear what happens."""

import uuid

from aiohttp import web

from server.hub import Hub
from server.problems import RequestError, bad

_LARGEST_FRAME = 256 * 1024
_LONGEST_ID = 256


class SocketRoutes:
    def __init__(self, hub: Hub):
        self._hub = hub

    def table(self) -> list[web.RouteDef]:
        return [web.get("/ws", self.get)]

    async def get(self, request: web.Request) -> web.StreamResponse:
        # No pings from us: scripts that work between two reads would be taken for dead.
        socket = web.WebSocketResponse(max_msg_size=_LARGEST_FRAME, compress=False)
        if not socket.can_prepare(request):
            return web.Response(status=400, text="Expected a websocket upgrade")
        id = request.query.get("clientId") or uuid.uuid4().hex
        if len(id) > _LONGEST_ID or not id.isprintable():
            raise bad("invalid_client_id", f"clientId must be printable text of at most {_LONGEST_ID} characters")
        if self._hub.full:
            raise RequestError(503, "too_many_sockets", "Too many open websockets; close some")
        await socket.prepare(request)
        await self._hub.serve(id, socket, request)
        return socket
