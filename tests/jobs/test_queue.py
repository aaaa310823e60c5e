"""Who is next, and what survives."""

import asyncio
import math
from pathlib import Path
from types import NoneType
from typing import Any, Literal

import pytest

from execution.events import Crashed, Filed, QueueChanged, Queued, Succeeded
from execution.queue import DuplicateJob, InvalidNumber, KeyReused, Queue, QueueFull, Submission
from execution.record import Recorder
from storage.database import Database
from storage.jobs import Jobs
from tests.jobs.conftest import Told, job


async def order(queue: Queue) -> list[str]:
    return [waiting.id for waiting in await queue.pending()]


async def finish(queue: Queue, claim: Any, at: float = 2.0) -> None:
    recorder = Recorder(claim.job.graph)
    ending = Succeeded(claim.job.id, at)
    recorder.take(ending)
    await queue.finish(claim, ending, recorder.record(ending))


async def test_jobs_are_served_by_number_and_equals_in_order_of_arrival(queue: Queue):
    for id, number in (("c", 2), ("b", 1.5), ("x", 1.5), ("a", -1), ("z", 2)):
        await queue.put(job(id, number))
    assert await order(queue) == ["a", "b", "x", "c", "z"]
    assert [(await queue.next("w")).job.id for _ in range(5)] == ["a", "b", "x", "c", "z"]


async def test_numbers_count_up_from_zero_and_front_negates(queue: Queue):
    assert [queue.number(), queue.number(), queue.number(front=True), queue.number()] == [0, 1, -2, 3]


async def test_a_number_of_the_clients_own_does_not_advance_the_counter(queue: Queue):
    assert queue.number("2.5") == 2.5
    assert queue.number(7, front=True) == 7.0
    assert queue.number() == 0


async def test_numbers_keep_their_type(queue: Queue):
    await queue.put(job("a", 40))
    await queue.put(job("b", 40.0))
    assert [repr(waiting.number) for waiting in await queue.pending()] == ["40", "40.0"]


@pytest.mark.parametrize("asked", [math.nan, "nan", math.inf, "-inf", "x", "", [], {}, True, 10**400])
async def test_a_priority_that_orders_nothing_is_refused(queue: Queue, asked: object):
    with pytest.raises(InvalidNumber) as refused:
        queue.number(asked)
    assert refused.value.asked is asked


async def test_an_id_that_waits_or_runs_is_refused_and_says_which(queue: Queue):
    await queue.put(job("a"))
    with pytest.raises(DuplicateJob) as refused:
        await queue.put(job("a"))
    assert (refused.value.id, refused.value.state) == ("a", "queued")
    await queue.next("w")
    with pytest.raises(DuplicateJob) as refused:
        await queue.put(job("a"))
    assert refused.value.state == "running"
    assert queue.remaining == 1


async def test_the_id_of_an_ended_job_may_be_used_again_and_names_the_new_one(queue: Queue, jobs: Jobs):
    await queue.put(job("a"))
    await finish(queue, await queue.next("w"))
    await queue.put(job("a"))
    assert await jobs.record("a") is None
    assert await order(queue) == ["a"]


async def test_remaining_counts_what_waits_and_what_runs_and_every_change_is_told(queue: Queue, told: Told):
    await queue.put(job("a"))
    await queue.put(job("b"))
    claim = await queue.next("w")
    await finish(queue, claim)
    await queue.delete(["b"])
    assert [each.remaining for each in told.of(QueueChanged)] == [1, 2, 2, 1, 0]
    assert [each.prompt_id for each in told.of(Queued)] == ["a", "b"]


async def test_only_waiting_jobs_are_taken_back(queue: Queue):
    await queue.put(job("running"))
    await queue.next("w")
    for id in "abc":
        await queue.put(job(id))
    assert await queue.delete(["running", "b", "unknown", "b"]) == 1
    assert await order(queue) == ["a", "c"]
    assert await queue.clear() == 2
    assert queue.remaining == 1


async def test_a_job_taken_back_is_not_in_the_history(queue: Queue, jobs: Jobs):
    await queue.put(job("a"))
    await queue.clear()
    assert await jobs.record("a") is None
    assert await jobs.history(None, 0) == []
    stored = await jobs.job("a")
    assert stored is not None
    assert stored.state == "cancelled"


