"""Whether another job may come in just now: not faster than agreed, and only while the disk has room for what it makes.

Programs of this machine may submit as fast as they like: they belong to its owner, and the queue has an end.
"""

import asyncio
import math
import shutil
import time
from collections import OrderedDict
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from server.guard import is_loopback
from server.limits import Limits
from server.problems import RequestError

_MOST_ADDRESSES = 10_000
_LOOK_AGAIN = 1.0  # seconds for which the disk's free space is taken to stay as it is


class Admission:
    """folder: where results go. clock: seconds. usage: of a folder's disk, bytes in all and free."""

    def __init__(
        self,
        limits: Limits,
        folder: Path,
        clock: Callable[[], float] = time.monotonic,
        usage: Callable[[Path], tuple[int, int]] | None = None,
    ):
        self._limits, self._folder, self._clock = limits, folder, clock
        self._usage = usage or _usage
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # address → tokens left, and when
        self._room: tuple[float, bool] = (-math.inf, True)

    async def check(self, request: web.Request) -> None:
        """Call before a submit is read. Raises RequestError 429 or 507."""
        address = request.remote or ""
        if not is_loopback(address):
            self.take(address)
        if not await self._has_room():
            raise RequestError(
                HTTPStatus.INSUFFICIENT_STORAGE,
                "disk_low",
                "The disk is nearly full; nothing was queued",
                "Jobs that wait are kept. Make room, or lower the limit with --limit disk_low=BYTES.",
            )

    def take(self, address: str) -> None:
        """Count one submit of an address. Raises RequestError 429 when it comes too fast."""
        now, most, rate = self._clock(), self._limits.submit_burst, self._limits.submit_rate
        tokens, since = self._buckets.pop(address, (float(most), now))
        tokens = min(most, tokens + (now - since) * rate)
        if tokens < 1:
            self._buckets[address] = (tokens, now)
            wait = max(1, math.ceil((1 - tokens) / rate))
            raise RequestError(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too_many_submits",
                f"More than {rate:g} jobs a second come from this address",
                headers={"Retry-After": str(wait)},
            )
        self._buckets[address] = (tokens - 1, now)
        while len(self._buckets) > _MOST_ADDRESSES:  # the one that has been silent longest is forgotten
            self._buckets.popitem(last=False)

    async def _has_room(self) -> bool:
        now = self._clock()
        if now - self._room[0] >= _LOOK_AGAIN:
            total, free = await asyncio.to_thread(self._usage, self._folder)
            self._room = (now, free >= min(self._limits.disk_low, total // 50))
        return self._room[1]


def _usage(folder: Path) -> tuple[int, int]:
    while not folder.exists() and folder != folder.parent:  # someone cleaned it away; who writes makes it again
        folder = folder.parent
    found = shutil.disk_usage(folder)
    return found.total, found.free
