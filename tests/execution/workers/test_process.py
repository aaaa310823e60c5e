"""Whatever a job does to its process ends in an event, and the next job runs."""

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from execution.events import (
    Broadcast,
    Crashed,
    Ending,
    Event,
    Failed,
    Interrupted,
    NodeFinished,
    NodeStarted,
    Preview,
    Progress,
    Succeeded,
)
from execution.job import Job
from execution.workers.process import Patience, ProcessWorker
from execution.workers.worker import CheckQuestion, NoAnswer
from tests.execution.workers.engines import job

ROOT = Path(__file__).parents[3]
COMMAND = (sys.executable, "-m", "tests.execution.workers.serve_misbehaving")
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals and process groups")


def ignore(_: Event) -> None: ...


def make(*arguments: str, **patience: float) -> ProcessWorker:
    return ProcessWorker([*COMMAND, *arguments], directory=ROOT, patience=Patience(**patience))


@contextlib.asynccontextmanager
async def started(*arguments: str, **patience: float) -> AsyncIterator[ProcessWorker]:
    worker = make(*arguments, **patience)
    await worker.start()
    try:
        async with asyncio.timeout(60):
            yield worker
    finally:
        await worker.close()


@pytest_asyncio.fixture
async def worker() -> AsyncIterator[ProcessWorker]:
    async with started(grace=0.2) as worker:
        yield worker


async def run(worker: ProcessWorker, job: Job) -> tuple[Ending, list[Event]]:
    events: list[Event] = []
    ending = await worker.run(job, events.append)
    assert events[-1] == ending
    return ending, events


def shown(events: Sequence[Event]) -> list[Any]:
    return [event.ui for event in events if isinstance(event, NodeFinished)]


async def runs_the_next_job(worker: ProcessWorker) -> None:
    ending, _ = await run(worker, job("next", "Text"))
    assert isinstance(ending, Succeeded)
    assert worker.trouble is None


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


async def gone(pid: int) -> None:
    while alive(pid):
        await asyncio.sleep(0.01)


async def test_a_job_runs_in_another_process_on_its_main_thread(worker: ProcessWorker):
    _, events = await run(worker, job("p", "Where"))
    [where] = shown(events)
    assert where == {"pid": [worker.pid], "main": [True]}
    assert worker.pid != os.getpid()


async def test_events_come_in_order_and_none_is_lost(worker: ProcessWorker):
    ending, events = await run(worker, job("p", "Text", "Count", count=2500))
    assert isinstance(ending, Succeeded)
    names = [type(event).__name__ for event in events if not isinstance(event, Progress)]
    assert names == ["Started", "Cached", "NodeStarted", "NodeFinished", "NodeStarted", "NodeFinished", "Succeeded"]
    values = [event.value for event in events if isinstance(event, Progress)]
    assert values == sorted(values)
    assert values[-1] == 2500


async def test_one_process_runs_many_jobs(worker: ProcessWorker):
    first = shown((await run(worker, job("a", "Runs")))[1])
    second = shown((await run(worker, job("b", "Runs")))[1])
    assert (first, second) == ([{"runs": [1]}], [{"runs": [2]}])


async def test_a_node_that_raises_costs_no_process(worker: ProcessWorker):
    ending, _ = await run(worker, job("p", "Raise"))
    assert isinstance(ending, Failed)
    pid = worker.pid
    await runs_the_next_job(worker)
    assert worker.pid == pid


async def test_system_exit_in_a_node_costs_no_process(worker: ProcessWorker):
    ending, _ = await run(worker, job("p", "SystemExit"))
    assert isinstance(ending, Crashed)
    assert "SystemExit" in ending.cause
    pid = worker.pid
    await runs_the_next_job(worker)
    assert worker.pid == pid


async def test_a_process_that_exits_is_told_with_code_and_node_and_replaced(worker: ProcessWorker):
    ending, _ = await run(worker, job("p", "Text", "OsExit"))
    assert isinstance(ending, Crashed)
    assert ending.cause == "The worker process ended with exit code 7 while node 2 (OsExit) was running"
    assert (ending.exit_code, ending.signal, ending.node_type, ending.executed) == (7, None, "OsExit", ("1",))
    await runs_the_next_job(worker)


@POSIX
@pytest.mark.parametrize(("kind", "name"), [("Segfault", "SIGSEGV"), ("KillMe", "SIGKILL")])
async def test_a_process_that_is_killed_is_told_with_its_signal_and_replaced(
    worker: ProcessWorker, kind: str, name: str
):
    ending, _ = await run(worker, job("p", kind))
    assert isinstance(ending, Crashed)
    assert (ending.exit_code, ending.signal) == (None, name)
    assert ending.cause.startswith(f"The worker process was killed by {name} (")
    assert ending.cause.endswith(f"while node 1 ({kind}) was running")
    await runs_the_next_job(worker)


