"""One SQLite file: what was answered is on disk, and the event loop never waits for the disk.

All writes go through one thread. It takes whatever has come in, runs it in one transaction (each piece in a savepoint
of its own, so that one that fails takes no other along) and answers after the commit; a hundred submits at once cost
one fsync. Reads run beside it on their own connections and see every commit that was answered.

What is written is journalled first (`archive`). A file that turns out to be damaged, when it is opened or later, is set
aside and built anew from there, and who was waiting for an answer gets it.
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

from storage.archive import Archive, Irreconcilable
from storage.journal import Recording
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
        super().__init__(
            f"{path} is damaged ({findings}) and there is nothing to restore it from: move it away and start again"
        )


class NewerDatabase(RuntimeError):
    def __init__(self, path: Path, found: int, known: int):
        self.path, self.found, self.known = path, found, known
        super().__init__(f"{path} was written by a newer version (schema {found}; this one knows {known})")


class NotKept(OSError):
    """What was asked for is not on disk, and nothing of it is. errno: ENOSPC when there is no room, else EIO."""

    def __init__(self, path: Path, error: sqlite3.Error | OSError):
        full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        full = full or getattr(error, "errno", None) == errno.ENOSPC
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
        self._readers = ThreadPoolExecutor(READERS, "database-reader")
        self._reader = threading.local()
        self._read_connections: list[sqlite3.Connection] = []
        self._archive = Archive(path, self._migrate)
        self._life = 0  # grows when the file is replaced by another

    def open(self) -> None:
        """Take the file for this process, check it and bring it to the present form.

        Blocks, so call it before the loop runs. Raises AlreadyInUse, DamagedDatabase, NewerDatabase or NotKept.
        """
        self._lock.take()
        try:
            try:
                self._open()
            except (DamagedDatabase, Irreconcilable) as damage:
                if not self._archive.restore(len(self._migrations)):
                    raise DamagedDatabase(self._path, getattr(damage, "findings", str(damage))) from damage
                self._open()
        except BaseException:
            self._archive.close()
            self._lock.release()
            raise
        self._writer.start()

    def close(self) -> None:
        """Finish what was asked for and let the file go."""
        if self._writer.is_alive():
            self._pieces.put(None)
            self._writer.join()
        self._archive.close()
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
        try:
            return await loop.run_in_executor(self._readers, lambda: work(self._connection_to_read()))
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise
            await self.write(_look_for_damage)
            return await loop.run_in_executor(self._readers, lambda: work(self._connection_to_read()))

    def _open(self) -> None:
        """Raises DamagedDatabase, Irreconcilable, NewerDatabase or NotKept."""
        known = len(self._migrations)
        with contextlib.closing(self._checked()) as connection:
            found: int = connection.execute("PRAGMA user_version").fetchone()[0]
            if found > known:
                raise NewerDatabase(self._path, found, known)
            if found == 0 and not self._archive.is_empty:
                raise Irreconcilable("it is empty, and its journal is not")
            try:
                self._archive.catch_up(connection, found)
            except sqlite3.Error as error:
                raise Irreconcilable(f"its journal does not fit: {error}") from error
            if 0 < found < known:
                with contextlib.closing(sqlite3.connect(f"{self._path}.schema-{found}")) as copy:
                    connection.backup(copy)
            self._migrate(connection, known)
            self._archive.open(connection, known, fresh=found == 0)

    def _connect(self) -> Recording:
        connection = sqlite3.connect(
            self._path, timeout=10, isolation_level=None, check_same_thread=False, factory=Recording
        )
        self._prepare(connection)
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA journal_size_limit = {64 * 2**20}")

    def _checked(self) -> sqlite3.Connection:
        if _is_cut(self._path):
            raise DamagedDatabase(self._path, "it is shorter than it says")
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

    def _migrate(self, connection: sqlite3.Connection, schema: int) -> None:
        """Bring a database to a schema, step by step, each in a transaction."""
        found: int = connection.execute("PRAGMA user_version").fetchone()[0]
        for step in range(found, schema):
            try:
                script = f"BEGIN IMMEDIATE; {self._migrations[step]}; PRAGMA user_version = {step + 1}; COMMIT"
                connection.executescript(script)
            except sqlite3.Error:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _connection_to_read(self) -> sqlite3.Connection:
        """This thread's own; another after the file was replaced."""
        if getattr(self._reader, "life", None) != self._life:
            connection = self._connect()
            connection.execute("PRAGMA query_only = ON")
            self._reader.connection, self._reader.life = connection, self._life
            self._read_connections.append(connection)
        return self._reader.connection

    def _write_until_closed(self) -> None:
        connection = self._connect()
        closed = False
        while not closed and (first := self._pieces.get()) is not None:
            pieces, closed = self._more(first)
            pieces = [each for each in pieces if each.answer.set_running_or_notify_cancel()]
            try:
                self._commit(connection, pieces)
                self._archive.grow(connection, len(self._migrations))
            except sqlite3.DatabaseError as damage:
                connection = self._healed(connection, damage, [each for each in pieces if not each.answer.done()])
        connection.close()

    def _healed(self, connection: Recording, damage: sqlite3.DatabaseError, left: Sequence[_Piece]) -> Recording:
        """Build the damaged file anew and do what is left. Returns the connection to go on with."""
        log.error("The database is damaged: %s", damage)
        connection.close()
        try:
            if self._archive.restore(len(self._migrations)):
                self._open()
                self._life += 1
            connection = self._connect()
            self._commit(connection, left)
        except (DamagedDatabase, Irreconcilable, sqlite3.Error, OSError) as error:
            log.error("The database could not be restored: %s", error)
            for piece in left:
                if not piece.answer.done():
                    piece.answer.set_exception(NotKept(self._path, damage))
        return connection

    def _more(self, first: _Piece) -> tuple[list[_Piece], bool]:
        pieces = [first]
        with contextlib.suppress(Empty):
            while len(pieces) < MOST_IN_ONE_COMMIT:
                if (piece := self._pieces.get_nowait()) is None:
                    return pieces, True
                pieces.append(piece)
        return pieces, False

    def _commit(self, connection: Recording, pieces: Sequence[_Piece]) -> None:
        """Raises sqlite3.DatabaseError, having answered nobody, when the file is damaged."""
        done: list[tuple[_Piece, Any]] = []
        connection.statements.clear()
        journalled: int | None = None
        try:
            connection.execute("BEGIN IMMEDIATE")
            for piece in pieces:
                self._try(connection, piece, done)
            journalled = self._archive.append(connection)
            connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:  # the disk is full or gone: nobody is told that something was kept
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            if journalled is not None:
                self._archive.take_back(journalled)
            if isinstance(error, sqlite3.DatabaseError) and _is_damage(error):
                raise
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

    def _try(self, connection: Recording, piece: _Piece, done: list[tuple[_Piece, Any]]) -> None:
        """Run one piece in a savepoint. Raises sqlite3.Error when the fault is the disk's and not its own."""
        connection.execute("SAVEPOINT piece")
        before = len(connection.statements)
        try:
            done.append((piece, piece.work(connection)))
        except Exception as error:
            if isinstance(error, sqlite3.Error) and (_of_the_disk(error) or _is_damage(error)):
                raise
            connection.execute("ROLLBACK TO piece")
            del connection.statements[before:]
            piece.answer.set_exception(error)
        connection.execute("RELEASE piece")


def _is_cut(path: Path) -> bool:
    """Whether the end of a file is missing. SQLite fills a page that is cut with zeros, and looks into an index only in
    a check that takes minutes. With a log beside it a file may be short, and nothing is said."""
    log_file = path.with_name(f"{path.name}-wal")
    try:
        with path.open("rb") as file:
            head = file.read(100)
        size = path.stat().st_size
        if len(head) < 100 or (log_file.exists() and log_file.stat().st_size):
            return False
    except OSError:
        return False  # opening it as a database will say why
    page = int.from_bytes(head[16:18], "big")
    page = 2**16 if page == 1 else page
    return head.startswith(b"SQLite format 3") and size < page * int.from_bytes(head[28:32], "big")


def _of_the_disk(error: sqlite3.Error) -> bool:
    return _code(error) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)


def _is_damage(error: sqlite3.Error) -> bool:
    return _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code; the rest says where it happened


def _look_for_damage(connection: sqlite3.Connection) -> None:
    """A reader has met damage: whoever writes shall meet it too, and mend it."""
    findings = connection.execute("PRAGMA quick_check(1)").fetchone()
    if findings != ("ok",):
        error = sqlite3.DatabaseError(findings[0])
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error
