"""From the queue to a worker and into the history."""

import asyncio
import errno
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from execution.dispatch import Dispatch
from execution.events import (
    Cached,
    Crashed,
    Ending,
    Event,
    Failed,
    Filed,
    Interrupted,
    NodeFinished,
    NodeRef,
    NodeStarted,
    QueueChanged,
    Queued,
    Started,
    Succeeded,
)
from execution.history import History
from execution.job import Job
from execution.packs import PackFacts
from execution.problems import NodeProblem
from execution.queue import Queue
from execution.record import Recorder
from execution.spec import Declaration
from execution.workers.worker import CheckQuestion, Emit, State, Verdict, WorkerClosed
from storage.jobs import Jobs
from tests.jobs.conftest import Told, job

NODE = NodeRef("1", "1", None, "1")


@dataclass
class Puppet:
    """A worker whose jobs end when the test says how."""

    name: str = "w"
    state: State = "idle"
    trouble: str | None = None
    begun: asyncio.Queue[str] = field(default_factory=asyncio.Queue[str])
    endings: asyncio.Queue[Callable[[str], Ending] | Exception] = field(default_factory=asyncio.Queue)
    interrupted: list[str] = field(default_factory=list[str])
    freed: list[tuple[bool, bool]] = field(default_factory=list[tuple[bool, bool]])
    expected: asyncio.Queue[Job] = field(default_factory=asyncio.Queue[Job])
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None: ...

    async def ready(self) -> None:
        if self.closed.is_set():
            raise WorkerClosed("closed")

    async def run(self, job: Job, emit: Emit) -> Ending:
        emit(Started(job.id, 1.0))
        emit(Cached(job.id, (), 1.0))
        emit(NodeStarted(job.id, NODE))
        self.begun.put_nowait(job.id)
        make = await self.endings.get()
        if isinstance(make, Exception):
            raise make
        emit(NodeFinished(job.id, NODE, {"text": ["hello"]}))
        ending = make(job.id)
        emit(ending)
        return ending

    def interrupt(self, prompt_id: str) -> None:
        self.interrupted.append(prompt_id)
        self.endings.put_nowait(interrupted)

    async def catalogue(self, deadline: float) -> Mapping[str, Declaration]:
        return {}

    async def check(self, questions: Sequence[CheckQuestion], deadline: float) -> Sequence[Verdict]:
        return ()

    async def free(self, unload_models: bool, free_memory: bool) -> None:
        self.freed.append((unload_models, free_memory))

    async def packs(self, deadline: float) -> PackFacts:
        return PackFacts()

    async def handle(self, body: Mapping[str, Any], deadline: float) -> Mapping[str, Any]:
        return body

    def expect(self, job: Job) -> None:
        self.expected.put_nowait(job)

    async def memory(self, deadline: float) -> Mapping[str, Any]:
        return {}

    async def system(self, deadline: float) -> Mapping[str, Any]:
        return {}

    async def close(self) -> None:
        self.closed.set()
        self.endings.put_nowait(lambda id: Crashed(id, 2.0, "closed", None, None, None, "", ()))


def succeeded(id: str) -> Ending:
    return Succeeded(id, 2.0)


def failed(id: str) -> Ending:
    return Failed(id, 2.0, NodeProblem("1", "Text", "ValueError", "no\n"))


def interrupted(id: str) -> Ending:
    return Interrupted(id, 2.0, NODE, "Text", ())


def died(id: str) -> Ending:
    return Crashed(id, 2.0, "It died of SIGSEGV.", None, "SIGSEGV", NODE, "Text", ())


def hung(id: str) -> Ending:
    return Crashed(id, 2.0, "It stopped answering.", None, None, NODE, "Text", ())


@pytest.fixture
def puppet() -> Puppet:
    return Puppet()


async def run_one(queue: Queue, puppet: Puppet, told: Told, ending: Callable[[str], Ending]) -> None:
    dispatch = Dispatch(queue, [puppet], told)
    puppet.endings.put_nowait(ending)
    await dispatch.start()
    await queue.put(job("a"))
    await told.until(lambda: told.of(Filed))
    await dispatch.close()


async def test_the_events_of_a_job_come_in_the_order_clients_rely_on(queue: Queue, puppet: Puppet, told: Told):
    await run_one(queue, puppet, told, succeeded)
    assert [type(event) for event in told.events] == (
        [Queued, QueueChanged, QueueChanged, Started, Cached, NodeStarted, NodeFinished, Succeeded, QueueChanged, Filed]
    )
    assert [event.remaining for event in told.of(QueueChanged)] == [1, 1, 0]


