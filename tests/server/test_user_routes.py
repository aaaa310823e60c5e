"""Settings, user files and users, over HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from storage.settings import FILE
from tests.server.house import House, built, ears


async def ask(house: House, method: str, path: str, **request: Any) -> tuple[int, Any]:
    async with house.client.request(method, URL(path, encoded=True), **request) as response:
        if response.content_type == "application/json":
            return response.status, await response.json()
        return response.status, await response.read()


async def test_settings_are_merged_and_read_one_by_one(house: House):
    assert await ask(house, "GET", "/settings") == (200, {})
    assert await ask(house, "POST", "/settings", json={"a": 1, "b": {"c": None}}) == (200, b"")
    assert await ask(house, "POST", "/settings/a.b-c", json=[1]) == (200, b"")
    assert await ask(house, "GET", "/settings") == (200, {"a": 1, "b": {"c": None}, "a.b-c": [1]})
    assert await ask(house, "GET", "/settings/a.b-c") == (200, [1])
    assert await ask(house, "GET", "/settings/missing") == (200, None)
    assert (await ask(house, "GET", f"/userdata/{FILE}"))[0] == 200


async def test_a_workflow_is_stored_listed_moved_and_deleted(house: House):
    name = "/userdata/workflows%2Fa.json"
    assert await ask(house, "POST", name, data=b"{}") == (200, "workflows/a.json")
    status, info = await ask(house, "POST", f"{name}?full_info=true", data=b"[1]")
    assert (status, info["path"], info["size"]) == (200, "workflows/a.json", 3)
    assert await ask(house, "POST", f"{name}?overwrite=false", data=b"x") == (409, b"File already exists")
    assert (await ask(house, "GET", name))[0] == 200
    assert await ask(house, "GET", "/userdata?dir=workflows") == (200, ["a.json"])
    assert await ask(house, "GET", "/userdata?dir=.&recurse=true&split=true") == (
        200,
        [["workflows/a.json", "workflows", "a.json"]],
    )
    _, rows = await ask(house, "GET", "/userdata?dir=workflows&full_info=true")
    assert set(rows[0]) == {"path", "size", "modified", "created"}
    _, tree = await ask(house, "GET", "/v2/userdata?path=")
    assert [row["type"] for row in tree] == ["directory", "file"]
    assert await ask(house, "POST", f"{name}/move/workflows%2Fb.json") == (200, "workflows/b.json")
    assert (await ask(house, "POST", f"{name}/move/x"))[0] == 404
    await ask(house, "POST", "/userdata/c", data=b"")
    move = "/userdata/c/move/workflows%2Fb.json?overwrite=false"
    assert (await ask(house, "POST", move))[0] == 409
    assert await ask(house, "DELETE", "/userdata/workflows%2Fb.json") == (204, b"")
    assert (await ask(house, "DELETE", "/userdata/workflows%2Fb.json"))[0] == 404
    assert (await ask(house, "DELETE", "/userdata/workflows"))[0] == 400


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/userdata", 400),
        ("/userdata?dir=missing", 404),
        ("/userdata?dir=..", 403),
        ("/userdata?dir=/etc", 403),
        ("/v2/userdata?path=..", 400),
        ("/v2/userdata?path=missing", 404),
        ("/v2/userdata?path=file", 400),
        ("/userdata/..%2Fusers.json", 403),
        ("/userdata/..%5Cusers.json", 403),
        ("/userdata/%2Fetc%2Fpasswd", 403),
        ("/userdata/missing", 404),
        ("/userdata/a/b", 404),
    ],
)
async def test_questions_that_lead_outside_or_nowhere(house: House, path: str, status: int):
    await ask(house, "POST", "/userdata/file", data=b"x")
    assert (await ask(house, "GET", path))[0] == status


@pytest.mark.parametrize("path", ["/userdata/..%2Fx", "/userdata/a%2F..%2F..%2Fx", "/userdata/a/move/..%2Fx"])
async def test_nothing_is_written_outside(house: House, path: str):
    await ask(house, "POST", "/userdata/a", data=b"x")
    assert (await ask(house, "POST", path, data=b"x"))[0] == 403
    assert [one.name for one in house.folders.user.iterdir()] == ["default"]


@pytest.fixture
async def shared(tmp_path: Path) -> AsyncIterator[House]:
    async with built(tmp_path, multi_user=True) as made:
        yield made


async def test_users_have_their_own_settings_and_files(shared: House):
    ids = [(await ask(shared, "POST", "/users", json={"username": name}))[1] for name in ("ann", "bob")]
    for id in ids:
        headers = {"comfy-user": id}
        assert (await ask(shared, "POST", "/settings", json={"me": id}, headers=headers))[0] == 200
        assert (await ask(shared, "POST", "/userdata/mine", data=id.encode(), headers=headers))[0] == 200
    for id in ids:
        headers = {"Comfy-User": id}
        assert await ask(shared, "GET", "/settings/me", headers=headers) == (200, id)
        assert (await ask(shared, "GET", "/userdata/mine", headers=headers))[1] == id.encode()
    _, listed = await ask(shared, "GET", "/users")
    assert sorted(listed["users"].values()) == ["ann", "bob"]


@pytest.mark.parametrize("user", [None, "", "nobody", "../default", "default"])
async def test_an_unknown_user_is_nobody(shared: House, user: str | None):
    headers = {} if user is None else {"comfy-user": user}
    assert (await ask(shared, "GET", "/settings", headers=headers))[0] == 401
    assert (await ask(shared, "GET", "/v2/userdata", headers=headers))[0] == 403
    assert (await ask(shared, "GET", "/userdata/x", headers=headers))[0] == 403


async def test_the_single_user_needs_no_name(house: House):
    _, users = await ask(house, "GET", "/users")
    assert users == {"storage": "server", "migrated": False}
    assert await ask(house, "POST", "/users", json={"username": " "}) == (400, {"error": "Username is empty."})
    await ask(house, "POST", "/users", json={"username": "ann"})
    assert await ask(house, "POST", "/users", json={"username": "ann"}) == (400, {"error": "Duplicate username."})


async def test_the_log_is_shown_and_followed(house: House):
    import logging

    logger = logging.Logger("house")
    logger.addHandler(house.services.logs)
    logger.warning("before")
    _, text = await ask(house, "GET", "/internal/logs")
    assert text == "before\n"
    _, shown = await ask(house, "GET", "/internal/logs/raw")
    assert [entry["m"] for entry in shown["entries"]] == ["before\n"]
    assert set(shown["size"]) == {"cols", "rows"}
    async with ears(house, "me") as me, ears(house, "other") as other:
        subscription = {"clientId": "me", "enabled": True}
        assert await ask(house, "PATCH", "/internal/logs/subscribe", json=subscription) == (200, b"")
        logger.warning("after")
        (message,) = await me.until("logs")
        assert [entry["m"] for entry in message["data"]["entries"]] == ["after\n"]
        assert await other.silent()
        await ask(house, "PATCH", "/internal/logs/subscribe", json={"clientId": "me", "enabled": False})
    assert (await ask(house, "PATCH", "/internal/logs/subscribe", json={"clientId": 5}))[0] == 400
