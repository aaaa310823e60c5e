"""Who may use the server: programs of this machine, our own page, and nobody's else."""

import asyncio
import http.client
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.guard import is_loopback
from tests.server.house import House, access, built

JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def listening(tmp_path: Path) -> AsyncIterator[House]:
    """Bound to the network, with a token."""
    async with built(tmp_path, access(loopback=False, token="open-sesame")) as made:
        yield made


async def status(house: House, method: str, path: str, headers: dict[str, str], body: str | None = None) -> int:
    async with house.client.request(method, path, headers=headers, data=body, allow_redirects=False) as response:
        await response.read()
        return response.status


def own(house: House) -> str:
    return f"http://{house.client.host}:{house.client.port}"


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1234", "127.0.0.1", "127.8.8.8:80", "[::1]:8188", "ui.localhost:8188"]
)
async def test_this_machines_own_names_are_answered(house: House, host: str):
    assert await status(house, "GET", "/features", {"Host": host}) == 200


@pytest.mark.parametrize(
    "host",
    [
        *["evil.example", "localhost.evil.example", "2130706433", "0x7f.1", "127.1", "127.0.0.1.evil.example"],
        *["192.168.1.5", "mybox", "user@localhost", "localhost@evil"],
    ],
)
async def test_a_foreign_name_is_not_ours(house: House, host: str):
    assert await status(house, "GET", "/features", {"Host": host}) in (400, 403)


async def test_two_host_headers_or_none_are_refused(house: House):
    def ask(hosts: list[str]) -> int:
        connection = http.client.HTTPConnection(house.client.host, house.client.port, timeout=10)
        connection.putrequest("GET", "/features", skip_host=True)
        for host in hosts:
            connection.putheader("Host", host)
        connection.endheaders()
        try:
            return connection.getresponse().status
        finally:
            connection.close()

    assert await asyncio.to_thread(ask, ["localhost", "localhost"]) == 400
    assert await asyncio.to_thread(ask, []) == 400


async def test_a_name_can_be_allowed(tmp_path: Path):
    async with built(tmp_path, access(allow_hosts=("studio.example",))) as house:
        assert await status(house, "GET", "/features", {"Host": "studio.example"}) == 200
        assert await status(house, "GET", "/features", {"Host": "other.example"}) == 403
        assert await status(house, "POST", "/queue", {"Origin": "https://studio.example", **JSON}, "{}") == 200


async def test_scripts_may_post_json_under_any_content_type(house: House):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json"):
        assert await status(house, "POST", "/queue", {"Content-Type": kind}, "{}") == 200


async def test_our_own_page_may_do_everything(house: House):
    page = {"Origin": own(house), "Sec-Fetch-Site": "same-origin", **JSON}
    assert await status(house, "POST", "/queue", page, "{}") == 200
    assert await status(house, "POST", "/interrupt", page) == 200
    assert await status(house, "GET", "/queue", {"Sec-Fetch-Site": "same-origin"}) == 200
    assert await status(house, "GET", "/", {"Sec-Fetch-Site": "none"}) == 200
    assert await status(house, "POST", "/userdata/a.json", {**page, "Content-Type": "text/plain"}, "x") == 200


@pytest.mark.parametrize(
    "marks",
    [
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://[bad"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Referer": "http://evil.example/page"},
    ],
)
async def test_other_pages_change_nothing(house: House, marks: dict[str, str]):
    assert await status(house, "POST", "/queue", {**marks, **JSON}, '{"clear": true}') == 403


@pytest.mark.parametrize("marks", [{"Origin": "null"}, {"Origin": "http://evil.example"}])
async def test_other_pages_open_no_socket(house: House, marks: dict[str, str]):
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    assert await status(house, "GET", "/ws", {**upgrade, **marks}) == 403


async def test_other_pages_read_and_embed_nothing(house: House):
    (house.folders.output / "a.png").write_bytes(b"x")
    cross = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    assert await status(house, "GET", "/view?filename=a.png", cross) == 403
    assert await status(house, "GET", "/view?filename=a.png", {"Sec-Fetch-Site": "same-origin"}) == 200


async def test_a_link_from_elsewhere_opens_the_editor_and_nothing_else(house: House):
    visit = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert await status(house, "GET", "/", visit) == 200
    assert await status(house, "GET", "/", {**visit, "Sec-Fetch-Dest": "iframe"}) == 403
    assert await status(house, "GET", "/queue", visit) == 403


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/octet-stream"])
async def test_a_page_changes_things_only_with_json_or_an_upload(house: House, kind: str):
    page = {"Origin": own(house), "Content-Type": kind}
    assert await status(house, "POST", "/queue", page, "{}") == 415


