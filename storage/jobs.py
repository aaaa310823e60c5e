"""Jobs, waiting, running and ended, and what became of them: one table, many views.

A job is in exactly one state. Who works on it holds a lease: the worker's name and a fencing number that grows with
every claim; a late word from an earlier holder changes nothing. Knows neither graphs nor events: both are JSON here.
"""

import json
import math
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

from storage.database import Database

State = Literal["queued", "running", "succeeded", "failed", "interrupted", "crashed", "cancelled"]
Ended = Literal["succeeded", "failed", "interrupted", "crashed"]

KEEP = 100_000  # ended jobs; the oldest go first
PRUNE_EVERY = 100  # endings
KEYS_FOR = 7 * 24 * 3600.0  # seconds that the key of a submission is remembered at least
_AT_ONCE = 500  # ids in one statement


class NewJob(Protocol):
    """A job as it is submitted. outputs: ids of the output nodes to run."""

    @property
    def id(self) -> str: ...
    @property
    def number(self) -> float: ...
    @property
    def graph(self) -> Mapping[str, Any]: ...
    @property
    def outputs(self) -> tuple[str, ...]: ...
    @property
    def extra(self) -> Mapping[str, Any]: ...


class Submission(Protocol):
    """What jobs that are submitted together have in common. key: of its sender's choice; the same one again with the
    same digest is the same submission. webhook, secret: where their ends are told, and what signs that."""

    @property
    def key(self) -> str | None: ...
    @property
    def digest(self) -> str: ...
    @property
    def batch(self) -> str | None: ...
    @property
    def title(self) -> str | None: ...
    @property
    def webhook(self) -> str | None: ...
    @property
    def secret(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Leases:
    """lost: ids of jobs asked for that are leased to nobody or to another. unheld: id and fence of every running job
    that was not asked for."""

    lost: Sequence[str]
    unheld: Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a submission. ids: its jobs. earlier: it had been made before, nothing was added. differs: its
    key had been used for something else, nothing was added. in_the_way: id and state of a live job that has the id of
    one of these, nothing was added."""

    ids: tuple[str, ...] = ()
    earlier: bool = False
    differs: bool = False
    in_the_way: tuple[str, str] | None = None


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


# What is asked of waiting jobs is found in their own index, which holds their order.
_WAITING = "jobs INDEXED BY jobs_waiting WHERE state = 'queued'"
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
        self, jobs: Sequence[NewJob], submission: Submission, at: float, settings: Mapping[str, str]
    ) -> Added:
        """Take jobs in, all or none, and remember settings with them. An ended job of the same id is replaced."""
        rows = [
            (
                *(job.id, job.number, json.dumps(job.graph), json.dumps(list(job.outputs)), json.dumps(job.extra)),
                *(at, submission.batch, submission.title),
            )
            for job in jobs
        ]
        ids = tuple(job.id for job in jobs)

        def work(db: sqlite3.Connection) -> Added:
            if submission.key is not None and (known := _submission(db, submission.key)) is not None:
                digest, earlier = known
                return Added(earlier, earlier=True, differs=digest != submission.digest)
            for id in ids:
                row = db.execute("SELECT state FROM jobs WHERE id = ?", (id,)).fetchone()
                if row is not None and row[0] in ("queued", "running"):
                    return Added(in_the_way=(id, row[0]))
                if row is not None:
                    db.execute("DELETE FROM jobs WHERE id = ?", (id,))
            db.executemany(
                "INSERT INTO jobs (id, number, state, graph, targets, extra, submitted_at, batch, title)"
                " VALUES (?, ?, 'queued', ?, ?, ?, ?, ?, ?)",
                rows,
            )
            if submission.key is not None:
                db.execute("DELETE FROM submissions WHERE at < ?", (at - KEYS_FOR,))
                db.execute(
                    "INSERT INTO submissions (key, digest, jobs, at) VALUES (?, ?, ?, ?)",
                    (submission.key, submission.digest, json.dumps(ids), at),
                )
            if submission.webhook is not None:
                hooks = [(id, submission.webhook, submission.secret) for id in ids]
                db.executemany("INSERT INTO webhooks (job, url, secret) VALUES (?, ?, ?)", hooks)
            _remember(db, settings)
            return Added(ids)

        return await self._database.write(work)

    async def submission(self, key: str) -> tuple[str, tuple[str, ...]] | None:
        """Digest and jobs of what was submitted under a key; None when nothing was."""
        return await self._database.read(lambda db: _submission(db, key))

    async def claim(self, worker: str, at: float) -> StoredJob | None:
        """Lease the first waiting job to a worker."""

        def work(db: sqlite3.Connection) -> StoredJob | None:
            row = db.execute(
                "UPDATE jobs SET state = 'running', worker = ?, fence = fence + 1, attempt = attempt + 1,"
                " started_at = ?, beat_at = ? WHERE arrival ="
                f" (SELECT arrival FROM {_WAITING} ORDER BY number, arrival LIMIT 1)"
                f" RETURNING {_JOB}",
                (worker, at, at),
            ).fetchone()
            return row and _job(row)

        return await self._database.write(work)

    async def beat(self, held: Sequence[tuple[str, int]], at: float) -> Leases:
        """Renew leases, each an id and a fence."""
        asked = set(held)

        def work(db: sqlite3.Connection) -> Leases:
            renew = f"UPDATE jobs SET beat_at = ? WHERE {_HELD}"
            lost = [id for id, fence in held if not _changed(db, renew, (at, id, fence))]
            leased: list[tuple[str, int]] = db.execute("SELECT id, fence FROM jobs WHERE state = 'running'").fetchall()
            return Leases(lost, [each for each in leased if each not in asked])

        return await self._database.write(work)

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
        reason: str | None = None,
    ) -> bool:
        """Give a job its one final state and its result, in one transaction with its webhooks falling due. extra
        replaces the job's own. reason: why it did not succeed, in a line. False when not held."""
        texts = [json.dumps(each) for each in (extra, outputs, status, meta)]

        def work(db: sqlite3.Connection) -> bool:
            filed = _next_filed(db)
            changed = _changed(
                db,
                "UPDATE jobs SET state = ?, ended_at = ?, filed = ?, shown = 1, beat_at = NULL,"
                f" extra = ?, outputs = ?, status = ?, meta = ?, reason = ? WHERE {_HELD}",
                (state, at, filed, *texts, reason, id, fence),
            )
            if filed % PRUNE_EVERY == 0:
                _prune(db, self._keep)
            return changed

        return await self._database.write(work)

    async def move(self, id: str, number: float) -> bool:
        """Give a waiting job another number. False when it does not wait."""
        return await self._database.write(lambda db: _move(db, id, number))

    async def ahead(self) -> float | None:
        """A number below those of all waiting jobs; None when there is none."""
        return await self._database.read(_ahead)

    async def move_to_front(self, id: str) -> bool:
        """Have a waiting job served before all others. False when it does not wait."""

        def work(db: sqlite3.Connection) -> bool:
            number = _ahead(db)
            return number is not None and _move(db, id, number)

        return await self._database.write(work)

    async def move_before(self, id: str, other: str) -> bool:
        """Have a waiting job served just before another that waits. False when one of them does not."""

        def work(db: sqlite3.Connection) -> bool:
            waits = "SELECT number, arrival FROM jobs WHERE id = ? AND state = 'queued'"
            mine, after = (db.execute(waits, (each,)).fetchone() for each in (id, other))
            if mine is None or after is None:
                return False
            if id == other:
                return True
            number, arrival = after
            earlier = (
                f"SELECT arrival, number FROM {_WAITING} AND (number, arrival) < (?, ?) AND id != ?"
                " ORDER BY number DESC, arrival DESC"
            )
            last = db.execute(f"{earlier} LIMIT 1", (number, arrival, id)).fetchone()
            place = _below(number) if last is None else (last[1] + number) / 2
            if last is not None and not last[1] < place < number:
                # No number lies between: who is served before makes room, as far as is needed.
                place = bound = _below(number)
                for each, its in db.execute(earlier, (number, arrival, id)).fetchall():
                    if its < bound:
                        break
                    bound = _below(bound)
                    db.execute("UPDATE jobs SET number = ? WHERE arrival = ?", (bound, each))
            return _move(db, id, place)

        return await self._database.write(work)

    async def cancel(self, ids: Sequence[str], at: float) -> Sequence[str]:
        """Take waiting jobs back; others are left alone. Returns the ids of those that were."""

        def work(db: sqlite3.Connection) -> list[str]:
            return [id for part in _parts(ids) for id in _cancel(db, at, f"id IN ({_marks(part)})", part)]

        return await self._database.write(work)

    async def cancel_all(self, at: float) -> Sequence[str]:
        """Take back every waiting job. Returns their ids."""
        return await self._database.write(lambda db: _cancel(db, at, "1", ()))

    async def pending(self, limit: int | None, offset: int) -> Sequence[StoredJob]:
        """Waiting jobs in the order of service."""

        def work(db: sqlite3.Connection) -> list[StoredJob]:
            rows = db.execute(
                f"SELECT {_JOB} FROM {_WAITING} ORDER BY number, arrival LIMIT ? OFFSET ?",
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
            return db.execute(f"SELECT count(*) FROM {_WAITING} AND (number, arrival) < (?, ?)", tuple(row)).fetchone()[
                0
            ]

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

    async def records(self, ids: Sequence[str]) -> Sequence[StoredRecord]:
        """Jobs of these ids in whatever state; one that has not ended has no outputs and no status. One that was taken
        back while it waited is left out, as in the history."""

        def work(db: sqlite3.Connection) -> list[StoredRecord]:
            known = f"SELECT {_RECORD} FROM jobs WHERE state != 'cancelled' AND id IN"
            return [_record(row) for part in _parts(ids) for row in db.execute(f"{known} ({_marks(part)})", part)]

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


def _move(db: sqlite3.Connection, id: str, number: float) -> bool:
    return _changed(db, "UPDATE jobs SET number = ? WHERE id = ? AND state = 'queued'", (number, id))


def _ahead(db: sqlite3.Connection) -> float | None:
    first = db.execute(f"SELECT number FROM {_WAITING} ORDER BY number LIMIT 1").fetchone()
    return first and _below(first[0])


def _below(number: float) -> float:
    return number - 1 if number - 1 < number else math.nextafter(number, -math.inf)


def _submission(db: sqlite3.Connection, key: str) -> tuple[str, tuple[str, ...]] | None:
    row = db.execute("SELECT digest, jobs FROM submissions WHERE key = ?", (key,)).fetchone()
    return row and (row[0], tuple(json.loads(row[1])))


def _cancel(db: sqlite3.Connection, at: float, which: str, values: Sequence[Any]) -> list[str]:
    # A job taken back is filed but not shown: clients of the history never see what they have taken back themselves.
    rows = db.execute(
        f"UPDATE jobs SET state = 'cancelled', ended_at = ?, filed = ? WHERE state = 'queued' AND {which} RETURNING id",
        (at, _next_filed(db), *values),
    )
    return [row[0] for row in rows]


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
