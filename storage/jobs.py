"""Jobs, waiting, running and ended, and what became of them: one table, many views.

A job is in exactly one state. Who works on it holds a lease: the worker's name and a fencing number that grows with
every claim; a late word from an earlier holder changes nothing. Knows neither graphs nor events: both are JSON here.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from storage.database import Database

State = Literal["queued", "running", "succeeded", "failed", "interrupted", "crashed", "cancelled"]
Ended = Literal["succeeded", "failed", "interrupted", "crashed"]

KEEP = 100_000  # ended jobs; the oldest go first
PRUNE_EVERY = 100  # endings
_AT_ONCE = 500  # ids in one statement


@dataclass(frozen=True, slots=True)
class StoredJob:
    """number: priority, smaller first; int or float as submitted. arrival: grows with every submit; breaks ties.
    targets: ids of output nodes. attempt: how often it was begun. fence: the lease's number."""

    id: str
    number: float
    arrival: int
    state: State
    graph: Mapping[str, Any]
    targets: tuple[str, ...]
    extra: Mapping[str, Any]
    submitted_at: float
    started_at: float | None
    ended_at: float | None
    attempt: int
    worker: str | None
    fence: int


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """An ended job and its result. outputs: node id → UI. status, meta: as history shows them."""

    job: StoredJob
    outputs: Mapping[str, Any]
    status: Mapping[str, Any]
    meta: Mapping[str, Any]


_JOB = "id, number, arrival, state, graph, targets, extra, submitted_at, started_at, ended_at, attempt, worker, fence"
_RECORD = f"{_JOB}, outputs, status, meta"


def _job(row: Sequence[Any]) -> StoredJob:
    id, number, arrival, state, graph, targets, extra, *rest = row
    return StoredJob(
        id, number, arrival, state, json.loads(graph), tuple(json.loads(targets)), json.loads(extra), *rest[:6]
    )


def _record(row: Sequence[Any]) -> StoredRecord:
    return StoredRecord(_job(row), *(json.loads(text or "{}") for text in row[13:16]))


