"""Others are told of a job's end, until they have heard."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from server.v1 import webhooks as sending
from server.v1.problems import Refused
from server.v1.webhooks import PrivateAddress, PublicResolver, checked_url, is_private, pause, sign
from tests.server.house import TWO_NODES, built
from tests.server.v1.conftest import Api

SECRET = "correct horse"


@dataclass
class Receiver:
    """Answers with the statuses it was given, then with 200."""

    url: str = ""
    statuses: list[int] = field(default_factory=list[int])
    heard: list[tuple[Any, bytes]] = field(default_factory=list[tuple[Any, bytes]])
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        self.heard.append((request.headers, await request.read()))
        self.news.set()
        status = self.statuses.pop(0) if self.statuses else 200
        return web.Response(status=status, headers={"Location": "/hook"} if status == 302 else {})

    async def times(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.heard) < count:
                self.news.clear()
                await self.news.wait()


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/hook", receiver.take)
    async with TestServer(app) as server:
        receiver.url = str(server.make_url("/hook"))
        yield receiver


async def test_the_end_of_a_job_is_told_and_signed(api: Api, receiver: Receiver):
    job = await api.run(webhook={"url": receiver.url, "secret": SECRET})
    await receiver.times(1)
    headers, body = receiver.heard[0]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mac = hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(mac).decode()}"
    told = json.loads(body)
    assert told["type"] == "job.ended"
    assert told["data"] == job
    api.fits(told["data"], {"$ref": "#/components/schemas/Job"})


async def test_who_does_not_take_it_is_told_again(api: Api, receiver: Receiver, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sending, "FIRST_PAUSE", 0.01)
    receiver.statuses = [500, 302, 404]
    await api.run(webhook={"url": receiver.url})
    await receiver.times(4)
    ids = {headers["webhook-id"] for headers, _ in receiver.heard}
    assert len(ids) == 1, "the receiver must be able to tell that it is the same"


async def test_a_job_taken_back_is_told_too(api: Api, receiver: Receiver):
    await api("POST", "/v1/queue/pause")
    said = await api("POST", "/v1/jobs", {"graph": TWO_NODES, "webhook": {"url": receiver.url}})
    await api("DELETE", f"/v1/jobs/{said.body['id']}")
    await receiver.times(1)
    assert json.loads(receiver.heard[0][1])["data"]["state"] == "cancelled"


async def test_what_one_server_could_not_tell_the_next_one_tells(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sending, "FIRST_PAUSE", 0.2)
    receiver.statuses = [503]
    async with built(tmp_path, checked=True) as house:
        body = {"graph": TWO_NODES, "webhook": {"url": receiver.url}}
        async with house.client.post("/v1/jobs?wait=20", json=body) as response:
            assert response.status == 200
        await receiver.times(1)
    async with built(tmp_path, checked=True):
        await receiver.times(2)


async def test_a_receiver_that_is_gone_is_given_up_after_a_day(
    api: Api, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sending, "GIVE_UP_AFTER", -1)
    receiver.statuses = [500]
    await api.run(webhook={"url": receiver.url})
    await receiver.times(1)
    async with asyncio.timeout(20):
        while await api.house.services.webhooks.due(1e12, 1) != ([], None):
            await asyncio.sleep(0.01)


def test_pauses_grow_to_an_hour():
    assert [pause(tries) for tries in (0, 1, 2, 30)] == [5, 10, 20, 3600]


def test_a_secret_in_base64_is_taken_for_what_it_says():
    """The example of the Standard Webhooks specification."""
    signature = sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x",
        "http://[::1]/",
        "http://10.1.2.3:80/",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/",
    ],
)
def test_addresses_of_this_network_are_for_those_on_this_machine_only(url: str):
    assert checked_url(url, local=True) == url
    with pytest.raises(Refused):
        checked_url(url, local=False)


@pytest.mark.parametrize("address", ["0.0.0.0", "192.168.1.1", "fe80::1%eth0", "224.0.0.1", "100.64.0.1", "fd00::1"])
def test_no_private_address_is_taken_for_a_public_one(address: str):
    assert is_private(address)
    assert not is_private("93.184.216.34")


async def test_a_name_that_leads_here_is_refused_when_it_is_resolved():
    with pytest.raises(PrivateAddress):
        await PublicResolver().resolve("localhost", 80)
