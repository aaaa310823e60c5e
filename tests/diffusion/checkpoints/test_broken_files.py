"""Damaged, disguised and lying weights files are refused with a message that says what is wrong."""

import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from diffusion.checkpoints.errors import CheckpointError, Truncated
from diffusion.checkpoints.header import Limits
from diffusion.checkpoints.read import open_checkpoint


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4, dtype=torch.float16)}, path)
    return path


@pytest.fixture
def refusal(tmp_path: Path) -> Callable[..., str]:
    def refuse(content: bytes, name: str = "model.safetensors", limits: Limits | None = None) -> str:
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(CheckpointError) as caught:
            open_checkpoint(path, limits)
        assert name in str(caught.value)
        return caught.value.problem

    return refuse


def file_of(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def one(dtype: Any = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> dict[str, Any]:
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


@pytest.mark.parametrize("missing", [1, 20, 32])
def test_a_cut_file_says_how_many_bytes_are_missing(whole: Path, missing: int):
    size = whole.stat().st_size
    whole.write_bytes(whole.read_bytes()[:-missing])
    with pytest.raises(Truncated) as caught:
        open_checkpoint(whole)
    assert (caught.value.have, caught.value.need) == (size - missing, size)
    assert f"truncated: have {size - missing:,} bytes, need {size:,}" in str(caught.value)


@pytest.mark.parametrize("length", [0, 1, 7])
def test_a_file_shorter_than_its_first_number_is_truncated(refusal: Callable[..., str], length: int):
    assert refusal(b"\0" * length).startswith(f"truncated: have {length} bytes, need 8")


def test_a_cut_header_is_truncated(whole: Path):
    whole.write_bytes(whole.read_bytes()[:40])
    with pytest.raises(Truncated):
        open_checkpoint(whole)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\0" * 64, "overwritten"),
        (struct.pack("<Q", 2**63) + b"{}", "over the limit"),
        (struct.pack("<Q", 33 * 2**20) + b"{}", "over the limit"),
        (struct.pack("<Q", 100) + b"{}", "truncated"),
        (file_of(b"hello, world"), "does not begin with"),
        (file_of(b'{"a": '), "not JSON"),
        (file_of(b"{" + b" " * 40), "not JSON"),
        (file_of(b'{"\xff": 1}'), "not UTF-8"),
        (file_of(b'{"a":' * 10_000 + b"1" + b"}" * 10_000), "nested too deeply"),
        (file_of(b'{"a": 1, "a": 2}'), "names 'a' twice"),
        (file_of({"a": []}), "expected dtype, shape and data_offsets"),
        (file_of({**one(), "__metadata__": []}, b"\0" * 8), "__metadata__ is not an object"),
        (file_of({**one(), "__metadata__": {"x": 1}}, b"\0" * 8), "is not a text"),
        (file_of(one(dtype="F4")), "unknown dtype 'F4'"),
        (file_of(one(dtype=["F32"])), "unknown dtype"),
        (file_of(one(shape=[-2]), b"\0" * 8), "not whole numbers"),
        (file_of(one(shape=[True, 2]), b"\0" * 8), "not whole numbers"),
        (file_of(one(shape=[2**40, 2**40]), b"\0" * 8), "takes"),
        (file_of(one(shape=[1] * 100, offsets=[0, 4]), b"\0" * 4), "100 dimensions"),
        (file_of(one(shape=[3]), b"\0" * 8), "takes 12 bytes, the header gives it 8"),
        (file_of(one(offsets=[8, 16]), b"\0" * 16), "leaves a gap"),
        (file_of({**one(), "b": one()["a"]}, b"\0" * 8), "overlaps"),
        (file_of(one(), b"\0" * 9), "1 bytes follow the last tensor"),
    ],
)
def test_a_lying_header_is_refused(refusal: Callable[..., str], content: bytes, words: str):
    assert words in refusal(content)


def test_limits_hold_exactly(tmp_path: Path, refusal: Callable[..., str]):
    header = {"__metadata__": {"x": "y", "z": "w"}, **one(shape=[1, 2]), "b": {**one()["a"], "data_offsets": [8, 16]}}
    content = file_of(header, b"\0" * 16)
    length = len(content) - 24
    path = tmp_path / "fits.safetensors"
    path.write_bytes(content)
    assert len(open_checkpoint(path, Limits(length, tensors=2, dimensions=2, metadata_entries=2)).weights) == 2
    assert "header" in refusal(content, limits=Limits(header_bytes=length - 1))
    assert "2 tensors" in refusal(content, limits=Limits(tensors=1))
    assert "2 dimensions" in refusal(content, limits=Limits(dimensions=1))
    assert "2 metadata" in refusal(content, limits=Limits(metadata_entries=1))


@pytest.mark.parametrize("name", ["model.safetensors", "model.ckpt"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!DOCTYPE html><html><body>Log in</body></html>", "a web page"),
        (b"\n <html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
        (b'{"error": "Repository not found"}', "a JSON text"),
        (b"GGUF\x03\0\0\0" + b"\0" * 60, "GGUF"),
    ],
)
def test_what_was_downloaded_instead_of_a_model_is_named(
    refusal: Callable[..., str], name: str, content: bytes, words: str
):
    assert words in refusal(content, name)


def test_an_unknown_extension_is_refused(refusal: Callable[..., str]):
    assert "unknown kind of file" in refusal(b"abc", "model.txt")


def test_a_pickle_that_wants_to_run_code_is_refused_and_does_not_run(
    tmp_path: Path, refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
):
    class Attack:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'ran'}",)

    torch.save({"state_dict": {"a": torch.ones(1)}, "x": Attack()}, tmp_path / "made.ckpt")
    assert "more than weights" in refusal((tmp_path / "made.ckpt").read_bytes(), "evil.ckpt")
    assert "more than weights" in refusal(pickle.dumps(Attack(), protocol=2), "evil.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("keep", [0.0, 0.01, 0.5, 0.99])
def test_a_cut_pickle_is_refused(tmp_path: Path, refusal: Callable[..., str], keep: float):
    torch.save({"a": torch.ones(1000)}, tmp_path / "made.ckpt")
    content = (tmp_path / "made.ckpt").read_bytes()
    problem = refusal(content[: int(keep * len(content))], "cut.ckpt")
    assert "truncated" in problem or "empty" in problem


def test_a_compressed_archive_is_refused_before_it_is_unpacked(tmp_path: Path, refusal: Callable[..., str]):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", b"\0" * 10**7)
    assert "compressed record" in refusal((tmp_path / "bomb.zip").read_bytes(), "bomb.ckpt")


@pytest.mark.parametrize("content", [[], torch.ones(3), {"epoch": 3}, {}])
def test_a_pickle_without_named_tensors_is_refused(tmp_path: Path, content: Any):
    path = tmp_path / "model.pt"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=r"expected a dictionary|holds no tensors"):
        open_checkpoint(path)


@pytest.mark.parametrize(
    ("index", "words"),
    [
        (
            {"weight_map": {"a": "model.safetensors", "b": "lost.safetensors"}},
            "missing shard 'lost.safetensors', one of 2",
        ),
        ({"weight_map": {"a": "../model.safetensors"}}, "outside the folder"),
        ({"weight_map": {"q": "model.safetensors"}}, "in no shard, for instance 'q'"),
        ({"weights": {}}, "expected a JSON object"),
        ([], "expected a JSON object"),
    ],
)
def test_an_index_that_does_not_fit_its_shards_is_refused(whole: Path, index: Any, words: str):
    path = whole.with_name("model.safetensors.index.json")
    path.write_text(json.dumps(index))
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(path)
    assert words in str(caught.value)
