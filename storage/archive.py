"""The journal and the copies beside a database, and how they bring a damaged one back.

At rest there is one copy and what was journalled since. A copy is made in a thread from a moment in time, while work
goes on; it counts once it is whole and checked, and only then older ones go.
"""

import contextlib
import logging
import os
import re
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

from storage import atomic
from storage.journal import MOST_LINES, Journal, Position, Recording, replay, schema_of

log = logging.getLogger(__name__)

SMALLEST, SHARE = 64 * 2**20, 0.5  # journal before another copy is worth while: bytes, and of the database
PAGES = 2000  # of a copy at a time
Migrate = Callable[[sqlite3.Connection, int], None]


class Irreconcilable(RuntimeError):
    """The database is not what the journal is about: it is older than every journal there is, or another."""


class _Stopped(Exception):
    pass


class Archive:
    """path: of the database. migrate: brings a database to a schema."""

    def __init__(self, path: Path, migrate: Migrate):
        self._path, self._migrate = path, migrate
        self._journal: Journal | None = None
        self._generation = 0
        self._copying: threading.Thread | None = None
        self._stopping = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known of any database here."""
        return not self._files("copy") and not any(_bytes_beyond_head(path) for path in self._files("journal").values())

    def catch_up(self, connection: sqlite3.Connection, schema: int) -> None:
        """Run what the journal holds and the database does not: the power went between the two, or its own log is
        gone. Raises Irreconcilable."""
        at = Position.of(connection)
        journals = self._files("journal")
        begin = next((number for number in journals if at.is_in(number)), None)
        if begin is None:
            if journals and at.number:
                raise Irreconcilable("it is older than its journal")
            return  # from before there were journals
        for number in sorted(each for each in journals if each >= begin):
            if schema_of(journals[number]) != schema:
                return
            replay(journals[number], connection, number, at.line if number == begin else 0)

    def open(self, connection: sqlite3.Connection, schema: int, fresh: bool) -> None:
        """Go on with the journal where the database stands; begin another where there is none that fits."""
        journals = self._files("journal")
        self._generation = max(journals, default=0)
        if journals and schema_of(journals[self._generation]) == schema:
            journal = Journal(journals[self._generation], schema)
            at = Position.of(connection)
            if at.is_in(self._generation) and at.line == journal.lines:
                self._journal = journal
                return
            journal.close()
        if fresh:
            self._begin(connection, schema)
        else:
            self._rotate(connection, schema)

    def append(self, connection: Recording) -> int | None:
        """Before a transaction commits: write down what it changed. Returns what `take_back` wants, None when nothing
        was written. Raises OSError, having written nothing."""
        if self._journal is None or not connection.statements:
            return None
        before = self._journal.size
        self._journal.append(connection.statements)
        Position(self._generation, self._journal.lines).write(connection)
        return before

    def take_back(self, before: int) -> None:
        """The transaction failed after all."""
        if self._journal is not None:
            with contextlib.suppress(OSError):
                self._journal.take_back(before)

    def grow(self, connection: sqlite3.Connection, schema: int) -> None:
        """Between two transactions: begin another copy when the journal has become long."""
        journal = self._journal
        if journal is None or (self._copying is not None and self._copying.is_alive()):
            return
        enough = max(SMALLEST, self._path.stat().st_size * SHARE)
        if journal.size > enough or journal.lines >= MOST_LINES - 1:
            journal.close()
            self._rotate(connection, schema)

    def settle(self) -> None:
        """Return when no copy is being made."""
        if self._copying is not None:
            self._copying.join()

    def close(self) -> None:
        self._stopping = True
        self.settle()
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def restore(self, schema: int) -> bool:
        """Build the database anew from the newest copy that is whole, and the journals since. What was there is set
        aside. False, touching nothing, when there is nothing to build it from."""
        self.close()
        self._stopping = False
        copies, journals = self._files("copy"), self._files("journal")
        part = self._path.with_name(f"{self._path.name}.restoring")
        for base in [*sorted(copies, reverse=True), *([0] if 1 in journals else [])]:
            _remove(part)
            try:
                self._build(part, copies.get(base), {n: path for n, path in journals.items() if n >= base}, schema)
            except (sqlite3.Error, OSError, ValueError) as error:
                log.error("The database could not be restored from copy %d: %s", base, error)
                continue
            aside = self._set_aside()
            part.replace(self._path)
            atomic.sync_folder(self._path.parent)
            log.error("The database was damaged; it was restored from its journal, the damaged file is %s", aside)
            return True
        _remove(part)
        return False

    def _build(self, part: Path, copy: Path | None, journals: dict[int, Path], schema: int) -> None:
        if copy is not None:
            shutil.copyfile(copy, part)
        with contextlib.closing(sqlite3.connect(part, isolation_level=None)) as connection:
            if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise ValueError("the copy is damaged too")
            for number in sorted(journals):
                about = schema_of(journals[number])
                if about is None:
                    break
                self._migrate(connection, about)
                replay(journals[number], connection, number, 0)
            self._migrate(connection, schema)
        with part.open("rb+") as file:
            os.fsync(file.fileno())

    def _set_aside(self) -> Path:
        aside = self._path.with_name(f"{self._path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S')}")
        while aside.exists():
            aside = aside.with_name(f"{aside.name}-again")
        for end in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                self._path.with_name(self._path.name + end).replace(aside.with_name(aside.name + end))
        return aside

    def _begin(self, connection: sqlite3.Connection, schema: int) -> None:
        """Another generation: the database says so, and its journal is there."""
        self._generation += 1
        connection.execute("BEGIN IMMEDIATE")
        Position(self._generation, 0).write(connection)
        path = self._name("journal", self._generation)
        path.unlink(missing_ok=True)
        self._journal = Journal(path, schema)
        connection.execute("COMMIT")

    def _rotate(self, connection: sqlite3.Connection, schema: int) -> None:
        """Another generation that begins with a copy of the database as it is now."""
        self._begin(connection, schema)
        source = sqlite3.connect(self._path, timeout=10, isolation_level=None, check_same_thread=False)
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()  # from here on it sees this moment
        arguments = (source, self._generation)
        self._copying = threading.Thread(target=self._copy, args=arguments, name="database-copy", daemon=True)
        self._copying.start()

    def _copy(self, source: sqlite3.Connection, generation: int) -> None:
        part = self._path.with_name(f"{self._path.name}.copying")
        try:
            _remove(part)
            with contextlib.closing(source), contextlib.closing(sqlite3.connect(part)) as target:
                source.backup(target, pages=PAGES, progress=self._go_on)
                if target.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                    raise sqlite3.DatabaseError("the copy is damaged")
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            part.replace(self._name("copy", generation))
            atomic.sync_folder(part.parent)
        except _Stopped:
            _remove(part)
        except (sqlite3.Error, OSError) as error:
            log.warning("The database could not be copied; its journal goes on: %s", error)
            _remove(part)
        else:
            for kind in ("copy", "journal"):
                for number, path in self._files(kind).items():
                    if number < generation:
                        path.unlink(missing_ok=True)

    def _go_on(self, status: int, remaining: int, total: int) -> None:
        if self._stopping:
            raise _Stopped

    def _name(self, kind: str, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{kind}-{number}")

    def _files(self, kind: str) -> dict[int, Path]:
        named = re.compile(re.escape(self._path.name) + rf"\.{kind}-(\d+)")
        found = ((named.fullmatch(path.name), path) for path in self._path.parent.glob(f"{self._path.name}.{kind}-*"))
        return {int(match[1]): path for match, path in found if match}


def _remove(path: Path) -> None:
    for end in ("", "-journal", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)


def _bytes_beyond_head(path: Path) -> int:
    with path.open("rb") as file:
        file.readline()
        return len(file.readline())