class Jobs:
    """All methods return once the change is on disk. keep: ended jobs to remember."""

    def __init__(self, database: Database, keep: int = KEEP):
        self._database = database
        self._keep = keep

    async def add(
        self,
        id: str,
        number: float,
        graph: Mapping[str, Any],
        targets: Sequence[str],
        extra: Mapping[str, Any],
        at: float,
        settings: Mapping[str, str],
    ) -> str | None:
        """Take a job in, and remember settings with it. An ended job of this id is replaced.
        Returns None, or the state of the live job of this id that is in the way."""
        values = (id, number, json.dumps(graph), json.dumps(list(targets)), json.dumps(extra), at)

        def work(db: sqlite3.Connection) -> str | None:
            row = db.execute("SELECT state FROM jobs WHERE id = ?", (id,)).fetchone()
            if row is not None and row[0] in ("queued", "running"):
                return row[0]
            db.execute("DELETE FROM jobs WHERE id = ?", (id,))
            db.execute(
                "INSERT INTO jobs (id, number, state, graph, targets, extra, submitted_at)"
                " VALUES (?, ?, 'queued', ?, ?, ?, ?)",
                values,
            )
            _remember(db, settings)
            return None

        return await self._database.write(work)

    async def claim(self, worker: str, at: float) -> StoredJob | None:
        """Lease the first waiting job to a worker."""

        def work(db: sqlite3.Connection) -> StoredJob | None:
            row = db.execute(
                "UPDATE jobs SET state = 'running', worker = ?, fence = fence + 1, attempt = attempt + 1,"
                " started_at = ?, beat_at = ? WHERE arrival ="
                " (SELECT arrival FROM jobs WHERE state = 'queued' ORDER BY number, arrival LIMIT 1)"
                f" RETURNING {_JOB}",
                (worker, at, at),
            ).fetchone()
            return row and _job(row)

        return await self._database.write(work)

    async def beat(self, id: str, fence: int, at: float) -> bool:
        """Renew a lease. False when it is no longer held."""
        return await self._database.write(
            lambda db: _changed(db, f"UPDATE jobs SET beat_at = ? WHERE {_HELD}", (at, id, fence))
        )

    async def requeue(self, id: str, fence: int, forgive: bool) -> bool:
        """Give a job back to its old place. forgive: the attempt does not count. False when not held."""
        return await self._database.write(
            lambda db: _changed(
                db,
                f"UPDATE jobs SET state = 'queued', worker = NULL, attempt = attempt - ? WHERE {_HELD}",
                (int(forgive), id, fence),
            )
        )

    async def finish(
        self,
        id: str,
        fence: int,
        state: Ended,
        at: float,
        extra: Mapping[str, Any],
        outputs: Mapping[str, Any],
        status: Mapping[str, Any],
        meta: Mapping[str, Any],
    ) -> bool:
        """Give a job its one final state and its result. extra replaces the job's own. False when not held."""
        texts = [json.dumps(each) for each in (extra, outputs, status, meta)]

        def work(db: sqlite3.Connection) -> bool:
            filed = _next_filed(db)
            changed = _changed(
                db,
                "UPDATE jobs SET state = ?, ended_at = ?, filed = ?, shown = 1, beat_at = NULL,"
                f" extra = ?, outputs = ?, status = ?, meta = ? WHERE {_HELD}",
                (state, at, filed, *texts, id, fence),
            )
            if filed % PRUNE_EVERY == 0:
                _prune(db, self._keep)
            return changed

        return await self._database.write(work)

    async def move(self, id: str, number: float) -> bool:
        """Give a waiting job another number. False when it does not wait."""
        return await self._database.write(
            lambda db: _changed(db, "UPDATE jobs SET number = ? WHERE id = ? AND state = 'queued'", (number, id))
        )

    async def cancel(self, ids: Sequence[str], at: float) -> int:
        """Take waiting jobs back; others are left alone. Returns how many."""

        def work(db: sqlite3.Connection) -> int:
            return sum(_cancel(db, at, f"id IN ({_marks(part)})", part) for part in _parts(ids))

        return await self._database.write(work)

    async def cancel_all(self, at: float) -> int:
        """Take back every waiting job. Returns how many."""
        return await self._database.write(lambda db: _cancel(db, at, "1", ()))

    async def pending(self, limit: int | None, offset: int) -> Sequence[StoredJob]:
        """Waiting jobs in the order of service."""

        def work(db: sqlite3.Connection) -> list[StoredJob]:
            rows = db.execute(
                f"SELECT {_JOB} FROM jobs WHERE state = 'queued' ORDER BY number, arrival LIMIT ? OFFSET ?",
                (-1 if limit is None else limit, offset),
            )
            return [_job(row) for row in rows]

        return await self._database.read(work)

    async def running(self) -> Sequence[StoredJob]:
        def work(db: sqlite3.Connection) -> list[StoredJob]:
            return [
                _job(row) for row in db.execute(f"SELECT {_JOB} FROM jobs WHERE state = 'running' ORDER BY arrival")
            ]

        return await self._database.read(work)

    async def job(self, id: str) -> StoredJob | None:
        """A job in whatever state."""

        def work(db: sqlite3.Connection) -> StoredJob | None:
            row = db.execute(f"SELECT {_JOB} FROM jobs WHERE id = ?", (id,)).fetchone()
            return row and _job(row)

        return await self._database.read(work)

    async def position(self, id: str) -> int | None:
        """How many jobs are served before this waiting one; None when it does not wait."""

        def work(db: sqlite3.Connection) -> int | None:
            row = db.execute("SELECT number, arrival FROM jobs WHERE id = ? AND state = 'queued'", (id,)).fetchone()
            if row is None:
                return None
            return db.execute(
                "SELECT count(*) FROM jobs WHERE state = 'queued' AND (number, arrival) < (?, ?)", tuple(row)
            ).fetchone()[0]

        return await self._database.read(work)

    async def live(self) -> int:
        """How many jobs wait or run."""
        count = "SELECT (SELECT count(*) FROM jobs WHERE state = 'queued') +"
        count += " (SELECT count(*) FROM jobs WHERE state = 'running')"
        return await self._database.read(lambda db: cast(int, db.execute(count).fetchone()[0]))

    async def history(self, max_items: int | None, offset: int | None) -> Sequence[StoredRecord]:
        """Ended jobs, oldest ending first. offset: how many of the oldest to skip; None: the last `max_items`."""

        def work(db: sqlite3.Connection) -> list[StoredRecord]:
            ids = "SELECT filed FROM jobs WHERE shown = 1 ORDER BY filed"
            if offset is None:
                ids, skip = f"{ids} DESC", 0
            else:
                skip = offset
            # The page is found in the index alone; rows, which are large, are looked up for its members only.
            rows = db.execute(
                f"SELECT {_RECORD} FROM jobs WHERE filed IN ({ids} LIMIT ? OFFSET ?) AND filed IS NOT NULL"
                " ORDER BY filed",
                (-1 if max_items is None else max_items, skip),
            )
            return [_record(row) for row in rows]

        return await self._database.read(work)

    async def record(self, id: str) -> StoredRecord | None:
        """The result of an ended job; None for a job that is unknown, waits or runs."""

        def work(db: sqlite3.Connection) -> StoredRecord | None:
            row = db.execute(f"SELECT {_RECORD} FROM jobs WHERE id = ? AND shown = 1", (id,)).fetchone()
            return row and _record(row)

        return await self._database.read(work)

    async def forget(self, ids: Sequence[str]) -> None:
        """Delete ended jobs; others are left alone."""

        def work(db: sqlite3.Connection) -> None:
            for part in _parts(ids):
                db.execute(f"DELETE FROM jobs WHERE shown = 1 AND id IN ({_marks(part)})", part)

        await self._database.write(work)

    async def forget_all(self) -> None:
        """Delete every ended job."""
        await self._database.write(lambda db: db.execute("DELETE FROM jobs WHERE filed IS NOT NULL") and None)

    async def setting(self, key: str) -> str | None:
        def work(db: sqlite3.Connection) -> str | None:
            row = db.execute("SELECT value FROM settings WHERE key = ?", (key,)).fetchone()
            return row and row[0]

        return await self._database.read(work)

    async def remember(self, settings: Mapping[str, str]) -> None:
        await self._database.write(lambda db: _remember(db, settings))


