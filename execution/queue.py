"""What waits to run, and what runs: acknowledged jobs in the order of service. What it says is on disk.

Order: smaller number first, then the earlier arrival. Numbers come from a counter that survives a restart; `front`
negates it; a client may give its own.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

from execution.events import Crashed, Ending, Event, Filed, Interrupted, QueueChanged, Queued
from execution.job import Job, redacted
from execution.record import Record, Recorder

log = logging.getLogger(__name__)

T = TypeVar("T")

TOLD_AT_ONCE = 100  # endings of jobs taken back, before others have a turn on the loop
COUNTER = "queue.counter"
PAUSED = "queue.paused"


class WaitingJob(Protocol):
    """A job as it is kept."""

    @property
    def id(self) -> str: ...
    @property
    def number(self) -> float: ...
    @property
    def graph(self) -> Mapping[str, Any]: ...
    @property
    def targets(self) -> tuple[str, ...]: ...
    @property
    def extra(self) -> Mapping[str, Any]: ...
    @property
    def submitted_at(self) -> float: ...
    @property
    def started_at(self) -> float | None: ...
    @property
    def attempt(self) -> int: ...
    @property
    def fence(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Submission:
    """What jobs submitted together have in common. key: chosen by whoever submits; the same one again, with the same
    digest, is the same submission and makes no jobs. batch: its name. title: for people. webhook, secret: where the
    end of each job is to be told, and what signs that."""

    key: str | None = None
    digest: str = ""
    batch: str | None = None
    title: str | None = None
    webhook: str | None = None
    secret: str | None = None


class Added(Protocol):
    """What became of a submission; see `storage.jobs.Added`, which is one."""

    @property
    def ids(self) -> tuple[str, ...]: ...
    @property
    def earlier(self) -> bool: ...
    @property
    def differs(self) -> bool: ...
    @property
    def in_the_way(self) -> tuple[str, str] | None: ...


class Leases(Protocol):
    """lost: ids of jobs asked for that are leased to nobody or to another. unheld: id and fence of every running job
    that was not asked for."""

    @property
    def lost(self) -> Sequence[str]: ...
    @property
    def unheld(self) -> Sequence[tuple[str, int]]: ...


class JobStore(Protocol):
    """Keeps jobs. Every method returns once the change is on disk; see `storage.jobs.Jobs`, which is one."""

    async def add(
        self, jobs: Sequence[Job], submission: Submission, at: float, settings: Mapping[str, str]
    ) -> Added: ...
    async def submission(self, key: str) -> tuple[str, tuple[str, ...]] | None: ...
    async def claim(self, worker: str, at: float) -> WaitingJob | None: ...
    async def beat(self, held: Sequence[tuple[str, int]], at: float) -> Leases: ...
    async def requeue(self, id: str, fence: int, forgive: bool) -> bool: ...
    async def finish(
        self,
        id: str,
        fence: int,
        state: Any,
        at: float,
        extra: Mapping[str, Any],
        outputs: Mapping[str, Any],
        status: Mapping[str, Any],
        meta: Mapping[str, Any],
        reason: str | None,
    ) -> bool: ...
    async def move(self, id: str, number: float) -> bool: ...
    async def ahead(self) -> float | None: ...
    async def move_to_front(self, id: str) -> bool: ...
    async def move_before(self, id: str, other: str) -> bool: ...
    async def cancel(self, ids: Sequence[str], at: float) -> Sequence[str]: ...
    async def cancel_all(self, at: float) -> Sequence[str]: ...
    async def pending(self, limit: int | None, offset: int) -> Sequence[WaitingJob]: ...
    async def running(self) -> Sequence[WaitingJob]: ...
    async def position(self, id: str) -> int | None: ...
    async def live(self) -> int: ...
    async def setting(self, key: str) -> str | None: ...
    async def remember(self, settings: Mapping[str, str]) -> None: ...


class DuplicateJob(ValueError):
    """A job of this id waits or runs. state: which of the two."""

    def __init__(self, id: str, state: str):
        self.id, self.state = id, state
        super().__init__(f"a job with the id {id!r} is already {state}")


class KeyReused(ValueError):
    """A key that stands for one submission came with another."""

    def __init__(self, key: str):
        self.key = key
        super().__init__(f"the key {key!r} was used for another submission; take a new one, or send the same again")


class QueueFull(RuntimeError):
    """So many jobs wait or run already that another is not taken. most: the limit."""

    def __init__(self, most: int):
        self.most = most
        super().__init__(f"{most:,} jobs wait already; try again when some have been run")


class InvalidNumber(ValueError):
    def __init__(self, asked: object):
        self.asked = asked
        shown = repr(asked)[:60] if isinstance(asked, str | float | bool) else type(asked).__name__
        super().__init__(f"the priority must be a finite number, not {shown}")


@dataclass(frozen=True, slots=True)
class Claim:
    """A job leased to a worker. attempt: 1 the first time. fence: what the holder of the lease must show."""

    job: Job
    attempt: int
    fence: int


class Queue:
    """publish is called on the loop. attempts: how often a job is begun whose worker or server dies meanwhile. most:
    jobs that may wait and run."""

    def __init__(
        self,
        store: JobStore,
        publish: Callable[[Event], None],
        attempts: int = 2,
        clock: Callable[[], float] = time.time,
        most: int = 100_000,
    ):
        self._store = store
        self._publish = publish
        self._attempts = attempts
        self._clock = clock
        self._most = most
        self._arriving = 0
        self._counter = 0
        self._remaining = 0
        self._paused = False
        self._claims = 0
        self._unheld: frozenset[tuple[str, int]] = frozenset()
        self._wake = asyncio.Event()

    @property
    def remaining(self) -> int:
        """Jobs waiting and running."""
        return self._remaining

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def claiming(self) -> bool:
        """Whether a job is just now passing from waiting to running and cannot be told to be either."""
        return self._claims > 0

    async def open(self, start: Literal["run", "paused", "last"] = "last") -> None:
        """Find what an earlier server left. Jobs that ran when it died go back to their places, or are given up.
        start: whether jobs are begun at once; "last" is as it was left."""
        self._counter = int(await self._store.setting(COUNTER) or 0)
        self._paused = start == "paused" or (start == "last" and await self._store.setting(PAUSED) == "1")
        self._remaining = await self._store.live()
        for stored in await self._store.running():
            await self._recover(_claim(stored))

    def number(self, asked: object = None, front: bool = False) -> float:
        """The priority of a new job: what was asked, else the counter, negated for `front`. Raises InvalidNumber."""
        if asked is not None:
            if isinstance(asked, bool) or not isinstance(asked, int | float | str):
                raise InvalidNumber(asked)
            try:
                number = float(asked)
            except (ValueError, OverflowError) as error:
                raise InvalidNumber(asked) from error
            if not math.isfinite(number):
                raise InvalidNumber(asked)
            return number
        number = self._counter
        self._counter += 1
        return -number if front else number

    async def put(self, job: Job) -> None:
        """Take a job in. Returns once it is on disk. Raises DuplicateJob or QueueFull."""
        await self.put_all([job], Submission())

    async def put_all(self, jobs: Sequence[Job], submission: Submission) -> Sequence[str]:
        """Take jobs in, all or none. Returns their ids once they are on disk; the ids of the first time when this
        submission was made before. Raises DuplicateJob, KeyReused or QueueFull."""
        if self._remaining + self._arriving + len(jobs) > self._most:
            raise QueueFull(self._most)

        async def put() -> Sequence[str]:
            settings = {COUNTER: str(self._counter)}
            try:
                added = await self._store.add(jobs, submission, self._clock(), settings)
            finally:
                self._arriving -= len(jobs)
            if added.in_the_way is not None:
                raise DuplicateJob(*added.in_the_way)
            if added.differs:
                raise KeyReused(submission.key or "")
            if not added.earlier:
                self._remaining += len(jobs)
                for id in added.ids:
                    self._publish(Queued(id))
                self._publish(QueueChanged(self._remaining))
                self._wake.set()
            return added.ids

        self._arriving += len(jobs)
        return await _to_its_end(put())

    async def earlier(self, submission: Submission) -> Sequence[str] | None:
        """The jobs of this submission when it was made before; None when it was not. Raises KeyReused."""
        known = None if submission.key is None else await self._store.submission(submission.key)
        if known is None:
            return None
        digest, ids = known
        if digest != submission.digest:
            raise KeyReused(submission.key or "")
        return ids

    async def next(self, worker: str) -> Claim:
        """Lease the next job to a worker; waits for one."""
        while True:
            self._wake.clear()
            if not self._paused and (claim := await self._claim(worker)) is not None:
                self._wake.set()  # there may be more, for others who wait
                self._publish(QueueChanged(self._remaining))
                return claim
            await self._wake.wait()

    async def finish(self, claim: Claim, ending: Ending, record: Record) -> None:
        """File a job, and then tell its end. The word of a holder who lost the lease meanwhile changes nothing."""
        if not await _to_its_end(self._file(claim, ending, record)):
            log.warning("The result of job %s came from a worker that no longer held it", claim.job.id)
            return
        self._remaining -= 1
        self._publish(ending)
        self._publish(QueueChanged(self._remaining))
        self._publish(Filed(claim.job.id))

    async def retry(self, claim: Claim, forgive: bool = False) -> bool:
        """Give a job back to its place, unless it was begun too often. forgive: this attempt does not count."""
        if not forgive and claim.attempt >= self._attempts:
            return False
        given_back = await self._store.requeue(claim.job.id, claim.fence, forgive)
        self._wake.set()
        return given_back

    async def tend(self, held: Sequence[Claim]) -> Sequence[str]:
        """Renew the leases of jobs that run. Returns the ids of those whose lease is lost: their results will not be
        taken. A job that is leased and that nobody holds, now and the last time, is given back or given up."""
        leases = await self._store.beat([(claim.job.id, claim.fence) for claim in held], self._clock())
        unheld = frozenset(leases.unheld)
        forgotten = unheld & self._unheld
        self._unheld = unheld
        for stored in await self._store.running() if forgotten else ():
            if (stored.id, stored.fence) in forgotten:
                log.error("Job %s was leased and nobody runs it", stored.id)
                await self._recover(_claim(stored))
        return leases.lost

    async def pending(self, limit: int | None = None, offset: int = 0) -> Sequence[WaitingJob]:
        """Waiting jobs in the order of service."""
        return await self._store.pending(limit, offset)

    async def running(self) -> Sequence[WaitingJob]:
        return await self._store.running()

    async def position(self, prompt_id: str) -> int | None:
        """How many jobs are served before this one; None when it does not wait."""
        return await self._store.position(prompt_id)

    async def move(self, prompt_id: str, number: float) -> bool:
        """Give a waiting job another priority. False when it does not wait. Raises InvalidNumber."""
        if not math.isfinite(number):
            raise InvalidNumber(number)
        return await self._store.move(prompt_id, number)

    async def ahead(self) -> float | None:
        """A number that is served before all that wait now; None when nothing waits."""
        return await self._store.ahead()

    async def move_to_front(self, prompt_id: str) -> bool:
        """Have a waiting job served next. False when it does not wait."""
        return await self._store.move_to_front(prompt_id)

    async def move_before(self, prompt_id: str, other: str) -> bool:
        """Have a waiting job served just before another. False when one of them does not wait."""
        return await self._store.move_before(prompt_id, other)

    async def delete(self, prompt_ids: Sequence[str]) -> int:
        """Take waiting jobs back; ids of others are ignored. Returns how many."""
        return await _to_its_end(self._cancelled(self._store.cancel(prompt_ids, self._clock())))

    async def clear(self) -> int:
        """Take every waiting job back. Returns how many."""
        return await _to_its_end(self._cancelled(self._store.cancel_all(self._clock())))

    async def pause(self) -> None:
        """Begin no further job, also after a restart; what runs runs on."""
        self._paused = True
        await self._store.remember({PAUSED: "1"})

    async def resume(self) -> None:
        self._paused = False
        await self._store.remember({PAUSED: "0"})
        self._wake.set()

    async def _cancelled(self, cancelling: Awaitable[Sequence[str]]) -> int:
        ids = await cancelling
        if ids:
            self._remaining -= len(ids)
            self._publish(QueueChanged(self._remaining))
        for number, id in enumerate(ids, 1):
            self._publish(Interrupted(id, self._clock(), None, "", ()))
            self._publish(Filed(id))
            if number % TOLD_AT_ONCE == 0:
                await asyncio.sleep(0)
        return len(ids)

    async def _recover(self, claim: Claim) -> None:
        """A job whose holder is gone goes back to its place, unless it was begun too often."""
        if await self.retry(claim):
            return
        cause = f"The server ended {claim.attempt} times while this job was running; it is not begun again"
        ending = Crashed(claim.job.id, self._clock(), cause, None, None, None, "", ())
        recorder = Recorder(claim.job.graph)
        recorder.take(ending)
        await self.finish(claim, ending, recorder.record(ending))

    async def _file(self, claim: Claim, ending: Ending, record: Record) -> bool:
        return await self._store.finish(
            *(claim.job.id, claim.fence, record.state, ending.at, redacted(claim.job.extra)),
            *(record.outputs, record.status, record.meta, record.reason),
        )

    async def _claim(self, worker: str) -> Claim | None:
        claiming = asyncio.ensure_future(self._store.claim(worker, self._clock()))
        self._claims += 1
        try:
            stored = await asyncio.shield(claiming)
        except asyncio.CancelledError:
            if (stored := await claiming) is not None:
                await self.retry(_claim(stored), forgive=True)
            raise
        finally:
            self._claims -= 1
        return None if stored is None else _claim(stored)


def _claim(stored: WaitingJob) -> Claim:
    job = Job(stored.id, stored.number, stored.graph, stored.targets, stored.extra)
    return Claim(job, stored.attempt, stored.fence)


async def _to_its_end(work: Awaitable[T]) -> T:
    """Await work that must be finished although whoever asked for it may be gone (a client that hung up)."""
    return await asyncio.shield(asyncio.ensure_future(work))
