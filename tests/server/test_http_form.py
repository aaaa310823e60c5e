"""The form of answers: both prefixes, methods, bodies, errors, headers."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from server.services import Options
from tests.server.house import House, built

READABLE = [
    *["/prompt", "/queue", "/history", "/history/x", "/object_info", "/object_info/EmptyImage", "/node_replacements"],
    *["/global_subgraphs", "/models", "/models/checkpoints", "/experiment/models", "/experiment/models/checkpoints"],
    *["/embeddings", "/extensions", "/features", "/workflow_templates", "/i18n", "/system_stats", "/users"],
    *["/settings", "/settings/x", "/v2/userdata", "/health", "/"],
]


async def read(house: House, method: str, path: str, **request: Any) -> tuple[int, bytes, Any]:
    async with house.client.request(method, path, **request) as response:
        return response.status, await response.read(), response.headers


@pytest.mark.parametrize("path", READABLE)
async def test_everything_is_served_with_and_without_the_prefix(house: House, path: str):
    plain, prefixed = await read(house, "GET", path), await read(house, "GET", f"/api{path}")
    assert plain[0] == prefixed[0] == 200
    assert plain[1] == prefixed[1] or path == "/system_stats"
    if path != "/":
        json.loads(plain[1])
        assert plain[2]["Content-Type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize("path", READABLE)
async def test_what_can_be_got_can_be_asked_for_its_head(house: House, path: str):
    status, body, _ = await read(house, "HEAD", path)
    assert (status, body) == (200, b"")


@pytest.mark.parametrize(
    "path", ["/internal/folder_paths", "/internal/logs", "/internal/logs/raw", "/internal/files/input"]
)
async def test_internal_routes_are_only_plain(house: House, path: str):
    assert (await read(house, "GET", path))[0] == 200
    assert (await read(house, "GET", f"/api{path}"))[0] == 404


@pytest.mark.parametrize("path", ["/jobs", "/jobs/x", "/assets", "/assets/x/content", "/tags"])
async def test_newer_routes_are_only_prefixed(house: House, path: str):
    assert (await read(house, "GET", path))[:2] == (404, b"")
    assert (await read(house, "GET", f"/api{path}"))[0] in (200, 404, 503)


async def test_unknown_paths_and_methods(house: House):
    assert (await read(house, "GET", "/nothing/here"))[:2] == (404, b"")
    status, _, headers = await read(house, "POST", "/nothing/here", data=b"x")
    assert (status, set(headers["Allow"].split(","))) == (405, {"GET", "HEAD"})
    status, body, headers = await read(house, "PUT", "/prompt", data=b"x")
    assert (status, body) == (405, b"405: Method Not Allowed")
    assert "POST" in headers["Allow"]
    for method in ("TRACE", "PROPFIND"):
        assert (await read(house, method, "/prompt"))[0] == 405


@pytest.mark.parametrize("path", ["/", "/prompt", "/nothing", "/api/queue", "/ws"])
async def test_options_are_always_fine(house: House, path: str):
    assert (await read(house, "OPTIONS", path))[:2] == (200, b"")


@pytest.mark.parametrize("path", ["/interrupt", "/free", "/queue", "/history"])
async def test_changes_without_an_answer_are_an_empty_200(house: House, path: str):
    for body in (b"{}", b""):
        status, answer, headers = await read(house, "POST", path, data=body, skip_auto_headers=["Content-Type"])
        assert (status, answer) == (200, b"")
        assert "Content-Type" not in headers or headers["Content-Length"] == "0"


NOT_JSON = {
    "empty": b"",
    "braces": b"{{{",
    "trailing comma": b'{"prompt": {},}',
    "comment": b'{"prompt": {} /* no */}',
    "single quotes": b"{'prompt': {}}",
    "latin-1": '{"prompt": "é"}'.encode("latin-1"),
    "utf-16": '{"prompt": {}}'.encode("utf-16"),
    "one node twice": b'{"prompt": {"1": {}, "1": {}}}',
    "nan": b'{"prompt": {}, "number": NaN}',
    "infinity": b'{"prompt": {}, "number": -Infinity}',
    "too large a number": b'{"prompt": {}, "number": 1e400}',
    "thousands of digits": b'{"prompt": {}, "number": ' + b"9" * 5000 + b"}",
    "depth 66": b'{"prompt": ' + b"[" * 65 + b"]" * 65 + b"}",
    "endless arrays": b"[" * 100_000 + b"]" * 100_000,
    "endless objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON.keys())
async def test_what_is_not_json_is_told_so(house: House, body: bytes):
    status, answer, _ = await read(house, "POST", "/prompt", data=body)
    assert status == 400
    assert json.loads(answer)["error"]["type"] == "invalid_json"
    assert json.loads(answer)["node_errors"] == {}


async def test_a_syntax_error_names_its_place(house: House):
    _, answer, _ = await read(house, "POST", "/prompt", data=b'{"prompt":\n {"1" 2}}')
    assert "line 2, column 7" in json.loads(answer)["error"]["details"]


async def test_a_byte_order_mark_does_no_harm(house: House):
    assert (await read(house, "POST", "/queue", data=b"\xef\xbb\xbf{}"))[0] == 200


@pytest.mark.parametrize("body", [b"null", b"true", b"1", b'"x"', b"[]", b"{}"])
async def test_json_without_a_prompt_is_no_prompt(house: House, body: bytes):
    status, answer, _ = await read(house, "POST", "/prompt", data=body)
    assert status == 400
    assert json.loads(answer)["error"] == {
        "type": "no_prompt",
        "message": "No prompt provided",
        "details": "No prompt provided",
        "extra_info": {},
    }


@pytest.mark.parametrize("path", ["/queue", "/history", "/interrupt", "/free", "/settings", "/users"])
@pytest.mark.parametrize("body", [b"[]", b"1", b"{", b'"x"'])
async def test_no_body_makes_the_server_fail(house: House, path: str, body: bytes):
    assert (await read(house, "POST", path, data=body))[0] == 400


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/queue", {"delete": "x"}),
        ("/queue", {"delete": [{}]}),
        ("/history", {"delete": {"a": 1}}),
        ("/interrupt", {"prompt_id": {"a": 1}}),
        ("/users", {"username": 5}),
        ("/users", {}),
        ("/api/jobs/cancel", {"job_ids": []}),
    ],
)
async def test_fields_of_the_wrong_type_are_named(house: House, path: str, body: dict[str, Any]):
    status, answer, _ = await read(house, "POST", path, json=body)
    assert status == 400
    assert json.loads(answer)["error"]


@pytest.mark.parametrize("query", ["max_items=x", "offset=1.5", "max_items=1e3", "max_items=" + "9" * 30, "offset=-x"])
async def test_numbers_of_the_query_must_be_numbers(house: House, query: str):
    status, answer, _ = await read(house, "GET", f"/history?{query}")
    assert status == 400
    assert json.loads(answer)["error"]["type"] == "invalid_query"


async def test_a_body_over_the_limit_is_too_large(house: House):
    limit = 1 << 20
    expected = f"Maximum request body size {limit} exceeded.".encode()
    assert (await read(house, "POST", "/prompt", data=io.BytesIO(b" " * (limit + 1))))[:2] == (413, expected)
    assert (await read(house, "POST", "/userdata/a", data=io.BytesIO(b" " * (limit + 1))))[0] == 413
    assert (await read(house, "POST", "/userdata/a", data=io.BytesIO(b" " * limit)))[0] == 200

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * (1 << 16)

    for path in ("/prompt", "/userdata/b", "/queue"):
        assert (await read(house, "POST", path, data=chunks()))[:2] == (413, expected)
    assert (await read(house, "GET", "/userdata/b"))[0] == 404


async def test_answers_are_not_sniffed(house: House):
    for path in ("/", "/queue", "/nothing"):
        assert (await read(house, "GET", path))[2]["X-Content-Type-Options"] == "nosniff"


async def test_json_is_compressed_only_when_that_was_asked_for(house: House, tmp_path: Path):
    headers = {"Accept-Encoding": "gzip"}
    assert "Content-Encoding" not in (await read(house, "GET", "/object_info", headers=headers))[2]
    async with built(tmp_path / "other", Options(compress=True)) as other:
        status, body, answered = await read(other, "GET", "/object_info", headers=headers)
        assert (status, answered["Content-Encoding"]) == (200, "gzip")
        assert json.loads(body)  # the client has unpacked it
        assert (
            "Content-Encoding"
            not in (await read(other, "GET", "/object_info", headers={"Accept-Encoding": "identity"}))[2]
        )


async def test_a_fault_of_ours_is_answered_without_its_insides(house: House, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise RuntimeError("secret inside")

    monkeypatch.setattr(house.intake, "submit", fail)
    status, body, _ = await read(house, "POST", "/prompt", json={"prompt": {}})
    assert status == 500
    assert json.loads(body)["error"]["type"] == "internal_error"
    assert b"secret" not in body
    assert (await read(house, "GET", "/queue"))[0] == 200


async def test_the_loop_stays_free_while_a_large_body_is_read(house: House):
    """A prompt of a megabyte is parsed elsewhere; meanwhile others are answered."""
    body = json.dumps({"prompt": {str(n): {"class_type": "x", "inputs": {}} for n in range(15_000)}}).encode()
    asyncio.get_running_loop().slow_callback_duration = 0.1
    async with asyncio.TaskGroup() as group:
        posting = group.create_task(read(house, "POST", "/queue", data=io.BytesIO(body)))
        for _ in range(20):
            await read(house, "GET", "/prompt")
    assert posting.result()[0] == 200


@pytest.fixture
async def editor(tmp_path: Path) -> AsyncIterator[House]:
    root = tmp_path / "dist"
    (root / "assets").mkdir(parents=True)
    (root / "index.html").write_text("<title>editor</title>")
    (root / "assets" / "index-Bq3kP0xZ.js").write_text("1")
    (root / "user.css").write_text("a{}")
    (tmp_path / "secret.txt").write_text("secret")
    async with built(tmp_path / "base", Options(front_end=root)) as made:
        yield made


async def test_the_editor_is_served_and_its_hashed_files_are_kept(editor: House):
    for path in ("/", "/api/", "/index.html"):
        status, body, headers = await read(editor, "GET", path)
        assert (status, body) == (200, b"<title>editor</title>")
        assert headers["Cache-Control"] == "no-cache"
        assert headers["Content-Type"] == "text/html; charset=utf-8"
        assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]
    status, _, headers = await read(editor, "GET", "/assets/index-Bq3kP0xZ.js")
    assert (status, headers["Cache-Control"]) == (200, "public, max-age=31536000, immutable")
    assert headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert (await read(editor, "GET", "/user.css"))[2]["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["/../secret.txt", "/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt", "/..%5csecret.txt"]
)
async def test_nothing_beside_the_editor_is_served(editor: House, path: str):
    url = URL(editor.url + path, encoded=True)
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.status == 404


async def test_without_a_built_editor_the_page_says_how_to_build_it(house: House):
    status, body, headers = await read(house, "GET", "/")
    assert status == 200
    assert b"npm run build" in body
    assert headers["Content-Type"].startswith("text/html")