_HELD = "id = ? AND state = 'running' AND fence = ?"


def _changed(db: sqlite3.Connection, statement: str, values: Sequence[Any]) -> bool:
    return db.execute(statement, values).rowcount > 0


def _remember(db: sqlite3.Connection, settings: Mapping[str, str]) -> None:
    db.executemany("INSERT OR REPLACE INTO settings (key, value) VALUES (?, ?)", list(settings.items()))


def _next_filed(db: sqlite3.Connection) -> int:
    return db.execute("SELECT coalesce(max(filed), 0) + 1 FROM jobs WHERE filed IS NOT NULL").fetchone()[0]


def _cancel(db: sqlite3.Connection, at: float, which: str, values: Sequence[Any]) -> int:
    # A job taken back is filed but not shown: clients of the history never see what they have taken back themselves.
    return db.execute(
        f"UPDATE jobs SET state = 'cancelled', ended_at = ?, filed = ? WHERE state = 'queued' AND {which}",
        (at, _next_filed(db), *values),
    ).rowcount


def _prune(db: sqlite3.Connection, keep: int) -> None:
    db.execute(
        "DELETE FROM jobs WHERE filed IS NOT NULL AND filed <="
        " (SELECT filed FROM jobs WHERE filed IS NOT NULL ORDER BY filed DESC LIMIT 1 OFFSET ?)",
        (keep,),
    )


def _parts(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE)]


def _marks(ids: Sequence[str]) -> str:
    return ",".join("?" * len(ids))
