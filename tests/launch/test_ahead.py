"""Reading the next job's files while another runs."""

from pathlib import Path

import pytest

from execution.job import Job
from launch.ahead import ReadAhead, advise
from storage.folders import Folders


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    for folder, name, size in (("checkpoints", "a.safetensors", 100), ("loras", "b.safetensors", 30)):
        path = tmp_path / "models" / folder / name
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(size))
    return Folders(tmp_path)


def naming(*names: object) -> Job:
    graph = {str(i): {"class_type": "X", "inputs": {"name": name, "n": 3}} for i, name in enumerate(names)}
    return Job("next", 0, graph, ())


def test_files_that_the_next_job_names_are_read_once(folders: Folders):
    read: list[str] = []
    ahead = ReadAhead(folders, lambda: 1000, lambda path: read.append(path.name))
    job = naming("a.safetensors", "a cat. and a dog", ["1", 0], "b.safetensors", "none.safetensors", "../../etc/passwd")
    ahead(job)
    ahead(job)
    assert read == ["a.safetensors", "b.safetensors"]


def test_what_does_not_fit_in_half_the_free_memory_is_left_on_disk(folders: Folders):
    read: list[str] = []
    ReadAhead(folders, lambda: 199, lambda path: read.append(path.name))(naming("a.safetensors", "b.safetensors"))
    assert read == ["b.safetensors"]


def test_a_file_that_is_gone_is_nobodys_trouble(folders: Folders, tmp_path: Path):
    def gone(path: Path) -> None:
        raise FileNotFoundError(path)

    ReadAhead(folders, lambda: 1000, gone)(naming("a.safetensors"))
    advise(tmp_path / "models" / "loras" / "b.safetensors")
