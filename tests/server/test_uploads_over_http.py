"""Files that come in, over HTTP."""

import asyncio
import http.client
import io
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from PIL import Image, PngImagePlugin

from server.limits import Limits
from server.services import Options
from tests.server.house import House, built


async def upload(
    house: House, content: bytes | None = b"data", name: str = "a.png", path: str = "/upload/image", **fields: str
) -> tuple[int, Any]:
    form = aiohttp.FormData(quote_fields=False)
    for key, value in fields.items():
        form.add_field(key, value)
    if content is not None:
        form.add_field("image", content, filename=name, content_type="image/png")
    async with house.client.post(path, data=form) as response:
        body = await response.read()
        return response.status, json.loads(body) if body else None


def visible(house: House, kind: str = "input") -> list[str]:
    return sorted(path.name for path in (house.folders.base / kind).iterdir())


async def test_an_upload_lands_in_the_input_folder(house: House):
    assert await upload(house) == (200, {"name": "a.png", "subfolder": "", "type": "input"})
    assert (house.folders.input / "a.png").read_bytes() == b"data"
    assert await upload(house, subfolder="x/y", type="temp", path="/api/upload/image") == (
        200,
        {"name": "a.png", "subfolder": "x/y", "type": "temp"},
    )
    assert (house.folders.temp / "x" / "y" / "a.png").read_bytes() == b"data"


async def test_the_same_again_is_one_file_another_is_numbered(house: House):
    names = [(await upload(house, content))[1]["name"] for content in (b"1", b"1", b"2", b"2", b"3")]
    assert names == ["a.png", "a.png", "a (1).png", "a (1).png", "a (2).png"]
    assert (await upload(house, b"4", overwrite="1"))[1]["name"] == "a.png"
    assert (house.folders.input / "a.png").read_bytes() == b"4"
    assert (await upload(house, b"5", overwrite="yes"))[1]["name"] == "a (3).png"


async def test_what_was_uploaded_is_a_choice_at_once(house: House):
    async def choices() -> list[str]:
        async with house.client.get("/object_info") as response:
            return (await response.json())["LoadImage"]["input"]["required"]["image"][0]

    assert await choices() == []
    await upload(house)
    assert await choices() == ["a.png"]


@pytest.mark.parametrize(
    ("content", "name", "fields"),
    [
        (b"x", "../a.png", {}),
        (b"x", "a.png", {"subfolder": "../../x"}),
        (b"x", "a.png", {"subfolder": "/tmp"}),
        (b"x", "", {}),
        (b"x", "a.png", {"type": "models"}),
        (b"x", "..\\a.png", {}),
        (b"x", "x" * 250, {}),
        (None, "", {}),
        (None, "", {"image": "as text"}),
    ],
)
async def test_uploads_that_cannot_be_stored_are_refused_and_leave_nothing(
    house: House, content: bytes | None, name: str, fields: dict[str, str]
):
    status, answer = await upload(house, content, name, **fields)
    assert status == 400
    assert answer["error"]["message"]
    assert visible(house) == []


async def test_an_upload_that_is_too_large_leaves_nothing(house: House):
    assert (await raw(house, b"x" * (2 << 20)))[0] == 413
    assert visible(house) == []


