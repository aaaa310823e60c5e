"""What every worker does, shown with the one that is a thread."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from execution.events import Crashed, Event, Failed, Interrupted, NodeFinished, NodeRef, NodeStarted, Preview, Succeeded
from execution.workers.thread import Crossing, ThreadWorker
from execution.workers.worker import CheckQuestion, NoAnswer, WorkerClosed
from tests.execution.workers.engines import Misbehaving, job

NODE = NodeRef("1", "1", None, "1")


@pytest_asyncio.fixture
async def worker() -> AsyncIterator[ThreadWorker]:
    worker = ThreadWorker(Misbehaving, grace=1)
    await worker.start()
    yield worker
    await worker.close()


async def test_events_come_in_order_and_the_ending_last(worker: ThreadWorker):
    events: list[Event] = []
    ending = await worker.run(job("p", "Text", "Text"), events.append)
    assert isinstance(ending, Succeeded)
    assert events[-1] == ending
    assert [type(event).__name__ for event in events] == (
        ["Started", "Cached", "NodeStarted", "NodeFinished", "NodeStarted", "NodeFinished", "Succeeded"]
    )


async def test_all_events_are_delivered_before_run_returns(worker: ThreadWorker):
    events: list[Event] = []
    await worker.run(job("p", "Count", count=5000), events.append)
    assert len(events) == 5000 + 5


async def test_a_job_runs_on_the_thread_that_built_the_engine_and_always_on_it(worker: ThreadWorker):
    for id in "ab":
        events: list[Event] = []
        await worker.run(job(id, "Where"), events.append)
        assert [event.ui and event.ui["main"] for event in events if isinstance(event, NodeFinished)] == [[False]]


async def test_a_node_that_raises_fails_its_job_and_the_next_one_runs(worker: ThreadWorker):
    assert isinstance(await worker.run(job("a", "Raise"), lambda _: None), Failed)
    assert isinstance(await worker.run(job("b", "Text"), lambda _: None), Succeeded)


async def test_an_engine_that_raises_crashes_its_job_and_the_next_one_runs(worker: ThreadWorker):
    events: list[Event] = []
    ending = await worker.run(job("a", "SystemExit"), events.append)
    assert isinstance(ending, Crashed)
    assert "SystemExit" in ending.cause
    assert events[-1] == ending
    assert isinstance(await worker.run(job("b", "Text"), lambda _: None), Succeeded)


async def test_an_interrupt_ends_a_cooperative_job(worker: ThreadWorker):
    def interrupt_once_running(event: Event) -> None:
        if isinstance(event, NodeStarted):
            worker.interrupt("p")

    assert isinstance(await worker.run(job("p", "Cooperative"), interrupt_once_running), Interrupted)


async def test_an_interrupt_for_another_job_is_no_interrupt(worker: ThreadWorker):
    worker.interrupt("p")  # too early: nothing of this name runs
    assert isinstance(await worker.run(job("p", "Text"), lambda _: worker.interrupt("q")), Succeeded)


async def test_questions_are_answered_while_a_job_runs(worker: ThreadWorker):
    running = asyncio.create_task(worker.run(job("p", "Cooperative"), lambda _: None))
    while worker.state != "busy":
        await asyncio.sleep(0)
    assert list(await worker.catalogue(deadline=10)) == ["Text"]
    verdicts = await worker.check([CheckQuestion("1", "Text", {"x": 1}, (), {})], deadline=10)
    assert [verdict.names for verdict in verdicts] == [("x",)]
    assert "pid" in await worker.system(deadline=10)
    worker.expect(job("q", "Text"))
    assert (await worker.memory(deadline=10))["expected"] == ["q"]
    worker.interrupt("p")
    await running


async def test_a_validator_that_hangs_costs_one_answer_and_not_the_next(worker: ThreadWorker):
    with pytest.raises(NoAnswer):
        await worker.check([CheckQuestion("1", "Hang", {}, (), {})], deadline=0.02)
    assert await worker.check([CheckQuestion("1", "Text", {}, (), {})], deadline=10)


async def test_a_question_that_raises_is_no_answer_and_says_why(worker: ThreadWorker):
    with pytest.raises(NoAnswer, match="no verdict"):
        await worker.check([CheckQuestion("1", "Raise", {}, (), {})], deadline=10)


async def test_memory_is_given_back_between_jobs(worker: ThreadWorker):
    running = asyncio.create_task(worker.run(job("a", "Cooperative"), lambda _: None))
    while worker.state != "busy":
        await asyncio.sleep(0)
    await worker.free(unload_models=True, free_memory=False)
    worker.interrupt("a")
    await running
    events: list[Event] = []
    await worker.run(job("b", "Freed"), events.append)
    assert [event.ui for event in events if isinstance(event, NodeFinished)] == [{"freed": [[True, False]]}]


async def test_previews_nobody_has_seen_are_dropped_and_results_are_not():
    events: list[Event] = []
    crossing = Crossing(asyncio.get_running_loop(), events.append)
    for _ in range(2000):  # the loop has no turn meanwhile
        crossing.post(Preview("p", NODE, "jpeg", b"a sketch"))
        crossing.post(Preview("p", NODE, "png", b"a result"))
    crossing.flush()
    formats = [event.format for event in events if isinstance(event, Preview)]
    assert 0 < formats.count("jpeg") < 2000
    assert formats.count("png") == 2000


async def test_an_engine_that_cannot_be_built_is_told_to_whoever_waits():
    def build() -> Misbehaving:
        raise ImportError("no torch")

    worker = ThreadWorker(build)
    await worker.start()
    with pytest.raises(WorkerClosed, match="no torch"):
        await worker.ready()
    assert worker.trouble == "The engine could not be built: ImportError: no torch"
    with pytest.raises(NoAnswer):
        await worker.catalogue(deadline=0.01)
    await worker.close()
