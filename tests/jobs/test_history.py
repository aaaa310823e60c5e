"""What can be read of jobs that have ended."""

import json
import sqlite3
import time

import pytest

from execution.events import (
    Cached,
    Crashed,
    Ending,
    Event,
    Failed,
    Interrupted,
    NodeFinished,
    NodeRef,
    Started,
    Succeeded,
)
from execution.history import History
from execution.problems import NodeProblem
from execution.queue import Queue
from execution.record import Recorder, status_message
from storage.database import Database
from storage.job_list import JobList, Wanted
from storage.jobs import Jobs
from tests.jobs.conftest import job

GRAPH = {"1": {"class_type": "EmptyImage"}, "2": {"class_type": "PreviewImage"}}
IMAGES = {"images": [{"filename": "x_00001_.png", "subfolder": "", "type": "temp"}]}


def record_of(*events: Event, ending: Ending):
    recorder = Recorder(GRAPH)
    for event in (*events, ending):
        recorder.take(event)
    return recorder.record(ending)


def test_a_successful_job_is_told_as_clients_read_it():
    node = NodeRef("2", "2", None, "2")
    record = record_of(
        Started("p", 1.5),
        Cached("p", ("1",), 1.501),
        NodeFinished("p", NodeRef("1", "1", None, "1"), None),
        NodeFinished("p", node, IMAGES),
        ending=Succeeded("p", 1.516),
    )
    assert record.state == "succeeded"
    assert record.outputs == {"2": IMAGES}
    assert record.status == {
        "status_str": "success",
        "completed": True,
        "messages": [
            ["execution_start", {"prompt_id": "p", "timestamp": 1500}],
            ["execution_cached", {"nodes": ["1"], "prompt_id": "p", "timestamp": 1501}],
            ["execution_success", {"prompt_id": "p", "timestamp": 1516}],
        ],
    }
    assert record.meta == {"2": {"node_id": "2", "display_node": "2", "parent_node": None, "real_node_id": "2"}}


def test_a_node_of_an_expansion_is_listed_under_its_own_id_and_names_the_visible_one():
    record = record_of(NodeFinished("p", NodeRef("2.0.0.3", "2", "2", "2"), IMAGES), ending=Succeeded("p", 2))
    assert list(record.outputs) == ["2.0.0.3"]
    assert record.meta["2.0.0.3"] == (
        {"node_id": "2.0.0.3", "display_node": "2", "parent_node": "2", "real_node_id": "2"}
    )


def test_what_finished_before_a_failure_is_kept():
    problem = NodeProblem("2", "PreviewImage", "ValueError", "boom\n", ("line",), {"x": (1,)}, ("1",))
    record = record_of(NodeFinished("p", NodeRef("1", "1", None, "1"), IMAGES), ending=Failed("p", 2.0, problem))
    assert (record.state, record.status["status_str"], record.status["completed"]) == ("failed", "error", False)
    assert list(record.outputs) == ["1"]
    assert record.status["messages"] == [
        [
            "execution_error",
            {
                "prompt_id": "p",
                "node_id": "2",
                "node_type": "PreviewImage",
                "executed": ["1"],
                "exception_message": "boom\n",
                "exception_type": "ValueError",
                "traceback": ["line"],
                "current_inputs": {"x": [1]},
                "current_outputs": ["1", "2"],
                "timestamp": 2000,
            },
        ]
    ]


def test_an_interrupted_job_is_an_error_that_was_not_completed():
    ending = Interrupted("p", 2.0, NodeRef("2.0.0.1", "2", "2", "2"), "PreviewImage", ("1",))
    record = record_of(ending=ending)
    assert (record.status["status_str"], record.status["completed"]) == ("error", False)
    assert status_message(ending, GRAPH) == (
        "execution_interrupted",
        {"prompt_id": "p", "node_id": "2", "node_type": "PreviewImage", "executed": ["1"], "timestamp": 2000},
    )


def test_a_crash_is_told_as_an_error_with_its_cause():
    record = record_of(ending=Crashed("p", 2.0, "It died of SIGSEGV.", None, "SIGSEGV", None, "", ()))
    [[kind, data]] = record.status["messages"]
    assert kind == "execution_error"
    assert (data["exception_type"], data["exception_message"]) == ("WorkerCrashed", "It died of SIGSEGV.\n")
    assert record.state == "crashed"


async def end(queue: Queue, id: str) -> None:
    await queue.put(job(id, client_id="me", auth_token_comfy_org="secret"))
    claim = await queue.next("w")
    recorder = Recorder(claim.job.graph)
    ending = Succeeded(claim.job.id, 2.0)
    recorder.take(ending)
    await queue.finish(claim, ending, recorder.record(ending))


