"""`--cache-disk`: the results of one worker are found by the next."""

from pathlib import Path
from typing import Any

import pytest

from execution.events import Cached, Event, NodeStarted, Succeeded
from execution.job import Job
from launch.arguments import parse_serve
from launch.engine import build_engine
from launch.folders import folders_of
from launch.shelf import DiskShelf, edition

GRAPH: dict[str, Any] = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 16, "height": 16, "batch_size": 1, "color": 4886754}},
    "2": {"class_type": "ImageBlur", "inputs": {"image": ["1", 0], "blur_radius": 2, "sigma": 1.0}},
    "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "a"}},
}


def run(base: Path, *arguments: str) -> tuple[list[str], list[str]]:
    """What a new worker runs of the graph, and what it says it has at hand."""
    settings = parse_serve(["--base-directory", str(base), "--cpu", "--disable-all-custom-nodes", *arguments], base)
    folders = folders_of(settings.paths)
    folders.make()
    engine = build_engine(settings, folders)
    events: list[Event] = []
    ending = engine.run(Job("a", 0, GRAPH, ("3",)), events.append, lambda: False)
    assert isinstance(ending, Succeeded), ending
    shelf = engine._executor.cache.shelf  # pyright: ignore[reportPrivateUsage]  # to wait for its thread
    if isinstance(shelf, DiskShelf):
        shelf.settle()
    (cached,) = [event for event in events if isinstance(event, Cached)]
    return [event.node.id for event in events if isinstance(event, NodeStarted)], list(cached.nodes)


def test_the_next_worker_goes_on_from_what_is_on_disk(tmp_path: Path):
    assert run(tmp_path, "--cache-disk", "10M") == (["1", "2", "3"], [])
    assert run(tmp_path, "--cache-disk", "10M") == (["3"], ["1", "2"])
    first, second = sorted(path.read_bytes() for path in (tmp_path / "output").glob("*.png"))
    assert first == second
    assert run(tmp_path, "--cache-disk", "10M", "--fp16-vae")[0] == ["1", "2", "3"], "other settings, other results"
    for path in (tmp_path / "user" / "heddle" / "results").rglob("*.*"):
        path.write_bytes(path.read_bytes()[:-1])
    assert run(tmp_path, "--cache-disk", "10M")[0] == ["1", "2", "3"]


def test_without_the_flag_nothing_is_kept(tmp_path: Path):
    run(tmp_path)
    assert not (tmp_path / "user" / "heddle" / "results").exists()


def test_another_program_makes_another_edition(tmp_path: Path):
    (tmp_path / "a.py").write_text("x = 1")
    first = edition([tmp_path], "cpu")
    assert first == edition([tmp_path], "cpu")
    assert first != edition([tmp_path], "cuda")
    (tmp_path / "a.py").write_text("x = 22")
    assert first != edition([tmp_path], "cpu")


@pytest.mark.parametrize(("text", "size"), [("2G", 2 * 2**30), ("500M", 500 * 2**20), ("0.5", 2**29), ("0", 0)])
def test_sizes_on_the_command_line(text: str, size: int, tmp_path: Path):
    assert parse_serve(["--cache-disk", text], tmp_path).caching.disk == size


@pytest.mark.parametrize("text", ["2X", "-1", "x", "", "nan", "9999T"])
def test_sizes_that_are_none(text: str, tmp_path: Path):
    with pytest.raises(SystemExit) as stopped:
        parse_serve([f"--cache-disk={text}"], tmp_path)
    assert stopped.value.code == 2
