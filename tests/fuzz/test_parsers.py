"""Whatever comes from outside is read or refused in words; nothing else happens. Oracles are naive."""

import asyncio
import contextlib
import io
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from execution.problems import PromptRejected
from execution.prompt import parse
from execution.validate import validate
from execution.workflow.convert import to_prompt
from execution.workflow.read import WorkflowError
from server.bodies import parse_json
from server.limits import Limits
from server.pictures import NotAPicture, Pictures
from server.problems import RequestError
from tests.execution.test_validation import CATALOGUE
from tests.server.house import House, built

LIMITS = Limits(depth=6, text=40, key=10)
fuzz = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
)


def fits(value: Any, depth: int = 0) -> bool:
    """The limits, by recursion."""
    if isinstance(value, dict):
        keys = all(len(key) <= LIMITS.key for key in value)
        return depth < LIMITS.depth and keys and all(fits(item, depth + 1) for item in value.values())
    if isinstance(value, list):
        return depth < LIMITS.depth and all(fits(item, depth + 1) for item in value)
    return not isinstance(value, str) or len(value) <= LIMITS.text


@fuzz
@given(values)
def test_json_is_read_as_it_is_or_refused_for_a_limit(value: Any):
    text = json.dumps(value)
    finite = not any(word in text for word in ("NaN", "Infinity"))
    try:
        read = parse_json(text.encode(), LIMITS)
    except RequestError:
        assert not finite or not fits(value) or "NaN" in text or "Infinity" in text
        return
    assert read == value
    assert fits(value)


@fuzz
@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:0 e1.-n\\u', max_size=60).map(str.encode))
def test_bytes_are_json_or_refused(body: bytes):
    with contextlib.suppress(RequestError):
        value = parse_json(body, LIMITS)
        assert value == json.loads(body)


ids = st.sampled_from(["1", "2", "3", "a:b", "", "\0"])
inputs = st.dictionaries(
    st.sampled_from(["value", "a", "b", "x", "images", "text"]), values | st.tuples(ids, st.integers(-2, 3)).map(list)
)
nodes = st.fixed_dictionaries({"class_type": st.sampled_from([*CATALOGUE, "Nope"]), "inputs": inputs})
graphs = st.dictionaries(ids, nodes | values, max_size=5) | values


@fuzz
@given(graphs)
def test_a_graph_is_valid_or_refused_and_twice_the_same(graph: Any):
    def verdict() -> Any:
        try:
            return validate(parse(graph), CATALOGUE, None, ()).outputs
        except PromptRejected as rejected:
            return rejected.problem, sorted(rejected.node_errors)

    assert verdict() == verdict()


links = st.lists(st.integers(-2, 6) | st.text(max_size=3) | st.none(), min_size=0, max_size=7)
file_nodes = st.fixed_dictionaries(
    {"id": st.integers(0, 4) | values, "type": st.sampled_from([*CATALOGUE, "Reroute", "PrimitiveNode"]) | values},
    optional={
        "inputs": st.lists(st.fixed_dictionaries({"name": st.text(max_size=3), "link": st.integers(0, 5) | values})),
        "outputs": st.lists(st.fixed_dictionaries({"links": st.lists(st.integers(0, 5)) | values})),
        "widgets_values": values,
        "mode": st.integers(-1, 5) | values,
        "properties": values,
    },
)
files = st.fixed_dictionaries(
    {"nodes": st.lists(file_nodes, max_size=5) | values, "links": st.lists(links, max_size=5) | values},
    optional={"version": values, "definitions": values, "extra": values, "groups": values},
)


@settings(fuzz, max_examples=60)
@given(files)
def test_a_workflow_file_becomes_a_graph_or_is_refused(file: dict[str, Any]):
    with contextlib.suppress(WorkflowError):
        prompt = to_prompt(file, CATALOGUE)
        assert all(isinstance(id, str) for id in prompt)


