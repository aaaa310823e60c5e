"""One websocket: what waits for it, what it said it can do, and the two loops that write and read."""

import asyncio
import contextlib
import json
import logging
import time
from typing import Any, cast

from aiohttp import WSMsgType, web

from server.outbox import Outbox
from server.turns import Turns

logger = logging.getLogger(__name__)

IN_PER_SECOND, IN_BURST = 50, 200
TRY_AGAIN_LATER, POLICY, GOING_AWAY = 1013, 1008, 1001
_PATIENCE = 5.0


class Client:
    """flags: what the client negotiated; only the value true counts, so ask `supports`. turns: of all clients."""

    def __init__(
        self, id: str, socket: web.WebSocketResponse, request: web.Request, flags: dict[str, Any], turns: Turns
    ):
        self.id, self.flags = id, flags
        self._turns = turns
        self.outbox = Outbox()
        self._socket, self._request = socket, request
        self._tokens, self._counted = float(IN_BURST), time.monotonic()

    def supports(self, flag: str) -> bool:
        return self.flags.get(flag) is True

    async def write(self) -> None:
        """Send what waits, in order, until the socket is gone. A slow reader holds up nobody but itself."""
        with contextlib.suppress(ConnectionError, RuntimeError):  # closed meanwhile: the reading loop sees it too
            while not self._socket.closed:
                frame = await self.outbox.take()
                await self._turns.take()
                if isinstance(frame, str):
                    await self._socket.send_str(frame)
                else:
                    await self._socket.send_bytes(frame)

    async def read(self) -> None:
        """Listen until the socket closes. The only thing a client can say is what it supports."""
        async for said in self._socket:
            if not self._may_speak():
                await self._socket.close(code=POLICY, message=b"too many messages")
                return
            if said.type is WSMsgType.TEXT:
                self._hear(cast(str, said.data))
            elif said.type is WSMsgType.PING:
                await self._socket.pong(cast(bytes, said.data))

    async def close(self, code: int, reason: bytes) -> None:
        """Close, and do not wait for long on someone who does not read."""
        with contextlib.suppress(TimeoutError, ConnectionError, RuntimeError):
            await asyncio.wait_for(self._socket.close(code=code, message=reason, drain=False), _PATIENCE)
        if (transport := self._request.transport) is not None:
            transport.abort()

    def _hear(self, text: str) -> None:
        try:
            said: Any = json.loads(text)
        except (ValueError, RecursionError):
            logger.debug("client %s sent text that is not JSON", ascii(self.id))
            return
        if not isinstance(said, dict):
            return
        parsed = cast(dict[str, Any], said)
        data = parsed.get("data")
        if parsed.get("type") == "feature_flags" and isinstance(data, dict):
            self.flags.clear()
            self.flags.update(cast(dict[str, Any], data))
            self.on_flags()

    def on_flags(self) -> None:
        """Replaced by the hub: the client said what it supports."""

    def _may_speak(self) -> bool:
        now = time.monotonic()
        self._tokens = min(IN_BURST, self._tokens + (now - self._counted) * IN_PER_SECOND)
        self._counted = now
        self._tokens -= 1
        return self._tokens >= 0
