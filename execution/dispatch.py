"""Feeds idle workers from the queue, records what they tell, and passes it on.

One task per worker: wait until a job can run there, lease one, run it, file it. An ending is published only after its
record is on disk, so that whoever hears of it can read it.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from execution.events import Crashed, Ending, Event, Interrupted
from execution.job import Job
from execution.queue import Claim, Queue, WaitingJob
from execution.record import Recorder
from execution.workers.worker import Worker, WorkerClosed

log = logging.getLogger(__name__)

_LARGEST_AHEAD = 2_000  # nodes: telling a worker of larger jobs twice would cost more than it saves


@dataclass(slots=True)
class RunningJob:
    """recorder: what it has told so far. unwanted: the user has asked for its end."""

    claim: Claim
    worker: Worker
    recorder: Recorder
    unwanted: bool = False

    @property
    def job(self) -> Job:
        return self.claim.job


class Dispatch:
    """Each worker has a name of its own. publish is called on the loop with every event of every job. patience:
    seconds between attempts to write to a store that cannot be written to. beat: seconds between two renewals of the
    leases of running jobs. look: seconds between two looks for which job will be the next."""

    def __init__(
        self,
        queue: Queue,
        workers: Sequence[Worker],
        publish: Callable[[Event], None],
        clock: Callable[[], float] = time.time,
        patience: float = 1,
        look: float = 1,
        beat: float = 10,
    ):
        self._queue = queue
        self._workers = tuple(workers)
        self._publish = publish
        self._clock = clock
        self._patience = patience
        self._look = look
        self._beat = beat
        self._heart: asyncio.Task[None] | None = None
        self._running: dict[str, RunningJob] = {}
        self._unwanted: set[str | None] = set()  # asked to end while it was being leased; None: whatever it is
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._closing = False

    @property
    def running(self) -> Sequence[RunningJob]:
        """What workers run now, in the order begun."""
        return tuple(self._running.values())

    def running_job(self, prompt_id: str) -> Job | None:
        """The job of this id, from its beginning until it has been filed."""
        held = self._running.get(prompt_id)
        return None if held is None else held.job

    @property
    def workers(self) -> Sequence[Worker]:
        return self._workers

    async def start(self) -> None:
        """Start the workers and feed them. The queue must be open."""
        self._heart = asyncio.create_task(self._beats(), name="dispatch heartbeat")
        for worker in self._workers:
            await worker.start()
            self._tasks[worker.name] = asyncio.create_task(self._feed(worker), name=f"dispatch {worker.name}")

    def interrupt(self, prompt_id: str | None = None) -> bool:
        """Ask a running job to end; without an id, all of them. False when nothing of the kind runs."""
        wanted = [held for held in self._running.values() if prompt_id in (None, held.job.id)]
        for held in wanted:
            held.unwanted = True
            held.worker.interrupt(held.job.id)
        if not wanted and self._queue.claiming and self._queue.remaining:  # else the claim comes back empty
            self._unwanted.add(prompt_id)
        return bool(wanted)

    async def cancel(self, prompt_ids: Sequence[str]) -> int:
        """End jobs wherever they are: take back what waits, interrupt what runs. Returns how many that were."""
        # What runs is stopped first: that needs no disk, which may be full. What was begun meanwhile is stopped after.
        stopped = {prompt_id for prompt_id in prompt_ids if self.interrupt(prompt_id)}
        rest = [prompt_id for prompt_id in prompt_ids if prompt_id not in stopped]
        taken_back = await self._queue.delete(rest) if rest else 0
        return len(stopped) + taken_back + sum(self.interrupt(prompt_id) for prompt_id in rest)

    async def free(self, unload_models: bool, free_memory: bool) -> None:
        """Have every worker give memory back once its job has ended."""
        for worker in self._workers:
            await worker.free(unload_models, free_memory)

    async def close(self, drain: float = 0) -> None:
        """Stop the workers. What they run may end within `drain` seconds; after that it goes back to the queue as if
        it had not been begun."""
        self._closing = True
        if self._heart is not None:
            self._heart.cancel()
        busy = {held.worker.name for held in self._running.values()}
        for name, task in self._tasks.items():
            if name not in busy:
                task.cancel()
        if drain and busy:
            await asyncio.wait([self._tasks[name] for name in busy], timeout=drain)
        for worker in self._workers:
            await worker.close()
        for task in self._tasks.values():
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _beats(self) -> None:
        """Keep the leases of running jobs. One whose lease is lost has been given to another or ended: its result would
        not be taken, so it is stopped."""
        while True:
            await asyncio.sleep(self._beat)
            try:
                lost = await self._queue.tend([held.claim for held in self._running.values()])
            except Exception:
                log.exception("The leases of running jobs could not be renewed")
                continue
            for id in lost:
                if (held := self._running.get(id)) is not None:
                    log.error("Job %s is no longer ours; stopping it", id)
                    held.worker.interrupt(id)

    async def _feed(self, worker: Worker) -> None:
        while not self._closing:
            try:
                await worker.ready()
                claim = await self._queue.next(worker.name)
            except WorkerClosed as closed:
                log.info("Worker %s takes no more jobs: %s", worker.name, closed)
                return
            except Exception:
                log.exception("No job could be taken from the queue; trying again in %s s", self._patience)
                await asyncio.sleep(self._patience)
                continue
            await self._serve(RunningJob(claim, worker, Recorder(claim.job.graph)))

    async def _serve(self, held: RunningJob) -> None:
        """Run one job to its end and file it."""
        id = held.job.id
        self._running[id] = held
        ahead = asyncio.create_task(self._tell_next(held.worker), name=f"look ahead of {id}")
        held.unwanted = not self._unwanted.isdisjoint((None, id))
        if not self._queue.claiming:
            self._unwanted.clear()
        try:
            ending = await self._run(held)
            while not await self._settled(held, ending):
                if self._closing:
                    return  # still "running" on disk, and found there by the next server
                await asyncio.sleep(self._patience)
        finally:
            ahead.cancel()
            del self._running[id]

    async def _tell_next(self, worker: Worker) -> None:
        """While a worker runs a job, tell it which one will probably be the next, when that changes."""
        waiting, told = -1, ""
        while True:
            if (now := self._queue.remaining) != waiting:
                waiting = now
                with contextlib.suppress(Exception):  # a store that cannot be read will be noticed where it matters
                    for job in [next_job(each) for each in await self._queue.pending(1)]:
                        if job.id != told and len(job.graph) <= _LARGEST_AHEAD:
                            worker.expect(job)
                            told = job.id
            await asyncio.sleep(self._look)

    async def _run(self, held: RunningJob) -> Ending:
        def emit(event: Event) -> None:
            held.recorder.take(event)
            if not isinstance(event, Ending):  # told once it is on disk
                self._publish(event)

        try:
            if not held.unwanted:
                return await held.worker.run(held.job, emit)
            ending = Interrupted(held.job.id, self._clock(), None, "", ())
        except Exception as error:  # a worker does not raise for what a job does
            log.exception("Worker %s failed with job %s", held.worker.name, held.job.id)
            cause = f"The worker failed: {type(error).__name__}: {error}"
            ending = Crashed(held.job.id, self._clock(), cause, None, None, None, "", ())
        emit(ending)
        return ending

    async def _settled(self, held: RunningJob, ending: Ending) -> bool:
        """File the job or give it back. False when the store cannot be written to just now."""
        try:
            if self._closing and not held.unwanted and isinstance(ending, Crashed | Interrupted):
                await self._queue.retry(held.claim, forgive=True)
            elif isinstance(ending, Crashed) and _died(ending) and await self._queue.retry(held.claim):
                log.warning("Job %s is begun again: %s", held.job.id, ending.cause)
            else:
                await self._queue.finish(held.claim, ending, held.recorder.record(ending))
        except Exception:
            log.exception("The end of job %s could not be kept", held.job.id)
            return False
        return True


def next_job(waiting: WaitingJob) -> Job:
    return Job(waiting.id, waiting.number, waiting.graph, waiting.targets)


def _died(ending: Crashed) -> bool:
    # One that was ended because it hung would hang again.
    return ending.exit_code is not None or ending.signal is not None
