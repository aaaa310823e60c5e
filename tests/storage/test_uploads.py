"""Finding and storing the users' files."""

import hashlib
import threading
import tracemalloc
from pathlib import Path

import pytest

from storage.inputs import Inputs, file_kind
from storage.names import BadName


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    for name in ("input", "output", "temp"):
        (tmp_path / name).mkdir()
    return Inputs(tmp_path / "input", tmp_path / "output", tmp_path / "temp")


def store(inputs: Inputs, name: str, content: bytes, subfolder: str = "", overwrite: bool = False) -> str:
    with inputs.upload() as upload:
        upload.write(content)
        return upload.store(name, subfolder, overwrite=overwrite)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_keeps_its_name(inputs: Inputs):
    assert store(inputs, "a.png", b"1", "sub/deep") == "a.png"
    assert (inputs.root("input") / "sub" / "deep" / "a.png").read_bytes() == b"1"
    assert names(inputs.root("input")) == ["sub"]


def test_the_same_content_is_stored_once(inputs: Inputs):
    store(inputs, "a.png", b"1")
    assert store(inputs, "a.png", b"1") == "a.png"
    assert store(inputs, "a.png", b"2") == "a (1).png"
    assert store(inputs, "a.png", b"2") == "a (1).png"
    assert store(inputs, "a.png", b"3") == "a (2).png"
    assert names(inputs.root("input")) == ["a (1).png", "a (2).png", "a.png"]


def test_overwriting_replaces_in_place(inputs: Inputs):
    store(inputs, "a.png", b"1")
    assert store(inputs, "a.png", b"2", overwrite=True) == "a.png"
    assert names(inputs.root("input")) == ["a.png"]
    assert (inputs.root("input") / "a.png").read_bytes() == b"2"


def test_an_upload_given_up_leaves_nothing(inputs: Inputs):
    with inputs.upload() as upload:
        upload.write(b"half")
    assert names(inputs.root("input")) == []


@pytest.mark.parametrize(
    ("name", "subfolder"),
    [
        ("../a", ""),
        ("a", "../x"),
        ("..\\a", ""),
        ("", ""),
        ("a", "/tmp"),
        ("a/", ""),
        ("\0", ""),
        ("..", ""),
        ("x" * 201, ""),
    ],
)
def test_names_that_lead_outside_are_refused(inputs: Inputs, name: str, subfolder: str):
    with pytest.raises(BadName):
        store(inputs, name, b"1", subfolder)
    assert names(inputs.root("input")) == []


def test_an_upload_never_goes_through_a_link_to_the_outside(inputs: Inputs, tmp_path: Path):
    (tmp_path / "outside").mkdir()
    (inputs.root("input") / "link").symlink_to(tmp_path / "outside")
    (inputs.root("input") / "file.png").symlink_to(tmp_path / "outside" / "file.png")
    for name, subfolder in (("a.png", "link"), ("file.png", "")):
        with pytest.raises(BadName):
            store(inputs, name, b"1", subfolder, overwrite=True)
    assert names(tmp_path / "outside") == []


def test_a_folder_of_that_name_is_not_replaced(inputs: Inputs):
    (inputs.root("input") / "a.png").mkdir()
    with pytest.raises(BadName, match="is a folder"):
        store(inputs, "a.png", b"1", overwrite=True)


def test_many_clients_with_one_name_get_one_name_each(inputs: Inputs):
    got: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: got.append(store(inputs, "a.png", f"{n}".encode()))) for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(got)) == 20
    assert {path.read_bytes() for path in inputs.root("input").iterdir()} == {f"{n}".encode() for n in range(20)}


def test_a_large_upload_does_not_grow_memory(inputs: Inputs):
    chunk = b"x" * (1 << 20)
    tracemalloc.start()
    with inputs.upload() as upload:
        for _ in range(64):
            upload.write(chunk)
        upload.store("big.bin")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20
    assert (inputs.root("input") / "big.bin").stat().st_size == 64 << 20


def test_an_annotation_names_the_folder(inputs: Inputs):
    for kind in ("input", "output", "temp"):
        (inputs.root(file_kind(kind)) / "a.png").write_bytes(kind.encode())
    assert [inputs.resolve(name).read_bytes() for name in ("a.png", "a.png [output]", "a.png [temp]")] == [
        b"input",
        b"output",
        b"temp",
    ]
    assert inputs.find("a.png [input]", default="output") == inputs.root("input").resolve() / "a.png"
    assert inputs.find("a.png [nowhere]") is None


def test_what_leads_outside_is_not_found(inputs: Inputs, tmp_path: Path):
    (tmp_path / "secret.png").touch()
    (inputs.root("input") / "link.png").symlink_to(tmp_path / "secret.png")
    assert inputs.find("../secret.png") is None
    assert inputs.find("link.png") is None
    with pytest.raises(BadName):
        inputs.resolve("../secret.png [output]")


def test_newest_files_come_first(inputs: Inputs):
    import os

    for age, name in enumerate(["new.png", "mid.png", "old.png", ".hidden"]):
        path = inputs.root("input") / name
        path.touch()
        os.utime(path, (1000 - age, 1000 - age))
    assert inputs.newest("input") == ["new.png", "mid.png", "old.png"]
    assert inputs.files() == ["mid.png", "new.png", "old.png"]


def test_an_unknown_kind_of_file_is_named():
    with pytest.raises(BadName, match="expected input, output or temp"):
        file_kind("models")


def test_the_content_is_what_came(inputs: Inputs):
    content = bytes(range(256)) * 1000
    store(inputs, "a.bin", content)
    stored = (inputs.root("input") / "a.bin").read_bytes()
    assert hashlib.sha256(stored).digest() == hashlib.sha256(content).digest()