def png() -> bytes:
    target, info = io.BytesIO(), PngImagePlugin.PngInfo()
    info.add_text("prompt", '{"1": {}}')
    info.add_itxt("workflow", '{"nodes": []}', zip=True)
    Image.effect_noise((20, 20), 50).save(target, "PNG", pnginfo=info)
    return target.getvalue()


WHOLE = png()


@fuzz
@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=6), st.integers(0, len(WHOLE)))
def test_a_damaged_picture_is_shown_or_said_to_be_none(changes: list[tuple[int, int]], cut: int):
    data = bytearray(WHOLE)
    for place, byte in changes:
        data[place] = byte
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.png"
        path.write_bytes(data[:cut])

        async def look() -> None:
            with contextlib.suppress(NotAPicture):
                await Pictures().preview(path, "webp", 50)
            with contextlib.suppress(NotAPicture):
                await Pictures().masked(path, path)

        asyncio.run(look())


@pytest.fixture(scope="module")
def asked() -> Iterator[tuple[asyncio.Runner, House]]:
    """One server for all examples, on a loop that the examples take turns on."""
    with asyncio.Runner() as runner, tempfile.TemporaryDirectory() as folder:
        scope = contextlib.AsyncExitStack()
        house = runner.run(scope.enter_async_context(built(Path(folder))))
        yield runner, house
        runner.run(scope.aclose())


pieces = st.sampled_from(
    [
        *(b"--b", b"--b--", b"\r\n", b"\n", b"\r\n\r\n", b"--", b"x" * 300, b"\xff", b"\0", b": ", b";"),
        *(
            b'Content-Disposition: form-data; name="image"; filename="a.png"',
            b'Content-Disposition: form-data; name="x"',
        ),
        *(b"Content-Type: multipart/mixed; boundary=c", b"Content-Transfer-Encoding: base64", b"Content-Length: -1"),
        *(b"Content-Encoding: gzip", b'Content-Disposition: form-data; name="image"; filename="../a"', b"data"),
    ]
)


@fuzz
@given(st.lists(pieces, max_size=16).map(b"".join))
def test_any_form_is_stored_or_refused(asked: tuple[asyncio.Runner, House], body: bytes):
    runner, house = asked

    async def upload() -> int:
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        async with house.client.post("/upload/image", data=body, headers=kind) as answer:
            return answer.status

    assert runner.run(upload()) in (200, 400, 413)


words = st.sampled_from(
    [
        *(
            b"GET",
            b"POST",
            b" ",
            b"/",
            b"/prompt",
            b"/ws",
            b" HTTP/1.1",
            b" HTTP/9.9",
            b"\r\n",
            b"\n",
            b"\r\n\r\n",
            b"\0",
        ),
        *(
            b"Host: localhost",
            b"Content-Length: 2",
            b"Content-Length: -1",
            b"Transfer-Encoding: chunked",
            b"{}",
            b"0\r\n",
        ),
        *(
            b"Upgrade: websocket",
            b"Connection: Upgrade",
            b"Sec-WebSocket-Key: AAAA",
            b"Sec-WebSocket-Version: 13",
            b"\xff",
        ),
        *(
            b"Range: bytes=9-1,-5",
            b"Cookie: heddle_token=\xff",
            b"Expect: 100-continue",
            b"If-None-Match: *",
            b"%",
            b"?",
        ),
    ]
)


@fuzz
@given(st.lists(words, max_size=14).map(b"".join))
def test_any_bytes_on_a_connection_are_answered_without_a_fault(asked: tuple[asyncio.Runner, House], sent: bytes):
    runner, house = asked

    async def say() -> bytes:
        reader, writer = await asyncio.open_connection(house.client.host, house.client.port)
        writer.write(sent)
        writer.write_eof()
        async with asyncio.timeout(20):
            answer = await reader.read()
        writer.close()
        return answer

    with contextlib.suppress(ConnectionError):
        assert b"HTTP/1.1 5" not in runner.run(say())
