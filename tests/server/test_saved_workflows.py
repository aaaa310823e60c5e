"""Two tabs, one file, and work that was not saved: over HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.house import House, built

FILE = "/userdata/workflows%2Fa.json"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with built(tmp_path) as made:
        yield made


async def ask(house: House, method: str, path: str, data: Any = None, **headers: str) -> tuple[int, str | None, Any]:
    """Status, ETag and body."""
    sent = {"json": data} if isinstance(data, dict) else {"data": data}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with house.client.request(method, path, headers=named, **sent) as response:
        text = await response.read()
        body = await response.json() if response.content_type == "application/json" and text else text
        return response.status, response.headers.get("ETag"), body


async def test_of_two_tabs_the_second_is_told_and_writes_over_nothing(house: House):
    _, first, _ = await ask(house, "POST", FILE, b"1")
    assert first == (await ask(house, "GET", FILE))[1]
    status, second, _ = await ask(house, "POST", FILE, b"22", If_Match=first or "")
    assert status == 200
    status, _, body = await ask(house, "POST", FILE, b"333", If_Match=first or "")
    assert status == 412
    assert body["error"]["type"] == "changed_meanwhile"
    assert body["error"]["extra_info"]["etag"] == second
    assert (await ask(house, "GET", FILE))[2] in (b"22", 22)
    assert (await ask(house, "DELETE", FILE, If_Match=first or ""))[0] == 412
    assert (await ask(house, "POST", f"{FILE}/move/b.json", If_Match=first or ""))[0] == 412
    assert (await ask(house, "POST", FILE, b"333", If_Match=second or ""))[0] == 200


async def test_a_new_file_can_be_asked_to_be_new(house: House):
    assert (await ask(house, "POST", FILE, b"1", If_None_Match="*"))[0] == 200
    assert (await ask(house, "POST", FILE, b"2", If_None_Match="*"))[0] == 412
    status, _, body = await ask(house, "POST", "/userdata/x", b"2", If_Match='"1-1"')
    assert (status, body["error"]["extra_info"]["etag"]) == (412, None)


async def test_versions_are_listed_read_and_restored(house: House):
    for text in (b"[1]", b"[2]"):
        await ask(house, "POST", FILE, text)
    status, _, versions = await ask(house, "GET", f"{FILE}/versions")
    assert status == 200
    assert [one["size"] for one in versions] == [3]
    at = f"{FILE}/versions/{versions[0]['id']}"
    assert (await ask(house, "GET", at))[2] == [1]
    status, tag, path = await ask(house, "POST", f"{at}/restore")
    assert (status, path) == (200, "workflows/a.json")
    assert (await ask(house, "GET", FILE))[1:] == (tag, [1])
    assert len((await ask(house, "GET", f"{FILE}/versions"))[2]) == 2
    assert (await ask(house, "GET", f"{FILE}/versions/nothing"))[0] == 404
    assert (await ask(house, "POST", f"{FILE}/versions/nothing/restore"))[0] == 404
    assert (await ask(house, "GET", "/userdata/..%2Fx/versions"))[0] == 403
    assert (await ask(house, "GET", "/userdata/.versions%2Fworkflows"))[0] == 403


async def test_drafts_are_written_listed_read_and_deleted(house: House):
    draft = {"file": "workflows/a.json", "base": '"1-2"', "title": "A", "workflow": {"nodes": []}}
    status, _, answer = await ask(house, "PUT", "/drafts/tab-1", draft)
    assert (status, answer["id"]) == (200, "tab-1")
    _, _, listed = await ask(house, "GET", "/drafts")
    assert [{key: value for key, value in one.items() if key != "saved"} for one in listed] == [
        {"id": "tab-1", "file": "workflows/a.json", "base": '"1-2"', "title": "A"}
    ]
    assert (await ask(house, "GET", "/drafts/tab-1"))[2] == draft
    assert (await ask(house, "DELETE", "/drafts/tab-1"))[0] == 204
    assert (await ask(house, "DELETE", "/drafts/tab-1"))[0] == 204
    assert (await ask(house, "GET", "/drafts/tab-1"))[0] == 404
    assert (await ask(house, "PUT", "/drafts/a.b", draft))[0] == 400
    assert (await ask(house, "PUT", "/drafts/tab-1", b"[1]"))[0] == 400
