"""How files that nodes write are called, and that none is ever lost to another."""

import os
import re
import threading
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import pytest

from storage.names import BadName
from storage.outputs import Outputs

NOON = datetime(2026, 3, 4, 12, 5, 6).astimezone()


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path / "output", tmp_path / "temp")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_numbers_start_at_one_and_continue(outputs: Outputs):
    first = outputs.series("x").save_bytes(b"1", ".png")
    assert first.entry() == {"filename": "x_00001_.png", "subfolder": "", "type": "output"}
    series = outputs.series("x")
    assert [series.save_bytes(b"2", ".png").filename for _ in range(2)] == ["x_00002_.png", "x_00003_.png"]
    assert first.path.read_bytes() == b"1"


def test_a_prefix_may_name_folders(outputs: Outputs):
    saved = outputs.series("a/b/name").save_bytes(b"", ".png")
    assert saved.subfolder == os.path.join("a", "b")
    assert saved.path == outputs.output.resolve() / "a" / "b" / "name_00001_.png"


def test_what_the_server_replaces_and_what_it_leaves(outputs: Outputs):
    series = outputs.series("%year%-%month%-%day%/%hour%%minute%%second%_%width%x%height%_%date:yyyy%", 64, 32, NOON)
    assert series.subfolder == "2026-03-04"
    assert series.name == "120506_64x32_%date:yyyy%"


def test_the_place_in_the_batch_can_be_in_the_name(outputs: Outputs):
    series = outputs.series("b%batch_num%")
    assert [series.save_bytes(b"", ".png", batch=n).filename for n in range(2)] == ["b0_00001_.png", "b1_00002_.png"]


def test_a_later_run_with_the_place_in_its_name_replaces_nothing(outputs: Outputs):
    for run in (b"first", b"second"):
        series = outputs.series("b%batch_num%")
        for n in range(2):
            series.save_bytes(run, ".png", batch=n)
    assert names(outputs.output) == ["b0_00001_.png", "b0_00003_.png", "b1_00002_.png", "b1_00004_.png"]
    assert (outputs.output / "b0_00001_.png").read_bytes() == b"first"


def test_names_that_begin_alike_do_not_disturb_each_other(outputs: Outputs):
    outputs.series("a_7").save_bytes(b"", ".png")
    outputs.series("a_7").save_bytes(b"", ".png")
    outputs.series("ab").save_bytes(b"", ".png")
    assert outputs.series("a").save_bytes(b"", ".png").filename == "a_00001_.png"


def test_numbers_grow_beyond_five_digits(outputs: Outputs):
    outputs.output.mkdir()
    (outputs.output / "x_99999_.png").touch()
    assert outputs.series("x").save_bytes(b"", ".png").filename == "x_100000_.png"


def test_two_jobs_with_one_prefix_lose_nothing(outputs: Outputs):
    series = [outputs.series("same") for _ in range(4)]
    assert {one.counter for one in series} == {1}

    def work(one: int) -> None:
        for n in range(10):
            series[one].save_bytes(f"{one} {n}".encode(), ".png")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    contents = {path.read_bytes() for path in outputs.output.iterdir()}
    assert len(contents) == 40


def test_a_write_that_fails_leaves_nothing_behind(outputs: Outputs):
    def fail(file: BinaryIO) -> None:
        file.write(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        outputs.series("x").save(fail, ".png")
    assert names(outputs.output) == []


def test_a_file_is_seen_only_when_it_is_whole(outputs: Outputs):
    seen: list[list[str]] = []

    def write(file: BinaryIO) -> None:
        file.write(b"data")
        seen.append([name for name in names(outputs.output) if not name.startswith(".")])

    outputs.series("x").save(write, ".png")
    assert seen == [[]]
    assert names(outputs.output) == ["x_00001_.png"]


def test_previews_go_to_the_temporary_folder_under_a_random_name(outputs: Outputs):
    saved = outputs.preview_series().save_bytes(b"", ".png")
    assert saved.type == "temp"
    assert re.fullmatch(r"ComfyUI_temp_[a-z]{5}_00001_\.png", saved.filename)
    assert saved.path.parent == outputs.temp.resolve()


@pytest.mark.parametrize(
    "prefix",
    [
        *["../x", "..\\x", "a/../../x", "/tmp/x", "\\\\host\\share", "C:\\x", "C:/x", "a\0b", "a\nb", "x" * 300],
        *["a/" + "y" * 201 + "/b", "..", "\ud800", ".hidden", "a/.hidden"],
    ],
)
def test_prefixes_that_leave_or_cannot_be_files_are_refused_before_anything_is_written(outputs: Outputs, prefix: str):
    with pytest.raises(BadName):
        outputs.series(prefix)
    assert not outputs.output.exists()


def test_a_prefix_does_not_leave_through_a_link(outputs: Outputs, tmp_path: Path):
    outputs.output.mkdir()
    (outputs.output / "out").symlink_to(tmp_path)
    with pytest.raises(BadName, match="through a link"):
        outputs.series("out/x")


def test_the_output_folder_itself_may_be_a_link(tmp_path: Path):
    (tmp_path / "real").mkdir()
    (tmp_path / "output").symlink_to(tmp_path / "real")
    Outputs(tmp_path / "output", tmp_path / "temp").series("x").save_bytes(b"", ".png")
    assert names(tmp_path / "real") == ["x_00001_.png"]


@pytest.mark.parametrize(
    ("prefix", "name"),
    [
        ("", "output_00001_.png"),
        ("dir/", "dir/output_00001_.png"),
        ("a\\b", "a/b_00001_.png"),
        ("字/画", "字/画_00001_.png"),
    ],
)
def test_odd_prefixes_have_a_defined_place(outputs: Outputs, prefix: str, name: str):
    saved = outputs.series(prefix).save_bytes(b"", ".png")
    assert saved.path == outputs.output.resolve() / name


def test_a_file_in_the_way_of_a_folder_is_named(outputs: Outputs):
    outputs.output.mkdir()
    (outputs.output / "a").touch()
    with pytest.raises(BadName, match="as if it were a folder"):
        outputs.series("a/x")


def test_a_writer_that_wants_a_path_may_replace_what_is_there(outputs: Outputs, tmp_path: Path):
    def write(path: Path) -> None:
        (tmp_path / "other").write_bytes(b"weights")
        (tmp_path / "other").replace(path)

    saved = outputs.series("m/x").save_path(write, ".safetensors")
    assert saved.filename == "x_00001_.safetensors"
    assert saved.path.read_bytes() == b"weights"
    assert names(saved.path.parent) == [saved.filename]
