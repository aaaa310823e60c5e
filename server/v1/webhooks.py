"""Telling others that a job has ended: a signed POST, tried again for a day.

The form is that of Standard Webhooks (https://www.standardwebhooks.com): `webhook-id`, `webhook-timestamp` and
`webhook-signature`, a base64 HMAC-SHA256 over "id.timestamp.body".

What is sent to is chosen by clients. When they may be on other machines, addresses of this machine and its network are
refused, after the name was resolved, and the connection goes to the very address that was looked at. Redirects are not
followed, answers not read.
"""

import asyncio
import base64
import binascii
import contextlib
import hashlib
import hmac
import ipaddress
import logging
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from server.v1.jobs import JobView
from server.v1.problems import Refused
from storage.webhooks import Webhook, Webhooks

log = logging.getLogger(__name__)

AT_ONCE = 8
SECONDS = 10.0  # for one try
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 3600.0
GIVE_UP_AFTER = 24 * 3600.0
_TAKEN_BACK = 410  # the receiver wants no more of these


class PrivateAddress(OSError):
    """A name that leads to this machine or its network, where it must not."""


def checked_url(url: str, local: bool) -> str:
    """A URL that may be told to. local: whether everyone who can reach us is on this machine, and may so reach
    everything on it anyway. Raises Refused 422."""
    try:
        parts = urlsplit(url)
        name, _ = parts.hostname, parts.port
    except ValueError:
        name = None
    if not name:
        raise Refused(422, "invalid_webhook", "The webhook's url must be http or https with a host", "/webhook/url")
    if not local and _is_address(name) and is_private(name):
        raise Refused(422, "private_webhook", f"{name} is an address of this machine or its network", "/webhook/url")
    return url


def is_private(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return not found.is_global or found.is_multicast


def sign(secret: str, id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` of a message. secret: text; base64 after `whsec_`."""
    key = secret.encode()
    if secret.startswith("whsec_"):
        with contextlib.suppress(binascii.Error):
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    mac = hmac.new(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(mac.digest()).decode()}"


def pause(tries: int) -> float:
    """Seconds until the next try after so many in vain."""
    return min(FIRST_PAUSE * 2**tries, LONGEST_PAUSE)


class PublicResolver(AbstractResolver):
    """Names resolved as ever, without the addresses that must not be reached."""

    def __init__(self) -> None:
        self._inner = ThreadedResolver()

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        public = [one for one in found if not is_private(one["host"])]
        if not public:
            raise PrivateAddress(f"{host} is an address of this machine or its network")
        return public

    async def close(self) -> None:
        await self._inner.close()


class Deliveries:
    """Sends what is due, from `start` to `close`. `wake` is called on the loop when more may be due."""

    def __init__(self, webhooks: Webhooks, view: JobView, local: bool, clock: Callable[[], float] = time.time):
        self._webhooks, self._view, self._local, self._clock = webhooks, view, local, clock
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        self._news.set()

    async def start(self) -> None:
        self._task = asyncio.create_task(self._send_until_closed(), name="webhooks")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _send_until_closed(self) -> None:
        resolver = ThreadedResolver() if self._local else PublicResolver()
        connector = TCPConnector(resolver=resolver, limit=AT_ONCE)
        async with ClientSession(connector=connector, timeout=ClientTimeout(total=SECONDS)) as session:
            while True:
                self._news.clear()
                try:
                    due, later = await self._webhooks.due(self._clock(), AT_ONCE)
                    await asyncio.gather(*(self._send(session, one) for one in due))
                except Exception:
                    log.exception("Webhooks could not be sent")
                    due, later = (), self._clock() + LONGEST_PAUSE / 60
                if not due:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(None if later is None else max(0.01, later - self._clock())):
                            await self._news.wait()

    async def _send(self, session: ClientSession, hook: Webhook) -> None:
        try:
            job = await self._view.one(hook.job)
        except Refused:
            await self._webhooks.settle(hook.number)  # forgotten meanwhile, by its owner
            return
        body = msgspec.json.encode({"type": "job.ended", "data": job})
        trouble = await self._try(session, hook, body)
        if trouble is None:
            await self._webhooks.settle(hook.number)
        elif self._clock() - hook.ended > GIVE_UP_AFTER:
            log.warning("The webhook of job %s is given up after a day: %s", hook.job, trouble)
            await self._webhooks.settle(hook.number)
        else:
            log.info("The webhook of job %s was not taken (%s); it is tried again", hook.job, trouble)
            await self._webhooks.postpone(hook.number, self._clock() + pause(hook.tries))

    async def _try(self, session: ClientSession, hook: Webhook, body: bytes) -> str | None:
        """Why it was not taken; None when it was."""
        id, timestamp = f"{hook.job}-{hook.number}", int(self._clock())
        headers = {"Content-Type": "application/json", "webhook-id": id, "webhook-timestamp": str(timestamp)}
        if hook.secret is not None:
            headers["webhook-signature"] = sign(hook.secret, id, timestamp, body)
        try:
            async with session.post(hook.url, data=body, headers=headers, allow_redirects=False) as response:
                done = response.status < 300 or response.status == _TAKEN_BACK
                return None if done else f"answered {response.status}"
        except (ClientError, OSError, TimeoutError, ValueError) as error:
            return f"{type(error).__name__}: {error}"[:300]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
