"""Files that leave: the right ones, as they are, and harmless."""

import io
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from PIL import Image
from yarl import URL

from tests.server.house import House


def picture(size: tuple[int, int] = (8, 4), mode: str = "RGBA", format: str = "PNG") -> bytes:
    target = io.BytesIO()
    colour: Any = (10, 20, 30, 40)[: len(mode)]
    Image.new(mode, size, colour).save(target, format=format)
    return target.getvalue()


async def view(house: House, **query: str) -> tuple[int, bytes, Any]:
    async with house.client.get("/view", params=query) as response:
        return response.status, await response.read(), response.headers


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


async def test_a_file_is_served_as_it_is(house: House):
    data = picture()
    (house.folders.output / "sub").mkdir()
    (house.folders.output / "sub" / "a.png").write_bytes(data)
    status, body, headers = await view(house, filename="a.png", subfolder="sub", rand="0.1")
    assert (status, body) == (200, data)
    assert headers["Content-Type"] == "image/png"
    assert headers["Content-Disposition"] == 'filename="a.png"'
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Etag"]
    assert headers["Last-Modified"]
    assert "Cache-Control" not in headers


async def test_ranges_and_conditions_work(house: House):
    (house.folders.output / "a.png").write_bytes(b"0123456789")
    url = "/view?filename=a.png"
    async with house.client.get(url, headers={"Range": "bytes=2-4"}) as response:
        assert (response.status, await response.read()) == (206, b"234")
        etag = response.headers["Etag"]
    async with house.client.get(url, headers={"If-None-Match": etag}) as response:
        assert response.status == 304
    async with house.client.get(url, headers={"Range": "bytes=99-"}) as response:
        assert response.status == 416


async def test_the_folder_is_named_by_type_or_by_annotation(house: House):
    for kind in ("input", "output", "temp"):
        (house.folders.base / kind / "a.png").write_bytes(kind.encode())
    assert (await view(house, filename="a.png"))[1] == b"output"
    assert (await view(house, filename="a.png", type="input"))[1] == b"input"
    assert (await view(house, filename="a.png [temp]", type="input"))[1] == b"temp"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 404),
        ({"filename": "missing.png"}, 404),
        ({"filename": ""}, 400),
        ({"filename": "/etc/passwd"}, 400),
        ({"filename": "../secret.png"}, 400),
        ({"filename": "..\\secret.png"}, 400),
        ({"filename": "sub/a.png"}, 404),
        ({"filename": "a.png", "type": "models"}, 400),
        ({"filename": "a.png", "subfolder": "../base"}, 403),
        ({"filename": "a.png", "subfolder": "/etc"}, 403),
        ({"filename": "a.png", "subfolder": "x\0y"}, 403),
        ({"filename": "a\0.png"}, 404),
        ({"filename": "sub"}, 404),
        ({"filename": "link.png"}, 404),
        ({"filename": "secret.png", "subfolder": "linked"}, 403),
        ({"filename": "x" * 300}, 404),
    ],
)
async def test_nothing_else_is_served(house: House, query: dict[str, str], status: int):
    output = house.folders.output
    (house.folders.base / "secret.png").write_bytes(b"classified")
    (output / "sub").mkdir()
    (output / "sub" / "a.png").write_bytes(b"x")
    (output / "link.png").symlink_to(house.folders.base / "secret.png")
    (output / "linked").symlink_to(house.folders.base)
    got, body, _ = await view(house, **query)
    assert (got, b"classified" in body) == (status, False)


@pytest.mark.parametrize(
    ("name", "kind", "attachment"),
    [
        ("a.svg", "image/svg+xml", True),
        ("a.html", "application/octet-stream", True),
        ("a.xhtml", "application/octet-stream", True),
        ("a.js", "application/octet-stream", True),
        ("a.css", "application/octet-stream", True),
        ("a.pdf", "application/pdf", True),
        ("a.json", "application/json", True),
        ("a.bin", "application/octet-stream", True),
        ("a.webp", "image/webp", False),
        ("a.mp4", "video/mp4", False),
        ("a.flac", "audio/flac", False),
    ],
)
async def test_what_could_run_in_a_page_is_a_download(house: House, name: str, kind: str, attachment: bool):
    (house.folders.output / name).write_bytes(b"<script>alert(1)</script>")
    _, _, headers = await view(house, filename=name)
    assert headers["Content-Type"] == kind
    assert headers["Content-Disposition"].startswith("attachment") is attachment
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")


