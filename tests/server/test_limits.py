"""Every limit of what a client may send, open or queue: below it, at it, and one above."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSMsgType

from execution.queue import QueueFull
from server import connections
from server.admission import Admission
from server.bodies import parse_json
from server.connections import Gate
from server.limits import BadLimit, Limits
from server.problems import RequestError
from server.services import Options
from tests.server.house import TWO_NODES, House, built, ears


def refusal(body: Any, limits: Limits) -> str | None:
    """What is said against a body; None when nothing is."""
    try:
        parse_json(json.dumps(body).encode(), limits)
    except RequestError as error:
        return f"{error.status}: {error.message}"
    return None


def nested(levels: int, kind: str) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value] if kind == "list" else {"a": value}
    return value


@pytest.mark.parametrize("kind", ["list", "object"])
def test_json_may_be_so_deep(kind: str):
    limits = Limits()
    assert refusal(nested(limits.depth - 1, kind), limits) is None
    assert refusal(nested(limits.depth, kind), limits) is None
    assert "400: The body is nested deeper than 64" in (refusal(nested(limits.depth + 1, kind), limits) or "")


def test_texts_and_keys_may_be_so_long():
    limits = Limits()
    for length, fine in ((limits.text - 1, True), (limits.text, True), (limits.text + 1, False)):
        assert (refusal({"a": ["x" * length]}, limits) is None) == fine
    for length, fine in ((limits.key - 1, True), (limits.key, True), (limits.key + 1, False)):
        assert (refusal({"a": [{"k" * length: 1}]}, limits) is None) == fine


async def test_a_body_of_json_may_be_so_large(tmp_path: Path):
    async with built(tmp_path, Options(limits=Limits(body=1000))) as house:
        for size, status in ((999, 200), (1000, 200), (1001, 413)):
            async with house.client.post("/queue", data=b"{}".ljust(size)) as response:
                assert response.status == status, size
        # Files are not held in memory; their own limit is larger.
        async with house.client.post("/userdata/a", data=b"x" * 5000) as response:
            assert response.status == 200


async def test_a_graph_may_hold_pictures_as_text_and_other_bodies_may_not(tmp_path: Path):
    async with built(tmp_path, Options(limits=Limits(text=50))) as house:
        graph = {**TWO_NODES, "1": {"class_type": "EmptyImage", "inputs": {"picture": "x" * 1000}}}
        await house.submit(graph)
        async with house.client.post("/settings", json={"a": "x" * 51}) as response:
            assert response.status == 400


async def test_headers_may_be_so_many(house: House):
    own = {"Host": "localhost", "Accept": "*/*", "Accept-Encoding": "", "User-Agent": "x"}
    for count, status in ((99, 200), (100, 200), (101, 431)):
        more = {f"X-{n}": "1" for n in range(count - len(own))}
        async with house.client.get("/features", headers={**own, **more}) as response:
            assert response.status == status, count


@asynccontextmanager
async def served(house: House, limits: Limits) -> AsyncIterator[int]:
    """The house's application behind our own door; its port."""
    runner = connections.runner(house.client.server.app, limits, 1)  # pyright: ignore[reportAttributeAccessIssue]
    await runner.setup()
    server = await connections.listen(runner, "127.0.0.1", 0, Gate(limits))
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await runner.cleanup()


