"""One file, one owner, and nothing half done."""

import asyncio
import errno
import os
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from storage.database import DamagedDatabase, Database, NewerDatabase, NotKept
from storage.lock import AlreadyInUse

ONE = "CREATE TABLE a (x INTEGER)"
TWO = "CREATE TABLE b (x INTEGER)"
BROKEN = "CREATE TABLE c (x INTEGER); INSERT INTO nowhere VALUES (1)"


def opened(path: Path, *migrations: str) -> Database:
    database = Database(path, migrations)
    database.open()
    return database


def tables(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")]
    connection.close()
    return names


def test_a_second_server_on_the_same_data_is_refused_with_the_owners_id(tmp_path: Path):
    code = """
        import sys
        from pathlib import Path
        from storage.database import Database
        Database(Path(sys.argv[1])).open()
        print("open", flush=True)
        sys.stdin.read()
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "h.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(AlreadyInUse, match=f"in use by process {other.pid}") as refused:
            Database(tmp_path / "h.db").open()
        assert refused.value.pid == other.pid
        other.kill()
    database = Database(tmp_path / "h.db")
    database.open()  # a dead owner is no owner
    database.close()


def test_a_closed_database_can_be_opened_again(tmp_path: Path):
    opened(tmp_path / "h.db", ONE).close()
    opened(tmp_path / "h.db", ONE).close()


def test_the_lock_names_its_owner(tmp_path: Path):
    database = opened(tmp_path / "h.db", ONE)
    assert (tmp_path / "h.db.lock").read_text() == f"{os.getpid()}\n"
    database.close()


def test_a_new_version_brings_an_old_file_forward_and_keeps_a_copy(tmp_path: Path):
    opened(tmp_path / "h.db", ONE).close()
    opened(tmp_path / "h.db", ONE, TWO).close()
    assert tables(tmp_path / "h.db") == ["a", "b"]
    assert tables(tmp_path / "h.db.schema-1") == ["a"]


def test_a_step_that_fails_leaves_nothing_of_itself(tmp_path: Path):
    opened(tmp_path / "h.db", ONE).close()
    with pytest.raises(sqlite3.OperationalError):
        opened(tmp_path / "h.db", ONE, BROKEN)
    assert tables(tmp_path / "h.db") == ["a"]
    opened(tmp_path / "h.db", ONE, TWO).close()
    assert tables(tmp_path / "h.db") == ["a", "b"]


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path):
    opened(tmp_path / "h.db", ONE, TWO).close()
    with pytest.raises(NewerDatabase, match=r"schema 2; this one knows 1"):
        opened(tmp_path / "h.db", ONE)
    opened(tmp_path / "h.db", ONE, TWO).close()


@pytest.mark.parametrize("damage", [b"this is no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_damaged_file_is_refused_and_left_alone(tmp_path: Path, damage: bytes):
    (tmp_path / "h.db").write_bytes(damage)
    with pytest.raises(DamagedDatabase, match="is damaged"):
        opened(tmp_path / "h.db", ONE)
    assert (tmp_path / "h.db").read_bytes() == damage


def test_a_file_that_cannot_be_opened_is_not_called_damaged(tmp_path: Path):
    (tmp_path / "h.db").mkdir()
    with pytest.raises(NotKept, match="unable to open"):
        opened(tmp_path / "h.db", ONE)


async def test_what_fails_is_undone_and_what_came_with_it_is_kept(tmp_path: Path):
    database = opened(tmp_path / "h.db", ONE)

    def insert(value: int):
        def work(db: sqlite3.Connection) -> int:
            db.execute("INSERT INTO a VALUES (?)", (value,))
            if value == 1:
                raise ValueError("no")
            return value

        return work

    answers = await asyncio.gather(*(database.write(insert(value)) for value in range(3)), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["0", "no", "2"]
    rows = await database.read(lambda db: db.execute("SELECT x FROM a ORDER BY x").fetchall())
    assert rows == [(0,), (2,)]
    database.close()


async def test_readers_cannot_write(tmp_path: Path):
    database = opened(tmp_path / "h.db", ONE)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await database.read(lambda db: db.execute("INSERT INTO a VALUES (1)"))
    database.close()


async def test_writes_are_synchronous_and_survive_the_process(tmp_path: Path):
    database = opened(tmp_path / "h.db", ONE)
    journal, synchronous = await database.write(
        lambda db: (db.execute("PRAGMA journal_mode").fetchone()[0], db.execute("PRAGMA synchronous").fetchone()[0])
    )
    assert (journal, synchronous) == ("wal", 2)
    database.close()


async def test_many_writes_at_once_share_commits(tmp_path: Path):
    database = opened(tmp_path / "h.db", ONE)
    commits: list[str] = []

    def watch(db: sqlite3.Connection) -> None:
        db.set_trace_callback(lambda statement: commits.append(statement) if statement == "COMMIT" else None)

    await database.write(watch)
    commits.clear()
    await asyncio.gather(*(database.write(lambda db: db.execute("INSERT INTO a VALUES (1)")) for _ in range(200)))
    assert 1 <= len(commits) < 100
    database.close()


async def test_a_full_disk_is_said_and_loses_nothing_and_passes(tmp_path: Path):
    database = opened(tmp_path / "h.db", "CREATE TABLE a (x TEXT)")

    def insert(size: int):
        return lambda db: db.execute("INSERT INTO a VALUES (?)", ("x" * size,)) and None

    await database.write(insert(10))
    await database.write(lambda db: db.execute("PRAGMA max_page_count = 10").fetchone())  # 40 KiB
    with pytest.raises(NotKept, match="nothing can be written now") as refused:
        await database.write(insert(100_000))
    assert refused.value.errno == errno.ENOSPC
    await database.write(insert(20))
    await database.write(lambda db: db.execute("PRAGMA max_page_count = 1000").fetchone())
    await database.write(insert(100_000))
    rows = await database.read(lambda db: db.execute("SELECT length(x) FROM a ORDER BY 1").fetchall())
    assert rows == [(10,), (20,), (100_000,)]
    database.close()


async def test_one_that_finds_no_room_takes_no_other_along(tmp_path: Path):
    database = opened(tmp_path / "h.db", "CREATE TABLE a (x TEXT)")
    await database.write(lambda db: db.execute("PRAGMA max_page_count = 10").fetchone())
    sizes = [10, 100_000, 20]
    answers = await asyncio.gather(
        *(database.write(lambda db, n=n: db.execute("INSERT INTO a VALUES (?)", ("x" * n,)) and n) for n in sizes),
        return_exceptions=True,
    )
    assert answers[::2] == [10, 20]
    assert isinstance(answers[1], NotKept)
    rows = await database.read(lambda db: db.execute("SELECT length(x) FROM a ORDER BY 1").fetchall())
    assert rows == [(10,), (20,)]
    database.close()