async def test_a_users_own_files_run_nowhere_either(house: House):
    async with house.client.post("/userdata/a.html", data=b"<script>1</script>") as response:
        assert response.status == 200
    async with house.client.get("/userdata/a.html") as response:
        assert response.headers["Content-Disposition"].startswith("attachment")
        assert response.headers["Content-Security-Policy"].startswith("sandbox")


async def test_odd_names_cannot_break_the_header(house: House):
    name = "a\"; x=é'.png"
    (house.folders.output / name).write_bytes(b"x")
    status, _, headers = await view(house, filename=name)
    assert status == 200
    assert headers["Content-Disposition"] == ("filename=\"a_; x=_'.png\"; filename*=UTF-8''a%22%3B%20x%3D%C3%A9%27.png")


@pytest.mark.parametrize(
    ("wanted", "kind"),
    [("webp;50", "webp"), ("jpeg;80", "jpeg"), ("jpeg", "jpeg"), ("gif", "webp"), ("", "webp"), ("jpeg;x", "jpeg")],
)
async def test_previews_are_smaller_encodings(house: House, wanted: str, kind: str):
    (house.folders.output / "a.png").write_bytes(picture())
    status, body, headers = await view(house, filename="a.png", preview=wanted)
    assert (status, headers["Content-Type"]) == (200, f"image/{kind}")
    assert opened(body).size == (8, 4)
    assert opened(body).mode == ("RGBA" if kind == "webp" else "RGB")


async def test_asking_for_alpha_in_a_preview_gives_webp(house: House):
    (house.folders.output / "a.png").write_bytes(picture())
    assert (await view(house, filename="a.png", preview="jpeg", channel="a"))[2]["Content-Type"] == "image/webp"


async def test_channels_are_taken_apart(house: House):
    (house.folders.output / "a.png").write_bytes(picture())
    (house.folders.output / "b.png").write_bytes(picture(mode="RGB"))
    _, rgb, headers = await view(house, filename="a.png", channel="rgb")
    assert headers["Content-Type"] == "image/png"
    assert (opened(rgb).mode, opened(rgb).getpixel((0, 0))) == ("RGB", (10, 20, 30))
    assert opened((await view(house, filename="a.png", channel="a"))[1]).getpixel((0, 0)) == (0, 0, 0, 40)
    assert opened((await view(house, filename="b.png", channel="a"))[1]).getpixel((0, 0)) == (0, 0, 0, 255)
    assert (await view(house, filename="a.png", channel="odd"))[1] == picture()


@pytest.mark.parametrize("data", [b"no picture", b"", picture()[:40], b"GIF89a"])
async def test_what_is_no_picture_has_no_preview(house: House, data: bytes):
    (house.folders.output / "a.png").write_bytes(data)
    status, body, _ = await view(house, filename="a.png", preview="webp")
    assert status == 400
    assert b"not_an_image" in body


async def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(house: House):
    image = Image.new("1", (20_000, 20_000))
    image.save(house.folders.output / "bomb.png")
    status, body, _ = await view(house, filename="bomb.png", preview="webp")
    assert status == 400
    assert b"pixels" in body


async def test_the_picture_beside_a_model_is_its_preview_and_no_other_file_is(house: House):
    loras = house.folders.models / "loras"
    (loras / "sub").mkdir()
    (loras / "sub" / "m.safetensors").write_bytes(b"x")
    (loras / "sub" / "m.preview.png").write_bytes(picture())
    (house.folders.input / "private.png").write_bytes(picture())
    url = "/experiment/models/preview/loras"

    async def fetch(path: str) -> tuple[int, str]:
        target = URL(house.url + url + path, encoded=True)
        async with aiohttp.ClientSession() as session, session.get(target) as response:
            return response.status, response.content_type

    assert await fetch("/0/sub/m.safetensors") == (200, "image/webp")
    for path in (
        *("/0/../../../input/private.safetensors", "/0/..%2f..%2f..%2finput%2fprivate.safetensors"),
        *("/9/sub/m.safetensors", "/x/sub/m.safetensors", "/0/missing.safetensors", "/0/", "/-1/sub/m.safetensors"),
    ):
        assert (await fetch(path))[0] == 404, path


