"""Everything that was written to the database, once more: line after line in plain files beside it.

A line is written and synced before its transaction commits, so the journal is never behind. It holds the statements of
one transaction with their values; run again on the same state they make the same state. The database itself says how
far it has come (a generation, that is a journal file, and a line), in the same transactions.

A generation ends when a copy of the database has been begun: `NAME.copy-N` is what the database was when
`NAME.journal-N` began.
"""

import json
import os
import re
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from storage import atomic

Statement = tuple[str, Any, bool]
"""SQL, its values, and whether these are many sets of values."""

_LINES = 20  # bits of a position that count lines
MOST_LINES = 2**_LINES - 1
_GENERATIONS = 2 ** (31 - _LINES)
_CHANGES = re.compile(r"\s*(INSERT|UPDATE|DELETE|REPLACE)\b", re.IGNORECASE)


class Recording(sqlite3.Connection):
    """A connection that remembers what it was told to change, until it is asked."""

    def __init__(self, *given: Any, **options: Any):
        super().__init__(*given, **options)
        self.statements: list[Statement] = []

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        cursor = super().execute(sql, parameters)
        if _CHANGES.match(sql):
            self.statements.append((sql, parameters, False))
        return cursor

    def executemany(self, sql: str, parameters: Any, /) -> sqlite3.Cursor:
        values = list(parameters)
        cursor = super().executemany(sql, values)
        if _CHANGES.match(sql):
            self.statements.append((sql, values, True))
        return cursor


@dataclass(frozen=True, slots=True)
class Position:
    """How far a database has come. Its number fits the `application_id` of a file."""

    generation: int
    line: int

    @property
    def number(self) -> int:
        return (self.generation % _GENERATIONS) << _LINES | self.line

    def is_in(self, generation: int) -> bool:
        return self.generation == generation % _GENERATIONS

    @classmethod
    def of(cls, connection: sqlite3.Connection) -> "Position":
        number: int = connection.execute("PRAGMA application_id").fetchone()[0]
        return cls(number >> _LINES, number & MOST_LINES)

    def write(self, connection: sqlite3.Connection) -> None:
        """In the transaction that brings the database there."""
        connection.execute(f"PRAGMA application_id = {self.number}")


class Journal:
    """One generation's file, open for writing. schema: of the database that it is about."""

    def __init__(self, path: Path, schema: int):
        self.lines = 0
        is_new = not path.exists()
        if not is_new:
            self.lines, end = _whole_lines(path)
            is_new = end == 0
            with path.open("r+b") as file:
                file.truncate(end)  # what a crash left of a line
        self._file = path.open("ab", buffering=0)
        if is_new:
            self._write(_line({"schema": schema}))
            atomic.sync_folder(path.parent)

    @property
    def size(self) -> int:
        return self._file.tell()

    def append(self, statements: Sequence[Statement]) -> None:
        """Returns once the line is on the disk. Raises OSError, having written nothing."""
        self._write(_line(statements))
        self.lines += 1

    def take_back(self, size: int) -> None:
        """The last line's transaction failed: it was never written. size: of the file before it."""
        self._file.truncate(size)
        self._file.seek(0, os.SEEK_END)
        self.lines -= 1

    def close(self) -> None:
        self._file.close()

    def _write(self, line: bytes) -> None:
        start = self._file.tell()
        try:
            written = self._file.write(line)
            if written != len(line):
                raise OSError(f"only {written} of {len(line)} bytes could be written")
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(start)
            self._file.seek(0, os.SEEK_END)
            raise


def schema_of(path: Path) -> int | None:
    """The schema a journal is about; None when its beginning is damaged."""
    with path.open("rb") as file:
        head = _content(file.readline())
    return cast(dict[str, int], head)["schema"] if isinstance(head, dict) else None


def replay(path: Path, connection: sqlite3.Connection, generation: int, after: int) -> int:
    """Run again what a journal holds beyond line `after`. Returns the line reached; ends at the first damaged one."""
    line = 0
    with path.open("rb") as file:
        file.readline()
        for text in file:
            statements = _content(text)
            if statements is None:
                break
            line += 1
            if line > after:
                _run(connection, statements, Position(generation, line))
    return max(line, after)


def _run(connection: sqlite3.Connection, statements: Sequence[Sequence[Any]], reached: Position) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for sql, values, is_many in statements:
            connection.executemany(sql, values) if is_many else connection.execute(sql, values)
        reached.write(connection)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _line(content: Any) -> bytes:
    text = json.dumps(content, separators=(",", ":")).encode()
    return b"%08x %b\n" % (zlib.crc32(text), text)


def _content(line: bytes) -> Any:
    """None for a line that is not whole."""
    check, _, text = line.partition(b" ")
    if not text.endswith(b"\n") or check != b"%08x" % zlib.crc32(text[:-1]):
        return None
    return json.loads(text)


def _whole_lines(path: Path) -> tuple[int, int]:
    """How many transactions a journal holds, and where the last one ends."""
    count, end = -1, 0
    for line in _lines_of(path):
        if _content(line) is None:
            break
        count += 1
        end += len(line)
    return max(count, 0), end


def _lines_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file