@pytest.mark.parametrize(
    ("max_items", "offset", "expected"),
    [
        (None, -1, "abcde"),
        (2, -1, "de"),
        (99, -1, "abcde"),
        (0, -1, ""),
        (0, 0, ""),
        (2, 0, "ab"),
        (2, 1, "bc"),
        (None, 3, "de"),
        (None, 9, ""),
        (-5, -1, "abcde"),
        (None, -7, "abcde"),
    ],
)
async def test_pages_are_cut_from_the_oldest_or_the_newest(
    queue: Queue, jobs: Jobs, max_items: int | None, offset: int, expected: str
):
    for id in "abcde":
        await end(queue, id)
    assert "".join(await History(jobs).page(max_items, offset)) == expected


async def test_an_entry_holds_the_submitted_job_without_its_secrets(queue: Queue, jobs: Jobs):
    await end(queue, "a")
    entry = await History(jobs).entry("a")
    assert entry is not None
    assert list(entry) == ["prompt", "outputs", "status", "meta"]
    graph = {"1": {"class_type": "Text", "inputs": {}}}
    assert entry["prompt"] == [0, "a", graph, {"client_id": "me"}, ["1"]]


async def test_jobs_that_wait_or_run_or_are_unknown_have_no_entry(queue: Queue, jobs: Jobs):
    await queue.put(job("a"))
    assert await History(jobs).entry("a") is None
    await queue.next("w")
    assert await History(jobs).entry("a") is None
    assert await History(jobs).entry("unknown") is None


async def test_entries_are_deleted_by_id_or_all_at_once_and_live_jobs_stay(queue: Queue, jobs: Jobs):
    history = History(jobs)
    for id in "abc":
        await end(queue, id)
    await queue.put(job("waiting"))
    await history.delete(["b", "waiting", "unknown"])
    assert list(await history.page()) == ["a", "c"]
    await history.clear()
    assert await history.page() == {}
    assert [each.id for each in await queue.pending()] == ["waiting"]


async def test_the_oldest_endings_are_forgotten_over_the_limit(database: Database):
    jobs = Jobs(database, keep=50)
    queue = Queue(jobs, lambda _: None)
    for number in range(100):
        await end(queue, str(number))
    kept = list(await History(jobs).page())
    assert kept == [str(number) for number in range(50, 100)]


async def test_a_hundred_thousand_jobs_are_paged_and_positioned_quickly(database: Database, jobs: Jobs):
    graph = json.dumps({"1": {"class_type": "Text", "inputs": {"text": "x" * 50}}})
    rows = [
        (f"{state}{n}", n, state, graph, '["1"]', "{}", 1.0, n if state == "succeeded" else None, state == "succeeded")
        for state in ("succeeded", "queued")
        for n in range(100_000)
    ]
    await database.write(
        lambda db: db.executemany(
            "INSERT INTO jobs (id, number, state, graph, targets, extra, submitted_at, filed, shown)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
    )
    history, queue = History(jobs), Queue(jobs, lambda _: None)
    begin = time.perf_counter()
    assert list(await history.page(1, 50_000)) == ["succeeded50000"]
    assert len(await history.page(100)) == 100
    assert [each.id for each in await queue.pending(1, 50_000)] == ["queued50000"]
    assert await queue.position("queued99999") == 99_999
    assert await queue.delete(["queued7"]) == 1
    assert (await queue.next("w")).job.id == "queued0"
    assert time.perf_counter() - begin < 1.0  # six questions, 0.06 s together when measured on one free core


async def test_a_list_never_reads_the_rows_themselves(database: Database):
    """Behind a graph of megabytes the rest of a row is far away."""
    statements: list[str] = []
    listed = JobList(database)
    await database.read(lambda db: db.set_trace_callback(statements.append))
    await database.read(lambda db: db.set_trace_callback(statements.append))  # each reader has a connection of its own
    for wanted in (Wanted(), Wanted(states=["failed"], words="cat"), Wanted(batch="b", words="cat"), Wanted(batch="b")):
        await listed.page(wanted, 50)
    asked = {statement for statement in statements if statement.startswith("SELECT") and "FROM jobs" in statement}
    assert asked

    def plan(db: sqlite3.Connection) -> list[str]:
        return [row[3] for each in asked for row in db.execute(f"EXPLAIN QUERY PLAN {each}")]

    touched = [step for step in await database.write(plan) if " jobs " in step and "USING" in step]
    assert touched
    assert all("COVERING INDEX" in step for step in touched if "jobs_by_batch" not in step), touched
