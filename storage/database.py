"""One SQLite file: what was answered is on disk, and the event loop never waits for the disk.

All writes go through one thread. It takes whatever has come in, runs it in one transaction (each piece in a savepoint
of its own, so that one that fails takes no other along) and answers after the commit; a hundred submits at once cost
one fsync. Reads run beside it on their own connections and see every commit that was answered.
"""

import asyncio
import contextlib
import errno
import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from storage.lock import FileLock
from storage.migrations import MIGRATIONS

log = logging.getLogger(__name__)

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

MOST_IN_ONE_COMMIT = 256
READERS = 2


class DamagedDatabase(RuntimeError):
    def __init__(self, path: Path, findings: str):
        self.path, self.findings = path, findings
        super().__init__(f"{path} is damaged ({findings}): move it away, or restore a copy, and start again")


class NewerDatabase(RuntimeError):
    def __init__(self, path: Path, found: int, known: int):
        self.path, self.found, self.known = path, found, known
        super().__init__(f"{path} was written by a newer version (schema {found}; this one knows {known})")


class NotKept(OSError):
    """What was asked for is not on disk, and nothing of it is. errno: ENOSPC when there is no room, else EIO."""

    def __init__(self, path: Path, error: sqlite3.Error):
        full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        super().__init__(errno.ENOSPC if full else errno.EIO, f"nothing can be written now: {error}", str(path))


@dataclass(frozen=True, slots=True)
class _Piece:
    work: Work[Any]
    answer: Future[Any]


class Database:
    """path: the file; `open` makes it and its directory. migrations: SQL scripts, the schema's whole history."""

    def __init__(self, path: Path, migrations: Sequence[str] = MIGRATIONS):
        self._path = path
        self._migrations = migrations
        self._lock = FileLock(path.with_name(path.name + ".lock"))
        self._pieces: SimpleQueue[_Piece | None] = SimpleQueue()
        self._writer = threading.Thread(target=self._write_until_closed, name="database-writer", daemon=True)
        self._readers = ThreadPoolExecutor(READERS, "database-reader", self._open_reader)
        self._reader = threading.local()
        self._read_connections: list[sqlite3.Connection] = []

    def open(self) -> None:
        """Take the file for this process, check it and bring it to the present form.

        Blocks, so call it before the loop runs. Raises AlreadyInUse, DamagedDatabase, NewerDatabase or NotKept.
        """
        self._lock.take()
        try:
            with contextlib.closing(self._checked()) as connection:
                self._migrate(connection)
        except BaseException:
            self._lock.release()
            raise
        self._writer.start()

    def close(self) -> None:
        """Finish what was asked for and let the file go."""
        if self._writer.is_alive():
            self._pieces.put(None)
            self._writer.join()
        self._readers.shutdown()
        for connection in self._read_connections:
            connection.close()
        self._lock.release()

    async def write(self, work: Work[T]) -> T:
        """Run work in a transaction and return once it is on disk. An exception in work undoes work alone.
        Raises NotKept when the disk is at fault."""
        answer: Future[T] = Future()
        self._pieces.put(_Piece(work, answer))
        return await asyncio.wrap_future(answer)

    async def read(self, work: Work[T]) -> T:
        """Run work on a connection that sees everything committed and cannot write."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, lambda: work(self._reader.connection))

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=10, isolation_level=None, check_same_thread=False)
        self._prepare(connection)
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA journal_size_limit = {64 * 2**20}")

    def _checked(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(self._path, timeout=10, isolation_level=None, check_same_thread=False)
        except sqlite3.OperationalError as error:
            raise NotKept(self._path, error) from error
        try:
            self._prepare(connection)
            connection.execute("PRAGMA journal_mode = WAL")
            findings = [str(row[0]) for row in connection.execute("PRAGMA quick_check(5)")]
        except sqlite3.OperationalError as error:  # rights, room, locks: that says nothing of its content
            connection.close()
            raise NotKept(self._path, error) from error
        except sqlite3.DatabaseError as error:
            findings = [str(error)]
        if findings != ["ok"]:
            connection.close()
            raise DamagedDatabase(self._path, "; ".join(findings))
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        found: int = connection.execute("PRAGMA user_version").fetchone()[0]
        known = len(self._migrations)
        if found > known:
            raise NewerDatabase(self._path, found, known)
        if 0 < found < known:
            with contextlib.closing(sqlite3.connect(f"{self._path}.schema-{found}")) as copy:
                connection.backup(copy)
        for step in range(found, known):
            try:
                script = f"BEGIN IMMEDIATE; {self._migrations[step]}; PRAGMA user_version = {step + 1}; COMMIT"
                connection.executescript(script)
            except sqlite3.Error:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _open_reader(self) -> None:
        connection = self._connect()
        connection.execute("PRAGMA query_only = ON")
        self._reader.connection = connection
        self._read_connections.append(connection)

    def _write_until_closed(self) -> None:
        with contextlib.closing(self._connect()) as connection:
            while (first := self._pieces.get()) is not None:
                pieces, closed = self._more(first)
                self._commit(connection, [each for each in pieces if each.answer.set_running_or_notify_cancel()])
                if closed:
                    return

    def _more(self, first: _Piece) -> tuple[list[_Piece], bool]:
        pieces = [first]
        with contextlib.suppress(Empty):
            while len(pieces) < MOST_IN_ONE_COMMIT:
                if (piece := self._pieces.get_nowait()) is None:
                    return pieces, True
                pieces.append(piece)
        return pieces, False

    def _commit(self, connection: sqlite3.Connection, pieces: Sequence[_Piece]) -> None:
        done: list[tuple[_Piece, Any]] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            for piece in pieces:
                self._try(connection, piece, done)
            connection.execute("COMMIT")
        except sqlite3.Error as error:  # the disk is full or gone: nobody is told that something was kept
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            left = [piece for piece in pieces if not piece.answer.done()]
            if len(pieces) > 1:  # one that finds no room must not take the others along
                for piece in left:
                    self._commit(connection, [piece])
                return
            log.error("The database could not be written: %s", error)
            for piece in left:
                piece.answer.set_exception(NotKept(self._path, error))
            return
        for piece, result in done:
            piece.answer.set_result(result)

    def _try(self, connection: sqlite3.Connection, piece: _Piece, done: list[tuple[_Piece, Any]]) -> None:
        """Run one piece in a savepoint. Raises sqlite3.Error when the fault is the disk's and not its own."""
        connection.execute("SAVEPOINT piece")
        try:
            done.append((piece, piece.work(connection)))
        except Exception as error:
            if isinstance(error, sqlite3.Error) and _of_the_disk(error):
                raise
            connection.execute("ROLLBACK TO piece")
            piece.answer.set_exception(error)
        connection.execute("RELEASE piece")


def _of_the_disk(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code; the rest says where it happened
    return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