@pytest.mark.parametrize("ending", [succeeded, failed, interrupted, hung])
async def test_a_record_can_be_read_by_the_time_its_ending_is_told(
    queue: Queue, jobs: Jobs, puppet: Puppet, ending: Callable[[str], Ending]
):
    history = History(jobs)
    read: list[asyncio.Task[dict[str, Any] | None]] = []
    told = Told()

    def publish(event: Event) -> None:
        told(event)
        if isinstance(event, Ending):
            read.append(asyncio.create_task(history.entry("a")))

    queue._publish = publish  # pyright: ignore[reportPrivateUsage]  # the fixture's queue tells its own listener
    await run_one(queue, puppet, told, ending)
    [entry] = [await each for each in read]
    assert entry is not None
    assert entry["outputs"] == {"1": {"text": ["hello"]}}
    assert entry["status"]["messages"][-1][0].startswith("execution_")


async def test_a_busy_worker_is_told_which_job_comes_next(queue: Queue, puppet: Puppet, told: Told):
    dispatch = Dispatch(queue, [puppet], told, look=0)
    await dispatch.start()
    await queue.put(job("a"))
    assert await puppet.begun.get() == "a"
    await queue.put(job("b"))
    ahead = await puppet.expected.get()
    assert (ahead.id, ahead.outputs, ahead.extra) == ("b", job("b").outputs, {})
    await queue.put(replace(job("c"), number=-1.0))  # before it
    assert (await puppet.expected.get()).id == "c"
    await dispatch.close()


async def test_jobs_run_one_after_the_other_and_a_failure_stops_nothing(queue: Queue, puppet: Puppet, told: Told):
    dispatch = Dispatch(queue, [puppet], told)
    await dispatch.start()
    for id, ending in (("a", failed), ("b", succeeded)):
        await queue.put(job(id))
        puppet.endings.put_nowait(ending)
    await told.until(lambda: len(told.of(Filed)) == 2)
    assert [event.prompt_id for event in told.of(Filed)] == ["a", "b"]
    await dispatch.close()


async def test_two_workers_run_two_jobs_at_once(queue: Queue, told: Told):
    one, two = Puppet("one"), Puppet("two")
    dispatch = Dispatch(queue, [one, two], told)
    await dispatch.start()
    await queue.put(job("a"))
    await queue.put(job("b"))
    await told.until(lambda: len(told.of(Started)) == 2)
    assert {held.worker.name for held in dispatch.running} == {"one", "two"}
    for puppet in (one, two):
        puppet.endings.put_nowait(succeeded)
    await told.until(lambda: len(told.of(Filed)) == 2)
    await dispatch.close()


async def test_a_job_whose_worker_died_is_begun_once_more(queue: Queue, jobs: Jobs, puppet: Puppet, told: Told):
    puppet.endings.put_nowait(died)
    await run_one(queue, puppet, told, succeeded)
    assert len(told.of(Started)) == 2
    assert len(told.of(Crashed)) == 0
    entry = await History(jobs).entry("a")
    assert entry is not None
    assert [kind for kind, _ in entry["status"]["messages"]] == (
        ["execution_start", "execution_cached", "execution_success"]
    )


async def test_a_job_whose_worker_dies_each_time_is_given_up(queue: Queue, puppet: Puppet, told: Told):
    puppet.endings.put_nowait(died)
    await run_one(queue, puppet, told, died)
    assert [event.signal for event in told.of(Crashed)] == ["SIGSEGV"]
    assert len(told.of(Started)) == 2


async def test_a_job_that_hung_is_not_begun_again(queue: Queue, puppet: Puppet, told: Told):
    await run_one(queue, puppet, told, hung)
    assert len(told.of(Started)) == 1
    assert len(told.of(Crashed)) == 1


async def test_a_worker_that_raises_crashes_its_job_and_gets_the_next(queue: Queue, puppet: Puppet, told: Told):
    dispatch = Dispatch(queue, [puppet], told)
    puppet.endings.put_nowait(OSError("broken"))
    puppet.endings.put_nowait(succeeded)
    await dispatch.start()
    await queue.put(job("a"))
    await queue.put(job("b"))
    await told.until(lambda: len(told.of(Filed)) == 2)
    assert [event.cause for event in told.of(Crashed)] == ["The worker failed: OSError: broken"]
    await dispatch.close()


async def test_a_running_job_is_interrupted_by_id_or_as_whatever_runs(queue: Queue, puppet: Puppet, told: Told):
    dispatch = Dispatch(queue, [puppet], told)
    await dispatch.start()
    assert not dispatch.interrupt()
    for id, asked in (("a", "a"), ("b", None)):
        await queue.put(job(id))
        await puppet.begun.get()
        assert not dispatch.interrupt("another")
        assert dispatch.interrupt(asked)
        await told.until(lambda id=id: id in [event.prompt_id for event in told.of(Filed)])
    assert [event.prompt_id for event in told.of(Interrupted)] == ["a", "b"]
    await dispatch.close()