async def test_thousands_of_jobs_are_taken_back_at_once(queue: Queue):
    await asyncio.gather(*(queue.put(job(str(n))) for n in range(1200)))
    assert await queue.delete([str(n) for n in range(1, 1200)]) == 1199
    assert await order(queue) == ["0"]


async def test_the_position_says_how_many_come_first(queue: Queue):
    for id, number in (("a", 5), ("b", 1), ("c", 5)):
        await queue.put(job(id, number))
    assert [await queue.position(id) for id in ("a", "b", "c", "unknown")] == [1, 0, 2, None]
    await queue.next("w")
    assert [await queue.position(id) for id in ("a", "b", "c")] == [0, None, 1]


async def test_a_waiting_job_can_be_moved_and_a_running_one_cannot(queue: Queue):
    for id in "abc":
        await queue.put(job(id, 1))
    assert await queue.move("c", -0.5)
    assert await order(queue) == ["c", "a", "b"]
    await queue.next("w")
    assert not await queue.move("c", 9)
    assert not await queue.move("unknown", 9)
    with pytest.raises(InvalidNumber):
        await queue.move("a", math.nan)


async def test_a_full_queue_takes_no_more_until_there_is_room(jobs: Jobs, told: Told):
    queue = Queue(jobs, told, most=3)
    await queue.open()
    answers = await asyncio.gather(*(queue.put(job(str(n))) for n in range(5)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [NoneType, NoneType, NoneType, QueueFull, QueueFull]
    with pytest.raises(QueueFull, match="3 jobs wait already"):
        await queue.put(job("more"))
    await queue.delete(["0"])
    await queue.put(job("more"))
    assert await order(queue) == ["1", "2", "more"]


async def test_who_waits_for_a_job_gets_it_when_it_comes(queue: Queue):
    waiting = [asyncio.create_task(queue.next(name)) for name in ("v", "w")]
    await queue.put(job("a"))
    await queue.put(job("b"))
    async with asyncio.timeout(10):
        assert {(await each).job.id for each in waiting} == {"a", "b"}


async def test_a_waiter_that_gives_up_takes_no_job_along(queue: Queue):
    await queue.put(job("a"))
    waiting = asyncio.create_task(queue.next("w"))
    while not queue.claiming:
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    claim = await queue.next("w")
    assert (claim.job.id, claim.attempt) == ("a", 1)


async def test_a_client_that_hangs_up_during_the_commit_leaves_a_job_that_is_known(queue: Queue, told: Told):
    submitting = asyncio.create_task(queue.put(job("a")))
    await asyncio.sleep(0)
    submitting.cancel()
    await told.until(lambda: told.of(Queued))
    assert queue.remaining == 1
    assert (await queue.next("w")).job.id == "a"


async def test_a_paused_queue_takes_jobs_and_begins_none(queue: Queue):
    await queue.pause()
    await queue.put(job("a"))
    waiting = asyncio.create_task(queue.next("w"))
    assert await order(queue) == ["a"]
    assert not waiting.done()
    await queue.resume()
    assert (await waiting).job.id == "a"


class Server:
    """A database as one server after another opens it."""

    def __init__(self, path: Path):
        self.path = path
        self.told = Told()

    async def __aenter__(self) -> tuple[Queue, Jobs]:
        self.database = Database(self.path / "heddle.db")
        self.database.open()
        jobs = Jobs(self.database)
        queue = Queue(jobs, self.told, attempts=2)
        await queue.open()
        return queue, jobs

    async def __aexit__(self, *_: object) -> None:
        self.database.close()


async def test_a_restart_loses_neither_queue_nor_order_nor_counter(tmp_path: Path):
    async with Server(tmp_path) as (queue, _):
        for id in "abc":
            await queue.put(job(id, queue.number(), client_id="me"))
        await queue.put(job("front", queue.number(front=True)))
    async with Server(tmp_path) as (queue, _):
        assert queue.remaining == 4
        assert await order(queue) == ["front", "a", "b", "c"]
        claim = await queue.next("w")
        assert claim.job == job("front", -3)
        assert queue.number() == 4


async def test_a_restart_keeps_a_pause(tmp_path: Path):
    async with Server(tmp_path) as (queue, _):
        await queue.pause()
    async with Server(tmp_path) as (queue, _):
        assert queue.paused
        await queue.resume()
    async with Server(tmp_path) as (queue, _):
        assert not queue.paused


@pytest.mark.parametrize(("start", "paused"), [("run", False), ("paused", True), ("last", True)])
async def test_the_start_may_be_told_to_run_or_to_wait(
    queue: Queue, jobs: Jobs, start: Literal["run", "paused", "last"], paused: bool
):
    await queue.pause()
    later = Queue(jobs, lambda _: None)
    await later.open(start)
    assert later.paused == paused


async def test_a_job_that_ran_when_the_server_died_is_begun_once_more_and_then_given_up(tmp_path: Path):
    async with Server(tmp_path) as (queue, _):
        await queue.put(job("a"))
        await queue.put(job("b", 1))
        assert (await queue.next("w")).attempt == 1
    async with Server(tmp_path) as (queue, _):
        claim = await queue.next("w")
        assert (claim.job.id, claim.attempt) == ("a", 2)
    async with Server(tmp_path) as (queue, jobs):
        record = await jobs.record("a")
        assert record is not None
        assert record.job.state == "crashed"
        [(kind, message)] = record.status["messages"]
        assert kind == "execution_error"
        assert "ended 2 times" in message["exception_message"]
        assert queue.remaining == 1
        assert (await queue.next("w")).job.id == "b"


async def test_a_result_from_someone_who_lost_the_lease_changes_nothing(queue: Queue, jobs: Jobs, told: Told):
    await queue.put(job("a"))
    stale = await queue.next("lost")
    await queue.retry(stale)
    fresh = await queue.next("w")
    await finish(queue, stale)
    assert await jobs.record("a") is None
    assert told.of(Succeeded) == []
    await finish(queue, fresh)
    assert await jobs.record("a") is not None
    assert queue.remaining == 0


async def test_a_lease_is_renewed_by_its_holder_alone(queue: Queue, jobs: Jobs):
    await queue.put(job("a"))
    stale = await queue.next("lost")
    await queue.retry(stale)
    fresh = await queue.next("w")
    assert (await jobs.beat([("a", stale.fence)], 5.0)).lost == ["a"]
    assert (await jobs.beat([("a", fresh.fence)], 5.0)).lost == []


async def test_a_job_that_nobody_runs_is_given_back_at_the_second_look(queue: Queue, jobs: Jobs):
    await queue.put(job("a"))
    held = [await queue.next("w")]
    assert await queue.tend(held) == []
    assert await queue.tend([]) == []
    assert len(await queue.running()) == 1  # it may have been leased this very moment
    await queue.tend([])
    assert await order(queue) == ["a"]
    assert await queue.tend(held) == ["a"]  # whoever believes to hold it is told


async def test_a_job_that_is_forgotten_twice_is_given_up(queue: Queue, told: Told):
    await queue.put(job("a"))
    for _ in range(2):
        await queue.next("w")
        await queue.tend([])
        await queue.tend([])
    assert [type(event) for event in told.events[-3:]] == [Crashed, QueueChanged, Filed]
    assert queue.remaining == 0


async def test_what_is_submitted_twice_under_one_key_is_one(queue: Queue):
    once = Submission(key="k", digest="d")
    assert await queue.put_all([job("a"), job("b")], once) == ("a", "b")
    assert await queue.put_all([job("c")], once) == ("a", "b")
    assert await queue.earlier(once) == ("a", "b")
    assert await queue.earlier(Submission(key="other")) is None
    for ask in (queue.put_all([job("c")], Submission(key="k", digest="e")), queue.earlier(Submission("k", "e"))):
        with pytest.raises(KeyReused):
            await ask
    assert await order(queue) == ["a", "b"]
    assert queue.remaining == 2


async def test_of_jobs_submitted_together_all_are_taken_or_none(queue: Queue):
    await queue.put(job("b"))
    with pytest.raises(DuplicateJob):
        await queue.put_all([job("a"), job("b"), job("c")], Submission())
    assert await order(queue) == ["b"]
    assert queue.remaining == 1


async def test_secrets_reach_the_job_and_are_not_kept_after_it(queue: Queue, jobs: Jobs):
    await queue.put(job("a", api_key_comfy_org="secret", client_id="me"))
    claim = await queue.next("w")
    assert claim.job.extra["api_key_comfy_org"] == "secret"
    await finish(queue, claim)
    record = await jobs.record("a")
    assert record is not None
    assert record.job.extra == {"client_id": "me"}
