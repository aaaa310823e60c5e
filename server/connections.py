"""Connections before they are requests: how many there may be, and how long one may take to say what it wants.

aiohttp begins to count when a request's headers are complete; whoever opens a thousand connections and sends one byte
every few seconds is never seen by it. So a gatekeeper stands before its protocol: it counts connections, closes those
whose first headers do not come in time, and passes everything else on as it is. Between two requests of a connection
aiohttp's own time-out (`keep_alive`) holds.
"""

import asyncio
import logging
import ssl
from collections import Counter
from typing import cast

from aiohttp import web
from aiohttp.http import HttpProcessingError

from server.guard import is_loopback
from server.limits import Limits

BACKLOG = 512  # connections the system holds until we accept them: all clients come back at once after a restart
_END_OF_HEAD = b"\r\n\r\n"
_HARD = 4  # so many times the limit of headers is not even passed on


def runner(app: web.Application, limits: Limits, shutdown: float) -> web.AppRunner:
    """aiohttp's runner with our limits for headers. shutdown: seconds that open requests may take at the end."""
    return web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=shutdown,
        keepalive_timeout=limits.keep_alive,
        # Twice our limits, so that what is a little too much comes to the guard and is told so.
        max_line_size=2 * limits.headers,
        max_field_size=2 * limits.headers,
        max_headers=2 * limits.header_count,
        auto_decompress=False,  # the guard refuses what is compressed; until then nobody looks into it
        logger=_quiet_log(),
    )


def _quiet_log() -> logging.Logger:
    """aiohttp logs what is no HTTP as an error with its trace; any scanner of ports would fill the log with that."""
    log = logging.getLogger("server.http")
    log.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError)))
    return log


async def listen(
    runner: web.AppRunner, address: str, port: int, gate: "Gate", tls: ssl.SSLContext | None = None
) -> asyncio.Server:
    """Accept connections. runner: set up. gate: one for all addresses of a server. port 0 takes a free one."""
    server = runner.server
    if server is None:
        raise RuntimeError("call runner.setup() first")
    handshake = gate.limits.header_seconds if tls else None
    return await asyncio.get_running_loop().create_server(
        lambda: _Connection(server(), gate), address, port, ssl=tls, ssl_handshake_timeout=handshake, backlog=BACKLOG
    )


class Gate:
    """Counts what is open. Addresses of this machine share the whole: all its programs have the same one."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self.refused = 0
        self._open: Counter[str] = Counter()
        self._total = 0

    @property
    def open(self) -> int:
        return self._total

    def enter(self, address: str) -> bool:
        """Whether there is room for another connection from this address; if so it counts until `leave`."""
        full = self._total >= self.limits.connections
        if full or (self._open[address] >= self.limits.connections_each and not is_loopback(address)):
            self.refused += 1
            return False
        self._open[address] += 1
        self._total += 1
        return True

    def leave(self, address: str) -> None:
        self._total -= 1
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]


class _Connection(asyncio.Protocol):
    """One connection: aiohttp's protocol behind the gate."""

    def __init__(self, inner: asyncio.Protocol, gate: Gate):
        self._inner, self._gate = inner, gate
        self._address = ""
        self._inside = False
        self._transport: asyncio.Transport | None = None
        self._late: asyncio.TimerHandle | None = None
        self._tail = b""  # the last bytes of a head that is not complete
        self._size = 0  # and how many came

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer: tuple[str, int] | str | None = transport.get_extra_info("peername")
        self._address = peer[0] if isinstance(peer, tuple) else ""
        if not self._gate.enter(self._address):
            self._refuse("503 Service Unavailable", "Too many open connections")
            return
        self._inside = True
        wait = self._gate.limits.header_seconds
        self._late = asyncio.get_running_loop().call_later(wait, self._lose_patience)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if not self._inside:
            return
        if self._late is not None:
            self._look_for_the_end(data)
        if self._size <= _HARD * self._gate.limits.headers:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._inside else None

    def pause_writing(self) -> None:
        if self._inside:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._inside:
            self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._relax()
        if self._inside:
            self._inside = False
            self._gate.leave(self._address)
            self._inner.connection_lost(exc)

    def _look_for_the_end(self, data: bytes) -> None:
        seen = self._tail + data
        if _END_OF_HEAD in seen:
            self._relax()
            return
        self._tail = seen[-len(_END_OF_HEAD) + 1 :]
        self._size += len(data)
        if self._size > _HARD * self._gate.limits.headers:
            self._relax()
            self._refuse("431 Request Header Fields Too Large", "The request's headers do not end")

    def _relax(self) -> None:
        """The head has come, or nobody waits for it any more."""
        if self._late is not None:
            self._late.cancel()
        self._late, self._tail = None, b""

    def _lose_patience(self) -> None:
        self._late = None
        seconds = self._gate.limits.header_seconds
        self._refuse("408 Request Timeout", f"No complete request came within {seconds:g} seconds")

    def _refuse(self, status: str, text: str) -> None:
        if self._transport is not None:
            head = f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: {len(text)}"
            self._transport.write(f"{head}\r\n\r\n{text}".encode())
            self._transport.close()