async def test_metadata_of_a_model_is_shown(house: House):
    checkpoints = house.folders.models / "checkpoints"

    def write(name: str, header: bytes, length: int | None = None) -> None:
        size = len(header) if length is None else length
        (checkpoints / name).write_bytes(size.to_bytes(8, "little") + header)

    write("a.safetensors", b'{"__metadata__": {"title": "t"}}')
    write("none.safetensors", b"{}")
    write("a.ckpt", b'{"__metadata__": {"title": "t"}}')
    write("large.safetensors", b"{}", (1 << 20) + 1)
    write("damaged.safetensors", b"{{")
    (checkpoints / "short.safetensors").write_bytes(b"123")

    async def ask(name: str, kind: str = "checkpoints") -> tuple[int, bytes]:
        async with house.client.get(f"/view_metadata/{kind}", params={"filename": name}) as response:
            return response.status, await response.read()

    assert await ask("a.safetensors") == (200, b'{"title":"t"}')
    for name in ("none", "a.ckpt", "large", "damaged", "short", "missing", "../x"):
        assert (await ask(name if "." in name else f"{name}.safetensors"))[0] == 404, name
    assert (await ask("a.safetensors", "unknown"))[0] == 404


async def test_files_are_listed_newest_first(house: House):
    import os

    for age, name in enumerate(("b.png", "a.png", ".hidden")):
        path = house.folders.input / name
        path.touch()
        os.utime(path, (1000 - age, 1000 - age))
    (house.folders.input / "folder").mkdir()
    async with house.client.get("/internal/files/input") as response:
        assert await response.json() == ["b.png", "a.png"]
    async with house.client.get("/internal/files/models") as response:
        assert (response.status, await response.json()) == (400, {"error": "Invalid directory type"})


@pytest.fixture
def pack(house: House) -> Path:
    folder = house.folders.base / "custom_nodes" / "a pack"
    (folder / "example_workflows").mkdir(parents=True)
    (folder / "example_workflows" / "first.json").write_text('{"nodes": []}')
    for language, key in (("en", "hello"), ("de", "hallo")):
        (folder / "locales" / language).mkdir(parents=True)
        (folder / "locales" / language / "main.json").write_text(f'{{"{key}": 1}}')
    (folder / "locales" / "en" / "nodeDefs.json").write_text('{"Node": {"display_name": "N"}}')
    (folder / "locales" / "de" / "settings.json").write_text("{")
    (folder / "subgraphs").mkdir()
    (folder / "subgraphs" / "s.json").write_text("{}")
    return folder


async def get(house: House, path: str) -> Any:
    async with house.client.get(path) as response:
        assert response.status == 200, path
        return await response.json()


async def test_what_packs_bring_is_listed_and_served(house: House, pack: Path):
    assert await get(house, "/workflow_templates") == {"a pack": ["first"]}
    assert await get(house, "/api/workflow_templates/a%20pack/first.json") == {"nodes": []}
    assert await get(house, "/i18n") == {
        "en": {"hello": 1, "nodeDefs": {"Node": {"display_name": "N"}}},
        "de": {"hallo": 1},
    }
    shared = await get(house, "/global_subgraphs")
    ((id, about),) = shared.items()
    assert about == {"source": "custom_node", "name": "s", "info": {"node_pack": "custom_nodes.a pack"}}
    assert (await get(house, f"/global_subgraphs/{id}"))["data"] == "{}"
    for path in ("/api/workflow_templates/a%20pack/missing.json", "/api/workflow_templates/a%20pack/..%2flocales"):
        async with house.client.get(URL(path, encoded=True)) as response:
            assert response.status == 404


async def test_files_of_packs_cannot_be_listed(house: House, pack: Path):
    assert await get(house, "/models/custom_nodes") == []
    async with house.client.get("/experiment/models/custom_nodes") as response:
        assert response.status == 404


async def test_models_are_listed_by_kind(house: House):
    path = house.folders.models / "checkpoints" / "sub" / "m.safetensors"
    path.parent.mkdir()
    path.write_bytes(b"12345")
    (house.folders.models / "embeddings" / "e.pt").touch()
    assert (await get(house, "/models"))[:2] == ["checkpoints", "configs"]
    assert await get(house, "/models/checkpoints") == ["sub/m.safetensors"]
    (row,) = await get(house, "/experiment/models/checkpoints")
    assert {**row, "modified": 0, "created": 0} == {
        "name": "sub/m.safetensors",
        "pathIndex": 0,
        "modified": 0,
        "created": 0,
        "size": 5,
    }
    assert "configs" not in [kind["name"] for kind in await get(house, "/experiment/models")]
    assert await get(house, "/embeddings") == ["e"]
    for kind in ("unknown", "clip", "unet"):
        async with house.client.get(f"/models/{kind}") as response:
            assert (response.status, await response.read()) == (404, b"")