@POSIX
async def test_a_process_killed_from_outside_in_the_middle_of_a_job_is_replaced(worker: ProcessWorker):
    def kill_once_running(event: Event) -> None:
        if isinstance(event, NodeStarted):
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGKILL)

    ending = await worker.run(job("p", "Cooperative"), kill_once_running)
    assert isinstance(ending, Crashed)
    assert ending.signal == "SIGKILL"
    await runs_the_next_job(worker)


def interrupter(worker: ProcessWorker, node: str = "1") -> Callable[[Event], None]:
    """Asks for the job's end as soon as a node has begun."""
    return lambda event: worker.interrupt("p") if isinstance(event, NodeStarted) and event.node.id == node else None


async def test_a_cooperative_node_is_interrupted_without_costing_its_process(worker: ProcessWorker):
    ending = await worker.run(job("p", "Cooperative"), interrupter(worker))
    assert isinstance(ending, Interrupted)
    pid = worker.pid
    await runs_the_next_job(worker)
    assert worker.pid == pid


@pytest.mark.parametrize("kind", ["Sleep", "HoldGil"])
async def test_a_node_that_ignores_an_interrupt_costs_its_process_after_the_grace(worker: ProcessWorker, kind: str):
    begin = time.perf_counter()
    ending = await worker.run(job("p", "Text", kind), interrupter(worker, "2"))
    assert isinstance(ending, Interrupted)
    assert (ending.node and ending.node.id, ending.node_type, ending.executed) in (
        ("2", kind, ("1",)),
        ("1", "Text", ()),
    )
    await runs_the_next_job(worker)
    assert time.perf_counter() - begin < 6


async def test_an_interrupt_before_the_first_node_is_heeded(worker: ProcessWorker):
    running = asyncio.create_task(worker.run(job("p", "Sleep"), ignore))
    await asyncio.sleep(0)
    worker.interrupt("p")  # the process has not even started
    assert isinstance(await running, Interrupted)
    await runs_the_next_job(worker)


async def test_an_interrupt_for_another_job_is_no_interrupt(worker: ProcessWorker):
    ending = await worker.run(job("p", "Text"), lambda _: worker.interrupt("another"))
    assert isinstance(ending, Succeeded)


async def test_a_process_that_gives_no_sign_of_life_is_replaced():
    async with started(silence=1) as worker:
        ending, _ = await run(worker, job("p", "HoldGil"))
        assert isinstance(ending, Crashed)
        assert (ending.exit_code, ending.signal) == (None, None)
        assert "because it gave no sign of life for 1 s while node 1 (HoldGil)" in ending.cause
        await runs_the_next_job(worker)


async def test_a_long_quiet_job_gives_signs_of_life():
    async with started(silence=1, grace=0.1) as worker:
        begun = asyncio.Event()
        running = asyncio.create_task(worker.run(job("p", "Cooperative"), lambda _: begun.set()))
        await begun.wait()
        begin = time.perf_counter()
        while time.perf_counter() - begin < 1.2:  # the passing of time is the matter here
            assert await worker.catalogue(deadline=30)
            assert not running.done()
        worker.interrupt("p")
        assert isinstance(await running, Interrupted)