async def raw(house: House, content: bytes, cut: int = 0, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """A form by hand. cut: bytes left out at its end."""
    body = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n' + content + b"\r\n--b--\r\n"
    body = body[: len(body) - cut]

    def send() -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(house.client.host, house.client.port, timeout=20)
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        connection.request("POST", "/upload/image", body=body, headers=kind | (headers or {}))
        response = connection.getresponse()
        answer = response.status, response.read()
        connection.close()
        return answer

    return await asyncio.to_thread(send)


async def test_forms_that_break_their_rules_are_bad_requests(house: House):
    assert (await raw(house, b"x", headers={"Content-Type": "multipart/form-data"}))[0] == 400
    assert (await raw(house, b"x", headers={"Content-Type": "multipart/form-data; boundary=other"}))[0] == 400
    assert (await raw(house, b"x", headers={"Content-Type": "text/plain"}))[0] == 400
    assert (await raw(house, b"x", cut=8))[0] in (200, 400)
    many = b"".join(b'--b\r\nContent-Disposition: form-data; name="f"\r\n\r\n1\r\n' for _ in range(200))
    form = io.BytesIO(many + b"--b--\r\n")
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    async with house.client.post("/upload/image", data=form, headers=headers) as response:
        assert response.status == 400


async def test_a_client_that_hangs_up_leaves_nothing(house: House):
    reader, writer = await asyncio.open_connection(house.client.host, house.client.port)
    writer.write(
        b"POST /upload/image HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\nhalf'
    )
    await writer.drain()
    async with asyncio.timeout(10):
        while not visible(house):
            await asyncio.sleep(0.005)
        writer.close()
        while visible(house):
            await asyncio.sleep(0.005)
    assert not await reader.read()


async def test_an_upload_that_stalls_is_given_up_and_leaves_nothing(tmp_path: Path):
    async with built(tmp_path, Options(limits=Limits(body_idle=0.05))) as house:
        for head in (
            b"POST /upload/image HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\n",
            b"POST /userdata/a HTTP/1.1\r\n",
            b"POST /prompt HTTP/1.1\r\n",
        ):
            reader, writer = await asyncio.open_connection(house.client.host, house.client.port)
            writer.write(
                head + b"Host: localhost\r\nContent-Length: 100000\r\n\r\n"
                b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\nhalf'
            )
            async with asyncio.timeout(10):
                assert (await reader.readline()).split()[1] == b"408"
            writer.close()
        assert visible(house) == []


async def test_a_body_that_trickles_is_given_up(tmp_path: Path):
    async with built(tmp_path, Options(limits=Limits(body_patience=1e-9, body_rate=1e12))) as house:
        assert (await upload(house))[0] == 408
        assert visible(house) == []


def png(mode: str, colour: Any, size: tuple[int, int] = (4, 4), text: str = "") -> bytes:
    target, info = io.BytesIO(), PngImagePlugin.PngInfo()
    if text:
        info.add_text("prompt", text)
    Image.new(mode, size, colour).save(target, format="PNG", pnginfo=info)
    return target.getvalue()


MASK = png("RGBA", (0, 0, 0, 77))


async def test_a_mask_is_laid_over_its_image(house: House):
    (house.folders.output / "o.png").write_bytes(png("RGB", (1, 2, 3), text='{"a": 1}'))
    ref = json.dumps({"filename": "o.png"})
    status, answer = await upload(house, MASK, "m.png", "/upload/mask", original_ref=ref, subfolder="clipspace")
    assert (status, answer) == (200, {"name": "m.png", "subfolder": "clipspace", "type": "input"})
    made = Image.open(house.folders.input / "clipspace" / "m.png")
    assert (made.mode, made.getpixel((0, 0))) == ("RGBA", (1, 2, 3, 77))
    assert getattr(made, "text", None) == {"prompt": '{"a": 1}'}
    assert visible(house) == ["clipspace"]


async def test_the_image_of_a_mask_may_be_named_with_its_folder(house: House):
    (house.folders.input / "o.png").write_bytes(png("RGB", (1, 2, 3)))
    ref = json.dumps({"filename": "o.png [input]", "type": "output"})
    assert (await upload(house, MASK, "m.png", "/upload/mask", original_ref=ref))[0] == 200


@pytest.mark.parametrize(
    ("ref", "status"),
    [
        ({"filename": "missing.png"}, 404),
        ({"filename": "../o.png"}, 400),
        ({"filename": "o.png", "subfolder": "../.."}, 400),
        ({"filename": "o.png", "type": "models"}, 400),
        ({"filename": 5}, 400),
        ({}, 400),
        ([], 400),
        (None, 400),
        ({"filename": "small.png"}, 400),
        ({"filename": "text.png"}, 400),
    ],
)
async def test_a_mask_without_its_image_is_not_called_stored(house: House, ref: Any, status: int):
    (house.folders.output / "o.png").write_bytes(png("RGB", (1, 2, 3)))
    (house.folders.output / "small.png").write_bytes(png("RGB", (1, 2, 3), (2, 2)))
    (house.folders.output / "text.png").write_bytes(b"text")
    fields = {} if ref is None else {"original_ref": json.dumps(ref)}
    got, answer = await upload(house, MASK, "m.png", "/upload/mask", **fields)
    assert (got, visible(house)) == (status, [])
    assert answer["error"]["message"]
