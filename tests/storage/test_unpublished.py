"""A job that is begun again leaves nothing of its first attempt."""

from pathlib import Path

import pytest

from storage.outputs import Outputs
from storage.unpublished import Unpublished


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


def save(base: Path, unpublished: Unpublished, job: str, count: int = 1) -> list[Path]:
    """What a worker does for a job."""
    outputs = Outputs(base / "output", base / "temp", note=lambda part, path: unpublished.note(job, part, path))
    return [outputs.series("a").save_bytes(f"{job} {n}".encode(), ".png").path for n in range(count)]


def test_what_the_last_attempt_saved_goes_when_the_job_saves_again(tmp_path: Path, ledger: Path):
    first = save(tmp_path, Unpublished(ledger), "job", 3)
    other = save(tmp_path, Unpublished(ledger), "another")
    second = save(tmp_path, Unpublished(ledger), "job", 2)  # in another process
    assert set((tmp_path / "output").iterdir()) == {*other, *second}
    assert not set(first) & set(second) or all(path.read_bytes().startswith(b"job") for path in second)


def test_the_files_of_a_filed_job_stay(tmp_path: Path, ledger: Path):
    first = save(tmp_path, Unpublished(ledger), "job")
    Unpublished(ledger).settle("job")
    second = save(tmp_path, Unpublished(ledger), "job")
    assert all(path.exists() for path in (*first, *second))


def test_who_saved_and_was_not_filed_is_known(tmp_path: Path, ledger: Path):
    assert Unpublished(ledger).jobs() == set()
    save(tmp_path, Unpublished(ledger), "a/../b ü")
    save(tmp_path, Unpublished(ledger), "settled")
    Unpublished(ledger).settle("settled")
    Unpublished(ledger).settle("unknown")
    assert Unpublished(ledger).jobs() == {"a/../b ü"}


def test_a_file_that_is_another_by_now_is_left_alone(tmp_path: Path, ledger: Path):
    changed, replaced, deleted = save(tmp_path, Unpublished(ledger), "job", 3)
    changed.write_bytes(b"somebody's")
    replaced.unlink()
    (tmp_path / "new").write_bytes(b"somebody's")
    (tmp_path / "new").rename(replaced)
    deleted.unlink()
    save(tmp_path, Unpublished(ledger), "job")
    assert changed.read_bytes() == replaced.read_bytes() == b"somebody's"


def test_a_name_that_another_took_first_is_not_ours_to_remove(tmp_path: Path, ledger: Path):
    """The kill came between writing down and naming, and the name is another's."""
    theirs = tmp_path / "theirs.png"
    theirs.write_bytes(b"theirs")
    (tmp_path / "part").write_bytes(b"ours")
    Unpublished(ledger).note("job", tmp_path / "part", theirs)
    save(tmp_path, Unpublished(ledger), "job")
    assert theirs.exists()


def test_half_a_line_is_passed_over(tmp_path: Path, ledger: Path):
    (first,) = save(tmp_path, Unpublished(ledger), "job")
    (file,) = ledger.iterdir()
    with file.open("ab") as half:
        half.write(b'["job", ["/x')
    save(tmp_path, Unpublished(ledger), "job")
    assert not first.exists() or first.read_bytes() == b"job 0"
    assert len(list((tmp_path / "output").iterdir())) == 1


def test_previews_are_not_written_down(tmp_path: Path, ledger: Path):
    unpublished = Unpublished(ledger)
    outputs = Outputs(tmp_path, tmp_path / "temp", note=lambda part, path: unpublished.note("job", part, path))
    outputs.preview_series().save_bytes(b"x", ".png")
    assert not ledger.exists()
