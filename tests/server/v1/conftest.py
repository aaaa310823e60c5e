"""A client of the job API whose every answer is held against the description the server gives of itself."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import pytest_asyncio

from tests.server.house import DECLARATIONS, TWO_NODES, House, built

__all__ = ["DECLARATIONS", "TWO_NODES"]


@dataclass
class Said:
    status: int
    body: Any
    headers: Mapping[str, str]


@dataclass
class Api:
    house: House
    description: Mapping[str, Any]

    async def __call__(self, method: str, path: str, json: Any = None, **headers: str) -> Said:
        """Ask, and check that the answer is one that the description promises."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.house.client.request(method, path, json=json, headers=named) as response:
            text = await response.read()
            body = await response.json() if text and "json" in response.content_type else text
            self.check(method, path.partition("?")[0], response.status, response.content_type, body)
            return Said(response.status, body, response.headers)

    def check(self, method: str, path: str, status: int, media: str, body: Any) -> None:
        operation = self.operation(method, path)
        promised = operation["responses"]
        assert str(status) in promised, f"{method} {path} answered {status}, which is not described: {body}"
        content = promised[str(status)].get("content")
        if content is None:
            assert body == b""
        else:
            self.fits(body, content[media]["schema"])

    def operation(self, method: str, path: str) -> Mapping[str, Any]:
        steps = path.strip("/").split("/")
        for described, verbs in self.description["paths"].items():
            wanted = described.strip("/").split("/")
            if len(wanted) != len(steps) or method.lower() not in verbs:
                continue
            if all(w.startswith("{") or w == s for w, s in zip(wanted, steps, strict=True)):
                return verbs[method.lower()]
        raise AssertionError(f"{method} {path} is not described")

    def fits(self, value: Any, schema: Mapping[str, Any]) -> None:
        whole = {**schema, "components": self.description["components"]}
        jsonschema.Draft202012Validator(whole).validate(value)

    async def run(self, graph: Mapping[str, Any] = TWO_NODES, **more: Any) -> Any:
        """A job that has ended."""
        said = await self("POST", "/v1/jobs?wait=20", {"graph": graph, **more})
        assert said.status == 200, said.body
        return said.body


@pytest_asyncio.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with built(tmp_path, checked=True) as house, house.client.get("/openapi.json") as response:
        yield Api(house, await response.json())


@pytest.fixture
def house(api: Api) -> House:
    return api.house