async def test_refusals_say_what_to_do(house: House):
    async with house.client.get("/queue", headers={"Host": "evil.example"}) as response:
        error = (await response.json())["error"]
    assert "--allow-host" in error["details"]


async def test_no_origin_may_read_us_unless_it_was_named(house: House, tmp_path: Path):
    async with house.client.options("/prompt", headers={"Origin": own(house)}) as response:
        assert (response.status, await response.read()) == (200, b"")
        assert "Access-Control-Allow-Origin" not in response.headers


async def test_a_named_origin_may_use_us_and_only_that_one(tmp_path: Path):
    async with built(tmp_path, access(cors_origin="https://app.example")) as house:
        app = {"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site", **JSON}
        async with house.client.post("/queue", headers=app, data="{}") as response:
            assert response.status == 200
            assert response.headers["Access-Control-Allow-Origin"] == "https://app.example"
            assert response.headers["Access-Control-Allow-Methods"] == "POST, GET, DELETE, PUT, OPTIONS, PATCH"
            assert response.headers["Access-Control-Allow-Headers"] == "Content-Type, Authorization"
            assert response.headers["Access-Control-Allow-Credentials"] == "true"
        async with house.client.post("/queue", headers=app, data="{") as response:  # errors carry them too
            assert response.status == 400
            assert "Access-Control-Allow-Origin" in response.headers
        async with house.client.options("/prompt", headers=app) as response:
            assert response.status == 200
        assert await status(house, "POST", "/queue", {**app, "Origin": "https://evil.example"}, "{}") == 403
        assert await status(house, "POST", "/queue", {**app, "Origin": "null"}, "{}") == 403


async def test_every_origin_may_when_that_was_asked_for(tmp_path: Path):
    async with built(tmp_path, access(cors_origin="*")) as house:
        assert await status(house, "POST", "/queue", {"Origin": "https://any.example", **JSON}, "{}") == 200
        assert await status(house, "POST", "/queue", {"Origin": "null", **JSON}, "{}") == 403
        assert await status(house, "GET", "/queue", {"Host": "evil.example"}) == 403


async def test_beyond_this_machine_a_token_is_needed(listening: House):
    for path in ("/", "/queue", "/ws", "/view?filename=a", "/internal/logs", "/nothing"):
        assert await status(listening, "GET", path, {}) == 401, path
    assert await status(listening, "POST", "/prompt", {}, "{}") == 401
    assert await status(listening, "GET", "/health", {}) == 200


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Authorization": "Bearer open-sesame"}, 200),
        ({"Authorization": "bearer open-sesame"}, 200),
        ({"Cookie": "heddle_token=open-sesame"}, 200),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Authorization": "Basic open-sesame"}, 401),
        ({"Authorization": "Bearer " + "x" * 7000}, 401),
        ({"Cookie": "heddle_token="}, 401),
    ],
)
async def test_the_token_can_be_shown_in_a_header_or_a_cookie(listening: House, headers: dict[str, str], expected: int):
    assert await status(listening, "GET", "/queue", headers) == expected


async def test_the_first_visit_turns_the_token_of_the_url_into_a_cookie(listening: House):
    assert await status(listening, "GET", "/?token=wrong", {}) == 401
    async with listening.client.get("/", params={"token": "open-sesame"}, allow_redirects=False) as response:
        assert response.status == 302
        assert response.headers["Location"] == "/"
        cookie = response.cookies["heddle_token"]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"


async def test_a_socket_may_show_its_token_in_the_url(listening: House):
    async with listening.client.ws_connect("/ws?token=open-sesame") as socket:
        assert (await socket.receive_json())["type"] == "status"


async def test_a_token_does_not_let_other_pages_in(listening: House):
    headers = {"Cookie": "heddle_token=open-sesame", "Origin": "http://evil.example", **JSON}
    assert await status(listening, "POST", "/queue", headers, "{}") == 403


async def test_when_the_token_was_waived_names_that_anyone_could_register_are_still_refused(tmp_path: Path):
    async with built(tmp_path, access(loopback=False, token=None)) as house:
        for host in ("192.168.1.5:8188", "[fe80::1]", "mybox:8188", "mybox.local", "10.0.0.1"):
            assert await status(house, "GET", "/queue", {"Host": host}) == 200, host
        assert await status(house, "GET", "/queue", {"Host": "rebound.example"}) == 403


def test_only_plain_spellings_of_this_machine_count():
    assert is_loopback("127.0.0.1")
    assert is_loopback("[::1]")
    assert not is_loopback("127.1")
    assert not is_loopback("2130706433")
