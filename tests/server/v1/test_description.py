"""What the server says of its job API is what it serves."""

import errno
import json
import re
from html.parser import HTMLParser
from typing import Any

import jsonschema
import pytest

from tests.server.house import TWO_NODES
from tests.server.v1.conftest import Api


def served(api: Api) -> set[tuple[str, str]]:
    """Every route of the job API as the application has it."""
    return {
        (route.method, route.resource.canonical)
        for route in api.house.client.server.app.router.routes()  # pyright: ignore[reportAttributeAccessIssue]
        if route.resource and route.resource.canonical.startswith("/v1/") and route.method != "HEAD"
    }


def test_every_route_is_described_and_nothing_else(api: Api):
    described = {(verb.upper(), path) for path, verbs in api.description["paths"].items() for verb in verbs}
    assert described == served(api)


def test_it_is_a_description_in_the_newest_form(api: Api):
    """The parts of the OpenAPI 3.1 schema that generators of clients stumble over."""
    assert api.description["openapi"] == "3.1.0"
    names: list[str] = []
    for path, verbs in api.description["paths"].items():
        for operation in verbs.values():
            names.append(operation["operationId"])
            in_path = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"}
            assert in_path == set(re.findall(r"\{(\w+)\}", path))
            assert all("description" in each for each in operation["responses"].values())
    assert len(set(names)) == len(names)
    for schema in api.description["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    text = json.dumps(api.description)
    for reference in set(re.findall(r'"\$ref": "([^"]+)"', text)):
        assert reference.rsplit("/", 1)[-1] in api.description["components"]["schemas"]


class Links(HTMLParser):
    """Everything a page would fetch, and whether its elements are closed as they were opened."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href") and tag != "a":
                self.fetched.append(value or "")


async def test_the_page_shows_every_operation_and_fetches_nothing(api: Api):
    async with api.house.client.get("/docs") as response:
        text = await response.text()
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
    page = Links()
    page.feed(text)
    assert page.fetched == []
    assert "script" not in page.tags
    for path, verbs in api.description["paths"].items():
        assert path in text
        for operation in verbs.values():
            assert f'id="{operation["operationId"]}"' in text


async def test_what_people_write_is_text_on_the_page(api: Api):
    evil: dict[str, Any] = {"graph": {}, "title": "<script>alert(1)</script>", "description": "<img src=x>"}
    await api("PUT", "/v1/workflows/evil", evil)
    async with api.house.client.get("/docs") as response:
        text = await response.text()
    assert "<script" not in text
    assert "<img" not in text
    assert "&lt;script&gt;" in text


async def test_refusals_of_the_guard_have_the_form_of_the_api_too(api: Api):
    said = await api("GET", "/v1/queue", Origin="http://evil.example")
    assert (said.status, said.body["code"]) == (403, "origin_not_allowed")


async def test_a_full_disk_is_told_in_the_form_of_the_api(api: Api, monkeypatch: pytest.MonkeyPatch):
    async def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(api.house.services.queue, "put_all", full)
    said = await api("POST", "/v1/jobs", {"graph": TWO_NODES})
    assert (said.status, said.body["code"]) == (507, "disk_full")
