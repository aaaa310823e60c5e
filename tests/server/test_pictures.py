"""Pictures are made the same way in this process and in another, and what breaks a decoder breaks nothing of ours."""

import io
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from server import pictures
from server.pictures import NotAPicture, Pictures

ELSEWHERE, HERE = Pictures(large=0), Pictures()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    image = Image.linear_gradient("L").resize((40, 30)).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").rotate(90).resize((40, 30)))
    image.save(path)
    return path


async def test_large_pictures_are_made_in_another_process_and_are_the_same(photo: Path):
    for format in ("webp", "jpeg"):
        assert await ELSEWHERE.preview(photo, format, 90) == await HERE.preview(photo, format, 90)
    assert await ELSEWHERE.masked(photo, photo) == await HERE.masked(photo, photo)


@pytest.mark.parametrize("where", [HERE, ELSEWHERE])
async def test_what_is_no_picture_is_said(tmp_path: Path, photo: Path, where: Pictures):
    cut = tmp_path / "cut.png"
    cut.write_bytes(photo.read_bytes()[:-60])
    with pytest.raises(NotAPicture, match="cannot be read"):
        await where.without_alpha(cut)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(NotAPicture, match="no picture in a format we know"):
        await where.preview(tmp_path / "text.png", "webp", 90)


def header_of(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", size + b"\x08\x02\0\0\0")
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(30_000, 30_000), (13_000, 13_000), (1, 2**31 - 1)])
async def test_a_picture_that_claims_to_be_vast_is_refused_before_it_is_decoded(tmp_path: Path, size: tuple[int, int]):
    (tmp_path / "bomb.png").write_bytes(header_of(*size))
    with pytest.raises(NotAPicture):
        await HERE.preview(tmp_path / "bomb.png", "webp", 90)


async def test_a_decoder_that_dies_takes_nobody_along(photo: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pictures.sys, "executable", "/bin/false")  # a process that ends without a word
    with pytest.raises(NotAPicture, match="damaged beyond reading"):
        await ELSEWHERE.preview(photo, "webp", 90)


async def test_a_decoder_that_does_not_end_is_ended(photo: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    endless = tmp_path / "endless"
    endless.write_text("#!/bin/sh\nexec sleep 600\n")
    endless.chmod(0o755)
    monkeypatch.setattr(pictures.sys, "executable", str(endless))
    monkeypatch.setattr(pictures, "SECONDS", 0.1)
    with pytest.raises(NotAPicture, match="took longer"):
        await ELSEWHERE.preview(photo, "webp", 90)


async def test_a_large_picture_inside_another_file_is_refused(photo: Path):
    source: Any = io.BytesIO(photo.read_bytes())
    with pytest.raises(NotAPicture, match="inside another file"):
        await ELSEWHERE.preview(source, "webp", 90)