async def say(port: int, data: bytes) -> bytes:
    """What a connection answers to these bytes until it is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


def request(extra: str = "") -> bytes:
    return f"GET /features HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{extra}\r\n".encode()


async def test_headers_of_a_connection_may_be_so_large_together(house: House):
    async with served(house, Limits()) as port:
        lines = [line.split(": ") for line in request().decode().strip().split("\r\n")[1:]]
        used = sum(len(name) + len(value) + 4 for name, value in lines) + len("X: \r\n") + len("Y: \r\n")
        for size, status in ((16 * 1024 - 1, b"200"), (16 * 1024, b"200"), (16 * 1024 + 1, b"431")):
            rest = size - used
            extra = f"X: {'1' * 5000}\r\nY: {'1' * (rest - 5000)}\r\n"
            assert (await say(port, request(extra))).split()[1] == status, size
        assert (await say(port, request(f"X: {'1' * 40_000}\r\n"))).split()[1] == b"400"
        endless = b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 20_000
        assert (await say(port, endless)).split()[1] in (b"400", b"431")


async def test_a_connection_that_says_nothing_is_closed_in_time(house: House):
    async with served(house, Limits(header_seconds=0.2)) as port:
        for start in (b"", b"GET /features HTTP/1.1\r\nHost: loc", request()[:-2]):
            assert (await say(port, start)).split()[1] == b"408", start
        assert (await say(port, request())).split()[1] == b"200"


async def test_headers_that_come_in_pieces_are_whole_in_the_end(house: House):
    async with served(house, Limits(header_seconds=5)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for byte in request():
            writer.write(bytes([byte]))
            await writer.drain()
        async with asyncio.timeout(10):
            assert (await reader.readline()).split()[1] == b"200"
        writer.close()


async def test_a_connection_in_use_outlives_the_time_for_headers(house: House):
    async with (
        served(house, Limits(header_seconds=0.1)) as port,
        house.client.session.ws_connect(f"ws://127.0.0.1:{port}/ws") as socket,
    ):
        assert (await socket.receive_json())["type"] == "status"
        assert (await say(port, b"")).split()[1] == b"408"  # the time of one that came later is over
        await socket.send_json({"type": "feature_flags", "data": {}})
        assert (await socket.receive_json())["type"] == "feature_flags"


async def test_a_connection_may_be_silent_so_long_between_two_requests(house: House):
    async with served(house, Limits(keep_alive=0.2)) as port:
        answer = await say(port, request().replace(b"Connection: close\r\n", b""))  # read to its end: we close it
        assert answer.split()[1] == b"200"


async def test_there_may_be_so_many_connections(house: House):
    async with served(house, Limits(connections=3)) as port:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        assert (await say(port, request())).split()[1] == b"200"
        held.append(await asyncio.open_connection("127.0.0.1", port))
        assert (await say(port, b"")).split()[1] == b"503"
        held.pop()[1].close()
        async with asyncio.timeout(10):
            while (await say(port, request())).split()[1] != b"200":
                pass
        for _, writer in held:
            writer.close()


def test_connections_are_counted_by_address_and_this_machine_shares_the_whole():
    gate = Gate(Limits(connections=10, connections_each=2))
    assert [gate.enter("10.0.0.1") for _ in range(3)] == [True, True, False]
    assert gate.enter("10.0.0.2")
    assert [gate.enter("127.0.0.1") for _ in range(8)] == [True] * 7 + [False]
    gate.leave("10.0.0.1")
    assert gate.enter("10.0.0.1")
    assert gate.open == 10
    assert gate.refused == 2


async def test_jobs_may_come_so_fast_from_elsewhere(tmp_path: Path):
    now = 0.0
    admission = Admission(Limits(submit_rate=2, submit_burst=3), tmp_path, clock=lambda: now)
    for _ in range(3):
        admission.take("10.0.0.1")
    with pytest.raises(RequestError) as refused:
        admission.take("10.0.0.1")
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "1")
    admission.take("10.0.0.2")  # someone else's
    now = 0.5
    admission.take("10.0.0.1")
    with pytest.raises(RequestError):
        admission.take("10.0.0.1")


async def test_a_program_of_this_machine_may_submit_as_fast_as_it_can(tmp_path: Path):
    async with built(tmp_path, Options(limits=Limits(submit_rate=0.001, submit_burst=1))) as house:
        for _ in range(5):
            await house.submit()


@pytest.mark.parametrize(
    ("total", "free", "fine"),
    [
        (100 * 2**40, 2 * 2**30 + 1, True),
        (100 * 2**40, 2 * 2**30, True),
        (100 * 2**40, 2 * 2**30 - 1, False),
        (10_000, 200, True),  # a small disk: a fiftieth of it
        (10_000, 199, False),
    ],
)
async def test_jobs_are_taken_in_only_while_the_disk_has_room(tmp_path: Path, total: int, free: int, fine: bool):
    class Local:
        remote = "127.0.0.1"

    admission = Admission(Limits(), tmp_path, usage=lambda _: (total, free))
    if fine:
        await admission.check(Local())  # pyright: ignore[reportArgumentType]
        return
    with pytest.raises(RequestError, match="nearly full") as refused:
        await admission.check(Local())  # pyright: ignore[reportArgumentType]
    assert refused.value.status == 507


async def test_when_the_queue_is_full_a_client_is_told_when_to_come_back(house: House, monkeypatch: pytest.MonkeyPatch):
    async def full(*_: object) -> None:
        raise QueueFull(5)

    monkeypatch.setattr(house.services.queue, "put", full)
    async with house.client.post("/prompt", json={"prompt": TWO_NODES}) as answer:
        assert answer.status == 429
        assert int(answer.headers["Retry-After"]) > 0


async def test_a_message_in_may_be_so_large(tmp_path: Path):
    async with built(tmp_path, Options(limits=Limits(frame=1000))) as house:
        for size, fine in ((999, True), (1000, True), (1001, False)):
            async with ears(house) as client:
                await client.socket.send_str("x" * size)
                await client.socket.send_json({"type": "feature_flags", "data": {}})
                answer = await client.socket.receive()
                assert (answer.type is WSMsgType.TEXT) == fine, size
                assert fine or answer.data == 1009


async def test_pings_count_as_talk_and_are_answered(house: House):
    async with house.client.ws_connect("/ws", autoping=False) as socket:
        await socket.receive()
        await socket.ping(b"1")
        assert (await socket.receive()).type is WSMsgType.PONG
        for _ in range(400):
            await socket.ping()
        async with asyncio.timeout(10):
            while not (await socket.receive()).type.name.startswith("CLOS"):
                pass
        assert socket.close_code == 1008


def test_limits_are_set_by_name():
    assert Limits.changed(["connections=5", "header_seconds=0.5"]) == Limits(connections=5, header_seconds=0.5)
    assert Limits.changed(["disk_low=0"]).disk_low == 0


@pytest.mark.parametrize(
    "change", ["connections=-1", "connections=0", "connections=x", "nothing=1", "depth", "depth=1e9"]
)
def test_a_limit_that_cannot_be_is_refused_in_one_sentence(change: str):
    with pytest.raises(BadLimit):
        Limits.changed([change])
