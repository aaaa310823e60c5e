"""Whatever happens to the database's file, what was acknowledged is there again."""

import asyncio
import contextlib
import json
import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from execution.events import Succeeded
from execution.queue import Queue, Submission
from execution.record import Recorder
from storage import archive
from storage.database import Database, NotKept
from storage.jobs import Jobs
from storage.journal import Journal
from tests.jobs.conftest import job


async def some_work(queue: Queue, round: int) -> None:
    """A bit of everything: jobs that wait, run and have ended, moved, taken back and told about."""
    for n in range(6):
        await queue.put_all(
            [job(f"{round}-{n}", n, client_id="ümläut")], Submission(key=f"{round}-{n}", webhook="http://x")
        )
    await queue.move_before(f"{round}-5", f"{round}-1")
    await queue.delete([f"{round}-4"])
    claim = await queue.next("w")
    recorder, ending = Recorder(claim.job.graph), Succeeded(claim.job.id, 5.0)
    recorder.take(ending)
    await queue.finish(claim, ending, recorder.record(ending))
    await queue.pause()
    await queue.resume()


def content(path: Path) -> dict[str, list[Any]]:
    """Every row of every table, as a server would find it."""
    with sqlite3.connect(path) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        tables = {
            name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in names if "_words_" not in name
        }
    connection.close()
    return tables


def settle(database: Database) -> None:
    """Wait for the thread that makes a copy."""
    database._archive.settle()  # pyright: ignore[reportPrivateUsage]


def worked(path: Path, rounds: int = 2) -> dict[str, list[Any]]:
    """A server that has worked and stopped, and what it left."""

    async def work() -> None:
        for round in range(rounds):
            database = Database(path)
            database.open()
            queue = Queue(Jobs(database), lambda _: None)
            await queue.open()
            await some_work(queue, round)
            settle(database)
            database.close()

    asyncio.run(work())
    return content(path)


def reopened(path: Path) -> dict[str, list[Any]]:
    database = Database(path)
    database.open()
    database.close()
    return content(path)