@pytest.mark.parametrize("asked", ["a", None])
async def test_an_interrupt_between_leaving_the_queue_and_starting_is_not_lost(
    queue: Queue, puppet: Puppet, told: Told, asked: str | None
):
    dispatch = Dispatch(queue, [puppet], told)
    await queue.put(job("a"))
    await dispatch.start()
    while not queue.claiming:
        await asyncio.sleep(0)
    dispatch.interrupt(asked)
    await told.until(lambda: told.of(Filed))
    assert [event.prompt_id for event in told.of(Interrupted)] == ["a"]
    assert told.of(Started) == []
    await queue.put(job("a"))  # the same name again is another job, and nobody has asked for its end
    await puppet.begun.get()
    await dispatch.close()


async def test_an_interrupt_while_nothing_runs_does_not_reach_the_next_job(queue: Queue, puppet: Puppet, told: Told):
    dispatch = Dispatch(queue, [puppet], told)
    await dispatch.start()
    while queue.claiming:
        await asyncio.sleep(0)
    dispatch.interrupt()
    dispatch.interrupt("a")
    puppet.endings.put_nowait(succeeded)
    await queue.put(job("a"))
    await told.until(lambda: told.of(Filed))
    assert len(told.of(Succeeded)) == 1
    await dispatch.close()


async def test_cancel_takes_back_what_waits_and_interrupts_what_runs(queue: Queue, puppet: Puppet, told: Told):
    dispatch = Dispatch(queue, [puppet], told)
    await dispatch.start()
    for id in "abc":
        await queue.put(job(id))
    await puppet.begun.get()
    puppet.endings.put_nowait(succeeded)
    assert await dispatch.cancel(["a", "b", "unknown"]) == 2
    await told.until(lambda: len(told.of(Filed)) == 3)
    assert [event.prompt_id for event in told.of(Filed)] == ["b", "a", "c"]
    await dispatch.close()


async def test_memory_is_asked_of_every_worker(queue: Queue, told: Told):
    puppets = [Puppet("one"), Puppet("two")]
    await Dispatch(queue, puppets, told).free(unload_models=True, free_memory=False)
    assert [puppet.freed for puppet in puppets] == [[(True, False)], [(True, False)]]


async def test_a_closing_server_gives_its_jobs_back_to_the_queue(queue: Queue, puppet: Puppet, told: Told):
    dispatch = Dispatch(queue, [puppet], told)
    await dispatch.start()
    await queue.put(job("a"))
    await puppet.begun.get()
    await dispatch.close()
    assert told.of(Crashed) == []
    claim = await queue.next("w")
    assert (claim.job.id, claim.attempt) == ("a", 1)


async def test_a_job_may_end_while_the_server_closes_and_no_other_begins(queue: Queue, puppet: Puppet, told: Told):
    dispatch = Dispatch(queue, [puppet], told)
    await dispatch.start()
    await queue.put(job("a"))
    await queue.put(job("b"))
    await puppet.begun.get()
    closing = asyncio.create_task(dispatch.close(drain=30))
    await asyncio.sleep(0)
    assert not puppet.closed.is_set()
    puppet.endings.put_nowait(succeeded)
    await closing
    assert [event.prompt_id for event in told.of(Filed)] == ["a"]
    assert [waiting.id for waiting in await queue.pending()] == ["b"]


async def test_a_record_that_cannot_be_written_is_tried_until_it_can(
    queue: Queue, jobs: Jobs, puppet: Puppet, told: Told, monkeypatch: pytest.MonkeyPatch
):
    finish, failures = jobs.finish, iter([sqlite3.OperationalError("disk full"), sqlite3.OperationalError("disk full")])

    async def fails_twice(*arguments: Any) -> bool:
        if error := next(failures, None):
            raise error
        return await finish(*arguments)

    monkeypatch.setattr(jobs, "finish", fails_twice)
    dispatch = Dispatch(queue, [puppet], told, patience=0)
    await dispatch.start()
    puppet.endings.put_nowait(succeeded)
    await queue.put(job("a"))
    await told.until(lambda: told.of(Filed))
    assert len(told.of(Succeeded)) == 1
    assert await jobs.record("a") is not None
    await dispatch.close()


def test_a_recorder_knows_where_a_job_stopped():
    recorder = Recorder({"1": {"class_type": "Text"}, "2": {"class_type": "Grow"}})
    child = NodeRef("2.0.0.1", "2", "2", "2")
    for event in (Started("p", 1), NodeStarted("p", NODE), NodeFinished("p", NODE, None), NodeStarted("p", child)):
        recorder.take(event)
    assert recorder.at_work == child
    assert recorder.node_type == "Grow"
    assert recorder.executed == ("1",)


async def test_what_runs_can_be_stopped_while_the_disk_is_full(
    queue: Queue, puppet: Puppet, told: Told, monkeypatch: Any
):
    dispatch = Dispatch(queue, [puppet], told)
    await dispatch.start()
    await queue.put(job("a"))
    await puppet.begun.get()

    async def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(queue, "delete", full)
    assert await dispatch.cancel(["a"]) == 1
    assert puppet.interrupted == ["a"]
    puppet.endings.put_nowait(succeeded)
    await told.until(lambda: told.of(Filed))
    await dispatch.close()
