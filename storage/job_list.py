"""Lists of jobs, page by page: found in indexes alone, and read without their graphs and results.

Newest submission first. A page is asked for by where the last one ended (`Summary.arrival`), so that what comes in
meanwhile moves nothing.
"""

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Any

from storage.database import Database

STATES = ("queued", "running", "succeeded", "failed", "interrupted", "crashed", "cancelled")
MOST_WORDS = 16
_COLUMNS = "id, number, arrival, state, batch, title, reason, attempt, submitted_at, started_at, ended_at"


@dataclass(frozen=True, slots=True)
class Summary:
    """A job without what makes it large. number: priority, smaller first. reason: why it did not succeed. Times in
    seconds since the epoch."""

    id: str
    number: float
    arrival: int
    state: str
    batch: str | None
    title: str | None
    reason: str | None
    attempt: int
    submitted_at: float
    started_at: float | None
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """states: of the stored ones. words: all of them must be in the job's graph or title; the last may be a beginning.
    before: only submissions older than this arrival."""

    states: Sequence[str] = STATES
    words: str = ""
    batch: str | None = None
    before: int | None = None


class JobList:
    def __init__(self, database: Database):
        self._database = database

    async def page(self, wanted: Wanted, limit: int) -> Sequence[Summary]:
        return await self._database.read(lambda db: _summaries(db, _found(db, wanted, limit)))

    async def one(self, id: str) -> Summary | None:
        def work(db: sqlite3.Connection) -> Summary | None:
            row = db.execute(f"SELECT {_COLUMNS} FROM jobs WHERE id = ?", (id,)).fetchone()
            return row and Summary(*row)

        return await self._database.read(work)

    async def result(self, id: str) -> tuple[str, str] | None:
        """Outputs and status of a job as JSON text; None of a job that has none."""

        def work(db: sqlite3.Connection) -> tuple[str, str] | None:
            row = db.execute("SELECT outputs, status FROM jobs WHERE id = ? AND outputs IS NOT NULL", (id,)).fetchone()
            return row and (row[0], row[1])

        return await self._database.read(work)

    async def counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        counted = "SELECT state, count(*) FROM jobs INDEXED BY jobs_by_state GROUP BY state"
        return await self._database.read(lambda db: dict(db.execute(counted).fetchall()))


def _found(db: sqlite3.Connection, wanted: Wanted, limit: int) -> list[int]:
    """The arrivals of a page, newest first."""
    before = 2**63 - 1 if wanted.before is None else wanted.before
    if wanted.words:
        match = _match(wanted.words)
        if match is None:
            return []
        # State and batch are looked up in their indexes: the rows themselves are large and need not be touched.
        tests, values = "", list[Any]()
        if len(wanted.states) < len(STATES):
            tests += (
                " AND EXISTS (SELECT 1 FROM jobs INDEXED BY jobs_by_state"
                f" WHERE state IN ({_marks(wanted.states)}) AND arrival = job_words.rowid)"
            )
            values += wanted.states
        if wanted.batch is not None:
            tests += (
                " AND EXISTS (SELECT 1 FROM jobs INDEXED BY jobs_by_batch"
                " WHERE batch = ? AND arrival = job_words.rowid)"
            )
            values.append(wanted.batch)
        return _arrivals(
            db,
            f"SELECT rowid FROM job_words WHERE job_words MATCH ? AND rowid < ?{tests} ORDER BY rowid DESC LIMIT ?",
            (match, before, *values, limit),
        )
    if wanted.batch is not None:
        return _arrivals(
            db,
            f"SELECT arrival FROM jobs WHERE batch = ? AND state IN ({_marks(wanted.states)}) AND arrival < ?"
            " ORDER BY arrival DESC LIMIT ?",
            (wanted.batch, *wanted.states, before, limit),
        )
    # One short walk along the index for each state, then the newest of all: no state is sorted as a whole.
    each = "SELECT arrival FROM jobs WHERE state = ? AND arrival < ? ORDER BY arrival DESC LIMIT ?"
    return nlargest(limit, (one for state in wanted.states for one in _arrivals(db, each, (state, before, limit))))


def _match(words: str) -> str | None:
    """What a person typed as a full-text query; nothing in it is an operator. None when it holds no word."""
    found = re.findall(r"\w+", words)[:MOST_WORDS]
    return " ".join(f'"{word}"' for word in found) + "*" if found else None


def _summaries(db: sqlite3.Connection, arrivals: Sequence[int]) -> list[Summary]:
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM jobs INDEXED BY jobs_listed WHERE arrival IN ({_marks(arrivals)})"
        " ORDER BY arrival DESC",
        arrivals,
    )
    return [Summary(*row) for row in rows]


def _arrivals(db: sqlite3.Connection, statement: str, values: Sequence[Any]) -> list[int]:
    return [row[0] for row in db.execute(statement, values)]


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))