async def test_what_nodes_and_their_programs_print_goes_to_the_log(
    worker: ProcessWorker, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    ending, _ = await run(worker, job("p", "Print"))
    assert isinstance(ending, Succeeded)
    while "raw bytes" not in caplog.text or "a child of a node" not in caplog.text:
        await asyncio.sleep(0.001)
    assert "[worker] noise on stdout" in caplog.text
    assert "[worker] noise while starting" in caplog.text
    assert r"and on the original\x1b[31m" in caplog.text
    assert "\x1b" not in caplog.text


async def test_a_flood_of_sketches_is_thinned_and_no_result_is_lost(worker: ProcessWorker):
    previews = 0
    numbers: list[int] = []

    def listen(event: Event) -> None:
        nonlocal previews
        if isinstance(event, Preview):
            previews += event.format == "jpeg"
            if event.format == "png":
                numbers.append(int.from_bytes(event.image[:4], "big"))
            time.sleep(0.0005)  # a slow server

    ending = await worker.run(job("p", "Flood", "Results", count=1000), listen)
    assert isinstance(ending, Succeeded)
    assert previews < 1000
    assert numbers == list(range(1000))


async def test_ui_that_is_not_plain_is_shown_as_text(worker: ProcessWorker):
    _, events = await run(worker, job("p", "Strange"))
    [ui] = shown(events)
    assert [type(each) for each in ui["strange"]] == [str, str, str]
    assert ui["strange"][1] == "b'bytes'"


async def test_questions_are_answered_while_a_job_runs(worker: ProcessWorker):
    running = asyncio.create_task(worker.run(job("p", "Cooperative"), ignore))
    assert list(await worker.catalogue(deadline=20)) == ["Text"]
    [verdict] = await worker.check([CheckQuestion("1", "Text", {"x": 1}, (), {})], deadline=20)
    assert verdict.names == ("x",)
    assert await worker.system(deadline=20) == {"pid": worker.pid}
    worker.expect(job("q", "Text"))
    assert (await worker.memory(deadline=20))["expected"] == ["q"]
    worker.interrupt("p")
    await running


async def test_a_question_that_hangs_or_raises_or_comes_too_late_is_no_answer(worker: ProcessWorker):
    await worker.ready()
    with pytest.raises(NoAnswer, match=r"did not answer within 0.05 s"):
        await worker.check([CheckQuestion("1", "Hang", {}, (), {})], deadline=0.05)
    with pytest.raises(NoAnswer, match="no verdict"):
        await worker.check([CheckQuestion("1", "Raise", {}, (), {})], deadline=20)
    assert await worker.catalogue(deadline=20)


async def test_a_question_whose_process_dies_is_no_answer(worker: ProcessWorker):
    await worker.ready()
    asked = asyncio.create_task(worker.check([CheckQuestion("1", "Hang", {}, (), {})], deadline=30))
    await run(worker, job("p", "OsExit"))
    with pytest.raises(NoAnswer, match="exit code 7"):
        await asked


async def test_memory_is_given_back_between_jobs(worker: ProcessWorker):
    await worker.ready()
    await worker.free(unload_models=True, free_memory=False)
    _, events = await run(worker, job("p", "Freed"))
    assert shown(events) == [{"freed": [[True, False]]}]


async def until_trouble(worker: ProcessWorker, words: str) -> None:
    while words not in (worker.trouble or ""):
        await asyncio.sleep(0.001)


async def test_a_program_that_does_not_exist_is_said_and_tried_again():
    worker = ProcessWorker(["/no/such/program"], patience=Patience(restart=0.01))
    await worker.start()
    await until_trouble(worker, "cannot be started")
    assert worker.state in ("starting", "restarting")
    with pytest.raises(NoAnswer, match="cannot be started"):
        await worker.catalogue(deadline=0.05)
    await worker.close()
    assert worker.state == "closed"


async def test_an_engine_that_cannot_be_built_is_said_with_the_last_line_it_printed():
    async with started("cannot-start", restart=30) as worker:
        await until_trouble(worker, "while starting")
        assert worker.trouble == (
            "The worker process ended with exit code 1 while starting: ImportError: no torch here"
        )


async def test_a_process_that_dies_at_once_is_started_again_and_again():
    async with started("cannot-start", restart=0.001, restart_most=0.001) as worker:
        pids: set[int | None] = {None}
        while len(pids) < 4:
            pids.add(worker.pid)
            await asyncio.sleep(0.001)
        assert worker.state in ("starting", "restarting")


def test_pauses_between_failed_starts_double_up_to_a_limit():
    patience = Patience(restart=0.5, restart_most=30)
    assert [patience.pause(failures) for failures in (0, 1, 2, 3, 6, 7, 5000)] == [0, 0.5, 1, 2, 16, 30, 30]


@POSIX
async def test_closing_leaves_no_process_behind(worker: ProcessWorker):
    orphans: list[int] = []
    found = asyncio.Event()

    def listen(event: Event) -> None:
        if isinstance(event, Progress):
            orphans.append(int(event.value))
            found.set()

    running = asyncio.create_task(worker.run(job("p", "Orphan"), listen))
    await found.wait()
    pids = [*orphans, worker.pid]
    await worker.close()
    assert isinstance(await running, Crashed)
    for pid in pids:
        assert pid is not None
        async with asyncio.timeout(10):
            await gone(pid)


@POSIX
@pytest.mark.parametrize("kind", ["Cooperative", "HoldGil"])
async def test_a_worker_whose_server_is_killed_ends_itself(kind: str):
    code = """
        import asyncio, sys
        from execution.events import NodeStarted
        from tests.execution.workers.test_process import job, make

        async def main():
            worker = make()
            await worker.start()
            def say(event):
                if isinstance(event, NodeStarted):
                    print(worker.pid, flush=True)
            await worker.run(job("p", sys.argv[1]), say)

        asyncio.run(main())
    """
    command = [sys.executable, "-c", textwrap.dedent(code), kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        assert server.stdout is not None
        pid = int(await asyncio.to_thread(server.stdout.readline))
        assert alive(pid)
        server.kill()
    async with asyncio.timeout(10):
        await gone(pid)


async def test_what_packs_broadcast_between_jobs_is_not_lost():
    heard: list[Event] = []
    worker = ProcessWorker(COMMAND, directory=ROOT, overhear=heard.append)
    worker._happened(Broadcast("pack", 1, None))  # pyright: ignore[reportPrivateUsage]  # as if it had come
    assert heard == [Broadcast("pack", 1, None)]
