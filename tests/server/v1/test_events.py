"""Following a job, and following on after a lost connection."""

import asyncio
import json
import threading
from dataclasses import dataclass
from time import time
from typing import Any

from execution.events import Ending, Filed, NodeFinished, NodeStarted, Progress, Queued, Started, Succeeded
from execution.job import Job
from execution.workers.worker import Emit
from server.v1.feed import ENDED, REMEMBERED, Feed
from tests.server.house import TWO_NODES, node, wait_for_interrupt
from tests.server.v1.conftest import Api


@dataclass
class Told:
    name: str
    id: str
    data: Any


def read(text: str) -> list[Told]:
    """What a browser's EventSource would make of it."""
    found: list[Told] = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if fields:
            found.append(Told(fields["event"], fields["id"], json.loads(fields["data"])))
    return found


async def follow(api: Api, id: str, seen: str = "") -> list[Told]:
    headers = {"Last-Event-ID": seen} if seen else {}
    async with api.house.client.get(f"/v1/jobs/{id}/events", headers=headers) as response:
        assert response.status in (200, 204)
        assert response.content_type == "text/event-stream" or response.status == 204
        return read((await response.read()).decode())


async def test_a_job_is_followed_from_its_queueing_to_its_end(api: Api):
    await api("POST", "/v1/queue/pause")
    id = (await api("POST", "/v1/jobs", {"graph": TWO_NODES})).body["id"]
    following = asyncio.create_task(follow(api, id))
    await asyncio.sleep(0.05)  # either way all of it is told; mostly it is told live
    await api("POST", "/v1/queue/resume")
    told = await following
    assert [each.name for each in told if each.name != "job"] == [
        *("started", "cached", "node_started", "node_finished", "node_started", "output")
    ]
    assert (told[0].data["state"], told[-1].data["state"]) == ("queued", "succeeded")
    output = next(each for each in told if each.name == "output")
    assert output.data["output"] == told[-1].data["outputs"]["2"]
    for each in (told[0], told[-1]):
        api.fits(each.data, {"$ref": "#/components/schemas/Job"})
    assert len({each.id for each in told}) == len(told)


async def test_a_reader_that_comes_back_gets_what_it_missed(api: Api):
    id = (await api.run())["id"]
    api.house.engine.script = wait_for_interrupt
    other = (await api("POST", "/v1/jobs?wait=0.05", {"graph": TWO_NODES})).body["id"]
    reading = asyncio.create_task(follow(api, other))
    await asyncio.sleep(0.05)
    await api("DELETE", f"/v1/jobs/{other}")
    told = await reading
    missed = await follow(api, other, told[-2].id)
    assert [each.id for each in missed] == [told[-1].id]
    assert missed[-1].data["state"] == "cancelled"
    assert await follow(api, other, told[-1].id) == []
    (whole,) = await follow(api, id)
    assert whole.data["state"] == "succeeded"


async def test_an_id_of_another_run_of_the_future_or_of_nothing_starts_over(api: Api):
    id = (await api.run())["id"]
    mark = api.house.services.feed.mark
    for seen in ("0000-5", f"{mark}-999999", f"{mark}-x", "x", f"{mark}-", "-1", f"{mark}-٣"):
        (told,) = await follow(api, id, seen.encode().decode("latin-1"))
        assert (told.name, told.data["state"]) == ("job", "succeeded")


async def test_outputs_and_progress_are_seen_while_the_job_runs(api: Api):
    go_on = threading.Event()

    def script(job: Job, emit: Emit, should_stop: Any) -> Ending:
        emit(Started(job.id, time()))
        emit(NodeFinished(job.id, node("1"), {"text": ["done"]}))
        emit(NodeStarted(job.id, node("2")))
        emit(Progress(job.id, node("2"), 3, 20))
        go_on.wait(20)
        return Succeeded(job.id, time())

    api.house.engine.script = script
    id = (await api("POST", "/v1/jobs", {"graph": TWO_NODES})).body["id"]
    async with asyncio.timeout(20):
        while not (job := (await api("GET", f"/v1/jobs/{id}")).body)["progress"]:
            await asyncio.sleep(0.01)
    assert job["outputs"] == {"1": {"text": ["done"]}}
    assert job["progress"] == [{"node": "2", "value": 3, "total": 20}]
    go_on.set()
    assert (await api("GET", f"/v1/jobs/{id}?wait=20")).body["progress"] == []


def test_what_is_remembered_is_bounded():
    feed = Feed()
    for n in range(ENDED * 3):
        feed.publish(Started(f"{n}", 0))
        for step in range(REMEMBERED * 2 if n == 0 else 3):
            feed.publish(NodeStarted(f"{n}", node(str(step))))
        with feed.follow(f"{n}") as job:
            assert len(job.entries) <= REMEMBERED
            assert job.lost == (0 if n else job.last - REMEMBERED)
        feed.publish(Filed(f"{n}"))
    assert len(feed._jobs) == ENDED  # pyright: ignore[reportPrivateUsage]  # there is nothing else to see it by


def test_a_queued_job_that_nobody_follows_costs_nothing():
    feed = Feed()
    for n in range(1000):
        feed.publish(Queued(f"{n}"))
    with feed.follow("5"):
        pass
    feed.publish(Filed("5"))
    assert not feed._jobs  # pyright: ignore[reportPrivateUsage]


def test_a_newer_progress_takes_the_place_of_the_last():
    feed = Feed()
    feed.publish(Started("a", 0))
    for step in range(100):
        feed.publish(Progress("a", node("1"), step, 100))
    with feed.follow("a") as job:
        assert len(job.entries) == 2
    assert [each.value for each in feed.progress("a")] == [99]


async def test_a_server_that_stops_keeps_nobody_waiting(api: Api):
    await api("POST", "/v1/queue/pause")
    id = (await api("POST", "/v1/jobs", {"graph": TWO_NODES})).body["id"]
    waiting = [asyncio.create_task(follow(api, id)), asyncio.create_task(api("GET", f"/v1/jobs/{id}?wait=60"))]
    await asyncio.sleep(0.05)
    api.house.services.feed.close()
    async with asyncio.timeout(10):
        await asyncio.gather(*waiting)


async def test_a_reader_that_falls_behind_starts_over(api: Api):
    """The memory holds the last so many events; whoever needs older ones is shown the job as it stands."""
    count = REMEMBERED * 2

    def script(job: Job, emit: Emit, should_stop: Any) -> Ending:
        emit(Started(job.id, time()))
        for n in range(count):
            emit(NodeStarted(job.id, node(str(n))))
        return Succeeded(job.id, time())

    api.house.engine.script = script
    job = await api.run()
    with api.house.services.feed.follow(job["id"]) as feed:
        first = f"{api.house.services.feed.mark}-{feed.last - count}"
    told = await follow(api, job["id"], first)
    assert [each.name for each in told] == ["job"]
    assert told[0].data["state"] == "succeeded"
