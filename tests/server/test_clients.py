"""How clients come, come back, fall behind and go."""

import asyncio
import json
import socket as sockets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from execution.events import (
    Ending,
    NodeFinished,
    NodeStarted,
    Preview,
    Progress,
    QueueChanged,
    Started,
    Succeeded,
)
from execution.job import Job
from execution.workers.worker import Emit
from server.limits import Limits
from server.outbox import Outbox, Overflow
from server.services import Options
from tests.server.house import TWO_NODES, Ears, House, built, ears, node, wait_for_interrupt

JPEG = b"\xff\xd8\xff\xe0 a picture"
PNG = b"\x89PNG"


async def test_the_first_message_gives_the_id(house: House):
    async with house.client.ws_connect("/api/ws?clientId=mine") as socket:
        assert (await socket.receive_json())["data"] == {
            "status": {"exec_info": {"queue_remaining": 0}},
            "sid": "mine",
        }
    async with house.client.ws_connect("/ws") as socket:
        sid = (await socket.receive_json())["data"]["sid"]
    assert len(sid) == 32
    assert int(sid, 16)


async def test_without_an_upgrade_the_socket_is_a_bad_request(house: House):
    async with house.client.get("/ws") as response:
        assert response.status == 400


async def test_an_id_that_is_no_id_is_refused(house: House):
    async with house.client.get("/ws", params={"clientId": "x" * 257}, headers=upgrade()) as response:
        assert response.status == 400
        assert (await response.json())["error"]["type"] == "invalid_client_id"


def upgrade() -> dict[str, str]:
    return {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }


async def test_flags_are_negotiated_at_any_time(house: House):
    async with ears(house, "me") as client:
        await client.socket.send_str("no json")
        await client.socket.send_json({"type": "something", "data": 1})
        await client.socket.send_json([1])
        await client.socket.send_json({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
        answer = await client.next()
    assert answer["type"] == "feature_flags"
    assert answer["data"]["supports_preview_metadata"] is True
    assert answer["data"]["max_upload_size"] == 1 << 20
    async with house.client.get("/features") as response:
        assert await response.json() == answer["data"]


async def test_the_old_socket_leaving_does_not_silence_the_new_one(house: House):
    async with house.client.ws_connect("/ws?clientId=me") as old, ears(house, "me") as new:
        await old.close()
        ticket = await house.submit(client_id="me")
        assert (await new.end(ticket["prompt_id"]))[-1]["data"]["node"] is None


async def test_a_replaced_socket_stays_open_and_hears_nothing(house: House):
    async with ears(house, "me") as old, ears(house, "me") as new:
        await new.end((await house.submit(client_id="me"))["prompt_id"])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await old.next()
        assert not old.socket.closed


async def test_a_client_that_comes_back_learns_where_things_stand(house: House):
    def show_and_wait(job: Job, emit: Emit, should_stop: Callable[[], bool]) -> Ending:
        emit(Started(job.id, 1.0))
        emit(NodeStarted(job.id, node("3.0.0.1", display="3", parent="3")))
        emit(Progress(job.id, node("3.0.0.1", display="3", parent="3"), 4, 20))
        emit(Preview(job.id, node("3.0.0.1", display="3", parent="3"), "jpeg", JPEG))
        return wait_for_interrupt(job, lambda event: None, should_stop)

    house.engine.script = show_and_wait
    async with ears(house, "me", {"supports_preview_metadata": True}) as client:
        ticket = await house.submit(client_id="me")
        while not isinstance(await client.next(), bytes):
            pass
    async with house.client.ws_connect("/ws?clientId=me") as socket:
        back = Ears(socket)
        status, executing, progress, picture = [await back.next() for _ in range(4)]
        assert status["data"]["status"]["exec_info"]["queue_remaining"] == 1
        assert executing["type"] == "executing"
        assert executing["data"]["node"] == "3"
        assert progress["data"]["nodes"]["3.0.0.1"]["value"] == 4
        assert picture[:4] == b"\0\0\0\4"  # what it negotiated before still holds
        async with house.client.post("/interrupt", json={"prompt_id": ticket["prompt_id"]}):
            pass
        await back.end(ticket["prompt_id"])
    async with house.client.ws_connect("/ws?clientId=stranger") as socket:
        stranger = Ears(socket)
        await stranger.next()
        assert await stranger.silent()


async def test_a_job_begun_again_starts_its_story_over(house: House):
    def twice(job: Job, emit: Emit, should_stop: Callable[[], bool]) -> Ending:
        emit(Started(job.id, 1.0))
        emit(NodeStarted(job.id, node("1")))
        emit(Started(job.id, 2.0))
        emit(NodeStarted(job.id, node("2")))
        emit(NodeFinished(job.id, node("2"), None, reported=False))
        return Succeeded(job.id, 3.0)

    house.engine.script = twice
    async with ears(house, "me") as client:
        heard = await client.end((await house.submit(client_id="me"))["prompt_id"])
    last = [one["data"]["nodes"] for one in heard if one["type"] == "progress_state"][-1]
    assert set(last) == {"2"}


def chain(nodes: int) -> Callable[[Job, Emit, Callable[[], bool]], Ending]:
    def script(job: Job, emit: Emit, should_stop: Callable[[], bool]) -> Ending:
        emit(Started(job.id, 1.0))
        for n in range(nodes):
            emit(NodeStarted(job.id, node(str(n))))
            emit(NodeFinished(job.id, node(str(n)), None, reported=False))
        return Succeeded(job.id, 2.0)

    return script


async def test_what_a_job_costs_on_the_wire_grows_with_its_nodes_not_their_square(house: House):
    sizes: list[int] = []
    async with ears(house, "me") as client:
        for nodes in (300, 1200):
            house.engine.script = chain(nodes)
            heard = await client.end((await house.submit(client_id="me"))["prompt_id"])
            told: set[str] = set()
            for one in heard:
                if one["type"] == "progress_state":
                    told |= {id for id, row in one["data"]["nodes"].items() if row["state"] == "finished"}
            assert told == {str(n) for n in range(nodes)}
            sizes.append(sum(len(json.dumps(one)) for one in heard))
    assert sizes[1] < 5 * sizes[0]


async def test_a_client_that_does_not_read_is_closed_and_holds_up_nobody(house: House):
    def talk(job: Job, emit: Emit, should_stop: Callable[[], bool]) -> Ending:
        emit(Started(job.id, 1.0))
        for n in range(300):
            emit(NodeFinished(job.id, node(str(n)), {"text": ["x" * 100_000]}))
        return Succeeded(job.id, 2.0)

    house.engine.script = talk
    host, port = house.client.host, house.client.port
    with sockets.create_connection((host, port)) as deaf:
        deaf.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        lines = "\r\n".join(f"{name}: {value}" for name, value in upgrade().items())
        deaf.sendall(f"GET /ws?clientId=deaf HTTP/1.1\r\nHost: {host}:{port}\r\n{lines}\r\n\r\n".encode())
        async with asyncio.timeout(10):
            while "deaf" not in house.hub.clients():
                await asyncio.sleep(0.005)
        async with ears(house, "me") as me:
            ticket = await house.submit(client_id="deaf")
            await house.history(ticket["prompt_id"])
            async with asyncio.timeout(10):
                while "deaf" in house.hub.clients():
                    await asyncio.sleep(0.005)
            house.engine.script = chain(2)
            await me.end((await house.submit(client_id="me"))["prompt_id"])


async def test_a_client_that_asked_for_it_starts_over_instead_of_being_closed(house: House):
    async with ears(house, "me", {"resync": True}) as client:
        await house.submit({**TWO_NODES}, client_id="other")
        for _ in range(60):
            house.hub.send("news", "x" * 100_000, to=["me"])
        heard = await client.until("resync")
        assert heard[-1]["data"]["dropped"] > 0
        assert (await client.next())["type"] == "status"
        house.hub.publish(QueueChanged(5))
        await client.until("status", status={"exec_info": {"queue_remaining": 5}})


async def test_there_are_only_so_many_sockets(tmp_path: Path):
    async with built(tmp_path, Options(limits=Limits(sockets=2))) as house:
        async with ears(house, "a"), ears(house, "b"), house.client.get("/ws", headers=upgrade()) as response:
            assert response.status == 503
            assert (await response.json())["error"]["type"] == "too_many_sockets"
        async with asyncio.timeout(10):
            while house.hub.sockets:
                await asyncio.sleep(0.005)
        async with ears(house, "c"):
            pass


async def test_too_much_talk_ends_the_conversation(house: House):
    async with house.client.ws_connect("/ws") as socket:
        for _ in range(400):
            await socket.send_str("{}")
        async with asyncio.timeout(10):
            while not (await socket.receive()).type.name.startswith("CLOS"):
                pass
        assert socket.close_code == 1008


async def test_a_frame_that_is_too_large_ends_the_conversation(house: House):
    async with ears(house) as client:
        await client.socket.send_str("x" * (300 * 1024))
        message = await client.socket.receive()
        assert message.data == 1009


async def test_sockets_are_told_when_the_server_stops(house: House):
    async with ears(house) as client:
        await house.hub.close()
        message = await client.socket.receive()
        assert message.data == 1001


async def drain(outbox: Outbox) -> list[Any]:
    return [await outbox.take() for _ in range(len(outbox))]


async def test_as_long_as_a_client_keeps_up_nothing_is_left_out():
    outbox = Outbox(soft=10)
    for n in range(10):
        outbox.put(f"{n}", key="progress")
    assert await drain(outbox) == [f"{n}" for n in range(10)]


async def test_beyond_that_only_the_newest_of_a_kind_waits():
    outbox = Outbox(soft=3)
    for n in range(3):
        outbox.put(f"result {n}")
    for n in range(100):
        outbox.put(f"progress {n}", key="progress")
        outbox.put(f"picture {n}".encode(), key="picture", preview=True)
    assert await drain(outbox) == ["result 0", "result 1", "result 2", "progress 99", b"picture 99"]
    assert outbox.dropped == 198


async def test_pictures_on_the_way_are_given_up_before_anything_else():
    outbox = Outbox(hard=100)
    outbox.put(b"p" * 60, preview=True)
    outbox.put("r" * 90)
    outbox.put(b"p" * 60, preview=True)
    assert await drain(outbox) == ["r" * 90]
    assert outbox.bytes == 0


async def test_results_are_never_given_up_in_silence():
    outbox = Outbox(hard=100, hard_images=1000)
    outbox.put("r" * 90)
    outbox.put(b"i" * 900, result=True)
    with pytest.raises(Overflow):
        outbox.put("r" * 90)
    with pytest.raises(Overflow):
        outbox.put(b"i" * 900, result=True)
    assert await drain(outbox) == ["r" * 90, b"i" * 900]


async def test_a_whole_batch_of_finished_images_arrives_over_the_socket(house: House):
    image = PNG + b"x" * (1 << 20)

    def deliver(job: Job, emit: Emit, should_stop: Callable[[], bool]) -> Ending:
        emit(Started(job.id, 1.0))
        for _ in range(8):
            emit(Preview(job.id, node("2"), "png", image))
        return Succeeded(job.id, 2.0)

    house.engine.script = deliver
    async with ears(house, "me") as client:
        heard = await client.end((await house.submit(client_id="me"))["prompt_id"])
    pictures = [one for one in heard if isinstance(one, bytes)]
    assert len(pictures) == 8
    assert pictures[0][:8] == b"\0\0\0\1\0\0\0\2"