def damage_a_page(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for page in range(1, len(data) // 4096):
        data[page * 4096 + random.Random(page).randrange(8)] ^= 0xFF
    path.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a byte of each page": damage_a_page,
    "cut to half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "cut by a byte": lambda path: os.truncate(path, path.stat().st_size - 1),
    "no byte left": lambda path: path.write_bytes(b""),
    "deleted": lambda path: path.unlink(),
    "another file": lambda path: path.write_bytes(b"this is no database at all" * 1000),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("copied", [False, True])
def test_a_damaged_file_is_set_aside_and_built_anew(tmp_path: Path, damage: str, copied: bool, monkeypatch: Any):
    if copied:  # a copy after each opening, and the journal since
        monkeypatch.setattr(archive, "SMALLEST", 5000)
        monkeypatch.setattr(archive, "SHARE", 0)
    path = tmp_path / "h.db"
    before = worked(path)
    assert bool(list(tmp_path.glob("h.db.copy-*"))) == copied
    DAMAGES[damage](path)
    assert reopened(path) == before
    assert reopened(path) == before
    assert damage == "deleted" or list(tmp_path.glob("h.db.damaged-*"))


def test_a_lost_write_ahead_log_loses_nothing(tmp_path: Path):
    """SQLite itself notices nothing: without its log the file is whole, and older."""
    path, killed = tmp_path / "h.db", tmp_path / "killed"
    killed.mkdir()

    async def work() -> dict[str, list[Any]]:
        database = Database(path)
        database.open()
        queue = Queue(Jobs(database), lambda _: None)
        await queue.open()
        await some_work(queue, 0)
        before = content(path)
        for file in tmp_path.glob("h.db*"):
            shutil.copy(file, killed)  # as a kill would leave them
        database.close()
        return before

    before = asyncio.run(work())
    assert (killed / "h.db-wal").stat().st_size > 0
    (killed / "h.db-wal").unlink()
    assert reopened(killed / "h.db") == before


def test_the_log_of_another_database_changes_nothing(tmp_path: Path):
    path = tmp_path / "h.db"
    before = worked(path)
    path.with_name("h.db-wal").write_bytes(random.Random(0).randbytes(40_000))
    assert reopened(path) == before


def test_an_older_file_put_back_is_brought_forward(tmp_path: Path):
    path = tmp_path / "h.db"
    worked(path, 1)
    shutil.copy(path, tmp_path / "old")
    before = worked(path, 1) and content(path)
    shutil.copy(tmp_path / "old", path)
    assert reopened(path) == before


async def test_damage_that_shows_itself_at_work_is_mended_at_work(tmp_path: Path):
    path = tmp_path / "h.db"
    database = Database(path)
    database.open()
    jobs = Jobs(database)
    queue = Queue(jobs, lambda _: None)
    await queue.open()
    for n in range(50):
        await queue.put(job(f"{n}", n, text="x" * 3000))
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    damage_a_page(path)
    await database.write(lambda db: db.execute("PRAGMA shrink_memory").fetchall())
    waiting = await asyncio.gather(queue.pending(), queue.put(job("new", 99)), queue.pending())
    assert len(await queue.pending()) == 51
    assert {len(each) for each in waiting if each is not None} <= {50, 51}
    assert (await queue.next("w")).job.id == "0"
    database.close()
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_the_journal_is_cut_when_a_copy_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(archive, "SMALLEST", 50_000)
    monkeypatch.setattr(archive, "SHARE", 0)
    path = tmp_path / "h.db"
    for n in range(3):
        database = Database(path)
        database.open()
        queue = Queue(Jobs(database), lambda _: None)
        await queue.open()
        for m in range(40):
            await queue.put(job(f"{n}-{m}", m, text="x" * 5000))
        settle(database)
        database.close()
    assert len(list(tmp_path.glob("h.db.copy-*"))) == 1
    assert len(list(tmp_path.glob("h.db.journal-*"))) <= 2
    before = content(path)
    path.unlink()
    assert reopened(path) == before


def test_what_was_journalled_and_not_committed_is_done(tmp_path: Path):
    """The power went between the two. Nobody was told yet, and nothing speaks against it."""
    path = tmp_path / "h.db"
    worked(path, 1)
    (file,) = tmp_path.glob("h.db.journal-*")
    journal = Journal(file, json.loads(file.read_bytes().split(b"\n")[0][9:])["schema"])
    journal.append([("INSERT INTO settings (key, value) VALUES (?, ?)", ("a", "b"), False)])
    journal.close()
    assert ("a", "b") in reopened(path)["settings"]
    assert ("a", "b") in reopened(path)["settings"]


def test_half_a_line_is_no_line(tmp_path: Path):
    path = tmp_path / "h.db"
    before = worked(path, 1)
    (file,) = tmp_path.glob("h.db.journal-*")
    with file.open("ab") as journal:
        journal.write(b'12345678 [["INSERT INTO')
    assert reopened(path) == before
    path.unlink()
    assert reopened(path) == before


async def test_what_could_not_be_kept_is_not_in_the_journal_either(tmp_path: Path):
    path = tmp_path / "h.db"
    database = Database(path, ["CREATE TABLE a (x TEXT)"])
    database.open()

    def insert(size: int):
        return lambda db: db.execute("INSERT INTO a VALUES (?)", ("x" * size,)) and None

    await database.write(insert(1))
    await database.write(lambda db: db.execute("PRAGMA max_page_count = 10").fetchone())
    with pytest.raises(NotKept):
        await database.write(insert(100_000))
    await database.write(insert(2))
    database.close()
    path.unlink()
    again = Database(path, ["CREATE TABLE a (x TEXT)"])
    again.open()
    again.close()
    assert content(path)["a"] == [("x",), ("xx",)]


@pytest.mark.parametrize("copied", [True, False])
async def test_a_new_schema_can_be_built_anew_too(tmp_path: Path, copied: bool, monkeypatch: pytest.MonkeyPatch):
    """From the copy that the new schema begins with; before that is there, from the journals of both."""
    if not copied:
        monkeypatch.setattr(archive.Archive, "_copy", lambda self, source, generation: source.close())
    path = tmp_path / "h.db"
    one, two = "CREATE TABLE a (x)", "ALTER TABLE a ADD COLUMN y"
    for migrations, statement in (([one], "INSERT INTO a (x) VALUES (1)"), ([one, two], "INSERT INTO a VALUES (2, 3)")):
        database = Database(path, migrations)
        database.open()
        await database.write(lambda db, statement=statement: db.execute(statement) and None)
        settle(database)
        database.close()
    assert bool(list(tmp_path.glob("h.db.copy-*"))) == copied
    path.unlink()
    again = Database(path, [one, two])
    again.open()
    again.close()
    assert content(path)["a"] == [(1, None), (2, 3)]
