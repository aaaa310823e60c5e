"""What holds for each and every route, read from the application itself: a new route is tested by existing."""

import random
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from tests.server.house import House, access, built

CHANGING = ("POST", "PUT", "PATCH", "DELETE")
ODD = [
    *["..%2f..%2fetc%2fpasswd", "%00", "%ff", "a" * 300, "%2e%2e", "..%5cx", "null", "-1", "%F0%9F%8E%A8", "%22%3E"],
    *["__proto__", "input", "checkpoints", "loras", "*", "%25", "1", "con", "a%20b", "%c3%28"],
]
BODIES: list[tuple[str, bytes]] = [
    ("application/json", b""),
    ("application/json", b"{}"),
    ("application/json", b"[]"),
    ("application/json", b'"x"'),
    ("application/json", b'{"prompt": 5, "number": "nan", "client_id": {"a": 1}, "delete": 1, "username": []}'),
    ("application/json", b'{"clear": {}, "delete": [1, "x"], "prompt_id": 7, "job_ids": "x", "enabled": 1}'),
    ("application/json", b"\xff\xfe{"),
    ("text/plain", b"{}"),
    ("application/x-www-form-urlencoded", b"a=1&b=2"),
    ("multipart/form-data; boundary=x", b"--x\r\n\r\n--x--"),
    ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=image\r\n\r\n1\r\n--x--\r\n"),
    ("multipart/form-data", b"--x--"),
    ("application/json", b"[" * 5000),
]
QUERIES = [
    *["", "?filename=..%2f..%2fx", "?dir=..", "?path=%00", "?max_items=-9&offset=99999999", "?max_items=1e9"],
    *["?type=x&filename=a", "?preview=;;;&filename=a.png", "?channel=zz&filename=a.png", "?limit=%27&status=;"],
    *[
        "?clientId=%00",
        "?overwrite=%ff",
        "?filename=a.png&subfolder=%2e%2e%2f",
        "?filename=[input]",
        "?recurse=1&dir=.",
    ],
]


def routes(house: House) -> list[tuple[str, str]]:
    """Method and path of every route, once."""
    found: set[tuple[str, str]] = set()
    for route in house.client.server.app.router.routes():  # pyright: ignore[reportAttributeAccessIssue]  # TestServer
        path = route.resource.canonical if route.resource else ""
        method = "PROPPATCH" if route.method == "*" else route.method
        found.add((method, path))
    return sorted(found)


def filled(path: str, values: list[str], chance: random.Random) -> str:
    """A path with every {name} replaced."""
    return re.sub(r"\{[^}]*\}", lambda _: chance.choice(values), path)


@pytest.fixture
async def quiet(tmp_path: Path) -> AsyncIterator[House]:
    async with built(tmp_path, checked=True) as made:
        (made.folders.output / "a.png").write_bytes(b"no picture")
        yield made


@pytest.mark.parametrize("seed", range(4))
async def test_no_request_makes_the_server_fail(quiet: House, seed: int):
    chance = random.Random(seed)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        for method, path in routes(quiet):
            url = URL(quiet.url + filled(path, ODD, chance) + chance.choice(QUERIES), encoded=True)
            kind, body = chance.choice(BODIES) if method in CHANGING else ("application/json", b"")
            request: dict[str, Any] = {"data": body, "headers": {"Content-Type": kind}} if body else {}
            async with session.request(method, url, **request) as response:
                text = await response.read()
                told_so = response.status == 503 and b"SERVICE_DISABLED" in text
                assert response.status < 500 or told_so, f"{method} {url} {kind} {body!r}: {text!r}"
        async with session.get(quiet.url + "/health") as response:
            assert response.status == 200


async def test_no_page_of_another_site_reaches_any_route(quiet: House):
    for method, path in routes(quiet):
        target = filled(path, ["x"], random.Random(0))
        for marks in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
            async with quiet.client.request(method, target, headers=marks) as response:
                assert response.status == 403, f"{method} {target} {marks}"


async def test_no_route_is_open_to_the_network_without_the_token(tmp_path: Path):
    async with built(tmp_path, access(loopback=False, token="t")) as house:
        for method, path in routes(house):
            target = filled(path, ["x"], random.Random(0))
            async with house.client.request(method, target) as response:
                expected = 200 if target in ("/health", "/api/health") else 401
                assert response.status == expected, f"{method} {target}"


async def test_reading_changes_nothing(quiet: House):
    """No GET has a side effect: an image tag of another page could send it."""

    def state() -> dict[str, bytes]:
        base = quiet.folders.base
        return {
            str(path.relative_to(base)): path.read_bytes()
            for path in base.rglob("*")
            if path.is_file() and not path.name.startswith("jobs.sqlite")
        }

    before = state()
    for method, path in routes(quiet):
        if method == "GET":
            async with quiet.client.get(filled(path, ["x"], random.Random(0))) as response:
                await response.read()
    assert state() == before
    assert quiet.services.queue.remaining == 0


async def test_compressed_bodies_are_refused(quiet: House):
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    async with quiet.client.post("/prompt", data=b"\x1f\x8b", headers=headers) as response:
        assert response.status == 415
