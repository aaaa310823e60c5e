"""Pieces kept on disk: found again, never wrong, never too many."""

import os
from pathlib import Path

import pytest

from storage.blobs import RESERVE, Blobs

KEYS = [f"{n:040x}" for n in range(20)]


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def opened(folder: Path, clock: Clock, edition: str = "one", budget: int = 1000, age: float = 1e7, free: int = 10**15):
    blobs = Blobs(folder, edition, budget, age, clock, lambda _: free)
    blobs.open()
    return blobs


def test_a_piece_is_found_again_also_by_the_next_process(tmp_path: Path, clock: Clock):
    assert opened(tmp_path, clock).put(KEYS[0], b"data")
    again = opened(tmp_path, clock)
    assert KEYS[0] in again
    assert again.get(KEYS[0]) == b"data"
    assert again.get(KEYS[1]) is None


@pytest.mark.parametrize("damage", [b"", b"Data", b"data\0", b"dat"])
def test_a_damaged_piece_is_a_miss_and_goes(tmp_path: Path, clock: Clock, damage: bytes):
    blobs = opened(tmp_path, clock)
    blobs.put(KEYS[0], b"data")
    (path,) = (tmp_path / "one").iterdir()
    path.write_bytes(damage)
    assert blobs.get(KEYS[0]) is None
    assert not path.exists()
    assert KEYS[0] not in blobs
    assert blobs.put(KEYS[0], b"data")


def test_a_piece_that_somebody_deleted_is_a_miss(tmp_path: Path, clock: Clock):
    blobs = opened(tmp_path, clock)
    blobs.put(KEYS[0], b"data")
    for path in (tmp_path / "one").iterdir():
        path.unlink()
    assert blobs.get(KEYS[0]) is None
    assert blobs.size == 0


def test_what_was_not_used_for_longest_makes_room(tmp_path: Path, clock: Clock):
    blobs = opened(tmp_path, clock, budget=1000)
    for key in KEYS[:3]:
        blobs.put(key, bytes(300))
    blobs.get(KEYS[0])
    blobs.put(KEYS[3], bytes(300))
    assert [key in blobs for key in KEYS[:4]] == [True, False, True, True]
    assert not blobs.put(KEYS[4], bytes(1001))
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) == blobs.size == 900


def test_a_smaller_budget_holds_from_the_start(tmp_path: Path, clock: Clock):
    blobs = opened(tmp_path, clock)
    for key in KEYS[:3]:
        blobs.put(key, bytes(300))
        (path,) = (tmp_path / "one").glob(f"{key}*")
        os.utime(path, (clock.now, clock.now))
    assert [key in opened(tmp_path, clock, budget=600) for key in KEYS[:3]] == [False, True, True]


def test_what_was_long_unused_goes(tmp_path: Path, clock: Clock):
    blobs = opened(tmp_path, clock)
    blobs.put(KEYS[0], b"old")
    blobs.put(KEYS[1], b"used")
    clock.now += 1e8
    blobs.get(KEYS[1])
    again = opened(tmp_path, clock)
    assert [key in again for key in KEYS[:2]] == [False, True]


def test_another_edition_finds_nothing_and_shares_the_room(tmp_path: Path, clock: Clock):
    opened(tmp_path, clock).put(KEYS[0], bytes(900))
    other = opened(tmp_path, clock, "two")
    assert KEYS[0] not in other
    assert other.get(KEYS[0]) is None
    assert other.put(KEYS[1], bytes(900))
    assert not list((tmp_path / "one").iterdir())


def test_on_a_disk_that_is_nearly_full_it_shrinks_and_takes_nothing(tmp_path: Path, clock: Clock):
    opened(tmp_path, clock).put(KEYS[0], b"data")
    scarce = opened(tmp_path, clock, free=RESERVE - 1)
    assert scarce.size == 0
    assert not scarce.put(KEYS[1], b"data")


def test_what_a_crash_left_half_written_is_never_found(tmp_path: Path, clock: Clock):
    opened(tmp_path, clock)
    (tmp_path / "one" / ".heddle-0.part").write_bytes(b"half")
    (tmp_path / "one" / "notes.txt").write_bytes(b"of someone")
    assert opened(tmp_path, clock).size == 0
