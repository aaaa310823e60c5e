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

from execution.events import Crashed, Ending, Event, Filed, QueueChanged, Queued
from execution.job import Job, redacted
from execution.record import Record, Recorder

log = logging.getLogger(__name__)

T = TypeVar("T")

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


class JobStore(Protocol):
    """Keeps jobs. Every method returns once the change is on disk; see `storage.jobs.Jobs`, which is one."""

    async def add(
        self,
        id: str,
        number: float,
        graph: Mapping[str, Any],
        targets: Sequence[str],
        extra: Mapping[str, Any],
        at: float,
        settings: Mapping[str, str],
    ) -> str | None: ...
    async def claim(self, worker: str, at: float) -> WaitingJob | None: ...
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
    ) -> bool: ...
    async def move(self, id: str, number: float) -> bool: ...
    async def cancel(self, ids: Sequence[str], at: float) -> int: ...
    async def cancel_all(self, at: float) -> int: ...
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
        for stored in await self._store.running():
            claim = _claim(stored)
            if not await self.retry(claim):
                await self._give_up(claim)
        self._remaining = await self._store.live()

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
        if self._remaining + self._arriving >= self._most:
            raise QueueFull(self._most)

        async def put() -> None:
            settings = {COUNTER: str(self._counter)}
            at = self._clock()
            try:
                state = await self._store.add(job.id, job.number, job.graph, job.outputs, job.extra, at, settings)
            finally:
                self._arriving -= 1
            if state is not None:
                raise DuplicateJob(job.id, state)
            self._remaining += 1
            self._publish(Queued(job.id))
            self._publish(QueueChanged(self._remaining))
            self._wake.set()

        self._arriving += 1
        await _to_its_end(put())

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

    async def _cancelled(self, cancelling: Awaitable[int]) -> int:
        count = await cancelling
        if count:
            self._remaining -= count
            self._publish(QueueChanged(self._remaining))
        return count

    async def _give_up(self, claim: Claim) -> None:
        cause = f"The server ended {claim.attempt} times while this job was running; it is not begun again"
        ending = Crashed(claim.job.id, self._clock(), cause, None, None, None, "", ())
        recorder = Recorder(claim.job.graph)
        recorder.take(ending)
        await self._file(claim, ending, recorder.record(ending))

    async def _file(self, claim: Claim, ending: Ending, record: Record) -> bool:
        extra = redacted(claim.job.extra)
        return await self._store.finish(
            claim.job.id, claim.fence, record.state, ending.at, extra, record.outputs, record.status, record.meta
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
