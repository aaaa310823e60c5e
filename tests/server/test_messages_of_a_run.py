"""What clients hear of a job, in which order, with which fields."""

import asyncio
import json
import struct
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import websocket

from execution.events import (
    Broadcast,
    Ending,
    Failed,
    NodeBlocked,
    NodeFinished,
    NodeStarted,
    Preview,
    Progress,
    QueueChanged,
    Started,
    Succeeded,
    Text,
)
from execution.job import Job
from execution.problems import NodeProblem
from execution.workers.worker import Emit
from tests.server.house import TWO_NODES, House, ears, node, wait_for_interrupt

JPEG = b"\xff\xd8\xff\xe0 a picture"


def types(heard: list[Any]) -> list[str]:
    return [one["type"] if isinstance(one, dict) else f"binary {struct.unpack('>I', one[:4])[0]}" for one in heard]


def test_types_names_binary_frames():
    assert types([{"type": "a"}, struct.pack(">I", 4)]) == ["a", "binary 4"]


async def test_a_run_is_told_in_the_order_clients_rely_on(house: House):
    async with ears(house, "me") as client:
        ticket = await house.submit(client_id="me")
        heard = await client.end(ticket["prompt_id"])
    assert types(heard) == [
        *["status", "status", "execution_start", "execution_cached"],
        *["progress_state", "executing", "progress_state"],
        *["progress_state", "executing", "executed", "progress_state"],
        *["execution_success", "status", "executing"],
    ]
    by_type = {one["type"]: one["data"] for one in heard}
    id = ticket["prompt_id"]
    assert by_type["executed"] == {
        "node": "2",
        "display_node": "2",
        "output": {"images": [{"filename": "2.png", "subfolder": "", "type": "temp"}]},
        "prompt_id": id,
    }
    assert set(by_type["execution_start"]) == {"prompt_id", "timestamp"}
    assert abs(by_type["execution_start"]["timestamp"] / 1000 - time.time()) < 60
    assert by_type["execution_cached"]["nodes"] == []
    first = heard[4]["data"]
    assert first == {
        "prompt_id": id,
        "nodes": {
            "1": {
                "value": 0.0,
                "max": 1.0,
                "state": "running",
                "node_id": "1",
                "prompt_id": id,
                "display_node_id": "1",
                "parent_node_id": None,
                "real_node_id": "1",
            }
        },
    }
    last = [one["data"]["nodes"] for one in heard if one["type"] == "progress_state"][-1]
    assert {row["state"] for row in last.values()} == {"finished"}
    assert heard[-1]["data"] == {"node": None, "prompt_id": id}
    assert heard[-2]["data"] == {"status": {"exec_info": {"queue_remaining": 0}}}


async def test_a_plain_script_queues_listens_and_reads_the_history(house: House):
    """urllib and websocket-client, as in the many scripts that exist."""
    host = house.url.removeprefix("http://")

    def script() -> tuple[dict[str, Any], dict[str, Any]]:
        socket = websocket.WebSocket()
        socket.connect(f"ws://{host}/ws?clientId=script", timeout=10)
        body = json.dumps({"prompt": TWO_NODES, "client_id": "script"}).encode()
        with urllib.request.urlopen(urllib.request.Request(f"http://{host}/prompt", data=body)) as response:
            ticket = json.loads(response.read())
        while True:
            said = socket.recv()
            if isinstance(said, str):
                message = json.loads(said)
                if message["type"] == "executing" and message["data"]["node"] is None:
                    break
        with urllib.request.urlopen(f"http://{host}/history/{ticket['prompt_id']}") as response:
            history = json.loads(response.read())
        socket.close()
        return ticket, history

    ticket, history = await asyncio.to_thread(script)
    entry = history[ticket["prompt_id"]]
    assert entry["outputs"]["2"]["images"][0]["filename"] == "2.png"
    assert entry["status"]["status_str"] == "success"


async def test_whoever_hears_of_success_can_read_the_history(house: House):
    async with ears(house, "me") as client:
        ticket = await house.submit(client_id="me")
        await client.until("execution_success")
        async with house.client.get(f"/history/{ticket['prompt_id']}") as response:
            assert ticket["prompt_id"] in await response.json()


def sampler(job: Job, emit: Emit, should_stop: Callable[[], bool]) -> Ending:
    emit(Started(job.id, 1.5))
    emit(NodeStarted(job.id, node("1")))
    for step in range(1, 3):
        emit(Progress(job.id, node("1"), step, 2))
        emit(Preview(job.id, node("1"), "jpeg", JPEG))
    emit(Text(job.id, node("1"), "héllo"))
    emit(NodeFinished(job.id, node("1"), None, reported=False))
    return Succeeded(job.id, 2.0)


async def test_previews_come_in_the_form_a_client_asked_for(house: House):
    house.engine.script = sampler
    async with ears(house, "old") as old, ears(house, "new", {"supports_preview_metadata": True}) as new:
        heard_old = await old.end((await house.submit(client_id="old"))["prompt_id"])
        job = (await house.submit(client_id="new"))["prompt_id"]
        heard_new = await new.end(job)
    tick = ["progress_state", "progress", "binary 1"]
    assert types(heard_old)[2:-2] == [
        *["execution_start", "progress_state", "executing", *tick, *tick, "binary 3", "progress_state"],
        "execution_success",
    ]
    assert next(one for one in heard_old if isinstance(one, bytes)) == struct.pack(">II", 1, 1) + JPEG
    frame = next(one for one in heard_new if isinstance(one, bytes))
    event, size = struct.unpack(">II", frame[:8])
    assert (event, frame[8 + size :]) == (4, JPEG)
    assert json.loads(frame[8 : 8 + size]) == {
        "node_id": "1",
        "prompt_id": job,
        "display_node_id": "1",
        "parent_node_id": None,
        "real_node_id": "1",
        "image_type": "image/jpeg",
    }
    text = [one for one in heard_old if isinstance(one, bytes)][-1]
    assert text == bytes.fromhex("00000003 00000001 31 68C3A96C6C6F")
    progress = next(one["data"] for one in heard_old if isinstance(one, dict) and one["type"] == "progress")
    assert {**progress, "prompt_id": ""} == {"value": 1, "max": 2, "prompt_id": "", "node": "1"}


async def test_a_failure_names_the_node_and_closes_its_progress(house: House):
    def fail(job: Job, emit: Emit, should_stop: Callable[[], bool]) -> Ending:
        emit(Started(job.id, 1.0))
        emit(NodeStarted(job.id, node("1")))
        inputs = {"steps": [float("nan")]}
        return Failed(job.id, 2.0, NodeProblem("1", "EmptyImage", "ValueError", "boom\n", ["line\n"], inputs, []))

    house.engine.script = fail
    async with ears(house, "me") as client:
        ticket = await house.submit(client_id="me")
        heard = await client.end(ticket["prompt_id"])
    assert types(heard)[-4:] == ["progress_state", "execution_error", "status", "executing"]
    assert heard[-4]["data"]["nodes"]["1"]["state"] == "error"
    assert heard[-3]["data"] == {
        "prompt_id": ticket["prompt_id"],
        "node_id": "1",
        "node_type": "EmptyImage",
        "executed": [],
        "exception_message": "boom\n",
        "exception_type": "ValueError",
        "traceback": ["line\n"],
        "current_inputs": {"steps": [None]},
        "current_outputs": ["1", "2"],
        "timestamp": 2000,
    }


async def test_an_interrupt_ends_the_job_and_says_where_it_was(house: House):
    house.engine.script = wait_for_interrupt
    async with ears(house, "me") as client:
        ticket = await house.submit(client_id="me")
        await client.until("executing", node="1")
        async with house.client.post("/interrupt") as response:
            assert (response.status, await response.read()) == (200, b"")
        heard = await client.end(ticket["prompt_id"])
    assert types(heard) == ["progress_state", "execution_interrupted", "status", "executing"]
    assert heard[1]["data"] | {"timestamp": 0} == {
        "prompt_id": ticket["prompt_id"],
        "node_id": "1",
        "node_type": "EmptyImage",
        "executed": [],
        "timestamp": 0,
    }


async def test_a_blocker_reads_like_an_error_that_is_not_the_end(house: House):
    def block(job: Job, emit: Emit, should_stop: Callable[[], bool]) -> Ending:
        emit(Started(job.id, 1.0))
        emit(NodeBlocked(job.id, node("2"), "PreviewImage", "not today", ["1"]))
        return Succeeded(job.id, 2.0)

    house.engine.script = block
    async with ears(house, "me") as client:
        heard = await client.end((await house.submit(client_id="me"))["prompt_id"])
    assert types(heard)[-4:] == ["execution_error", "execution_success", "status", "executing"]
    blocked = heard[-4]["data"]
    assert blocked["exception_type"] == "ExecutionBlocked"
    assert blocked["exception_message"] == "Execution Blocked: not today"
    assert "timestamp" not in blocked
    assert blocked["terminal"] is False


async def test_an_output_from_the_cache_is_reported_and_other_cached_nodes_are_not(house: House):
    def cached(job: Job, emit: Emit, should_stop: Callable[[], bool]) -> Ending:
        emit(Started(job.id, 1.0))
        emit(NodeFinished(job.id, node("1"), None, reused=True, reported=False))
        emit(NodeFinished(job.id, node("2"), None, reused=True, reported=True))
        return Succeeded(job.id, 2.0)

    house.engine.script = cached
    async with ears(house, "me") as client:
        heard = await client.end((await house.submit(client_id="me"))["prompt_id"])
    told = heard[types(heard).index("execution_start") + 1 :]
    assert types(told) == ["executed", "progress_state", "execution_success", "status", "executing"]
    assert told[0]["data"]["output"] is None
    assert set(told[1]["data"]["nodes"]) == {"2"}


async def test_other_clients_hear_only_of_the_queue(house: House):
    house.engine.script = sampler
    async with ears(house, "me") as me, ears(house, "other") as other:
        ticket = await house.submit(client_id="me")
        await me.end(ticket["prompt_id"])
        house.hub.publish(QueueChanged(7))
        heard = await other.until("status", status={"exec_info": {"queue_remaining": 7}})
    assert set(types(heard)) == {"status"}


async def test_a_job_without_a_client_shows_everybody_its_progress_but_not_its_pictures(house: House):
    house.engine.script = sampler
    async with ears(house, "anyone") as anyone, ears(house, "watcher", {"watch_all_jobs": True}) as watcher:
        ticket = await house.submit()
        heard = await watcher.end(ticket["prompt_id"])
        house.hub.publish(QueueChanged(7))
        little = await anyone.until("status", status={"exec_info": {"queue_remaining": 7}})
    assert set(types(little)) == {"status", "progress", "progress_state"}
    assert {"execution_start", "binary 1", "binary 3", "execution_success"} <= set(types(heard))


async def test_an_interrupt_of_a_job_without_a_client_is_told_to_everybody(house: House):
    house.engine.script = wait_for_interrupt
    async with ears(house, "anyone") as anyone:
        await house.submit()
        await anyone.until("progress_state")
        async with house.client.post("/interrupt", json={}):
            pass
        assert "execution_interrupted" in types(await anyone.until("execution_interrupted"))


async def test_an_empty_client_id_hears_nothing_but_the_queue(house: House):
    house.engine.script = sampler
    async with ears(house, "other") as other:
        ticket = await house.submit(client_id="")
        await house.history(ticket["prompt_id"])
        house.hub.publish(QueueChanged(7))
        heard = await other.until("status", status={"exec_info": {"queue_remaining": 7}})
    assert set(types(heard)) == {"status"}


async def test_a_packs_own_messages_go_where_the_pack_says(house: House):
    async with ears(house, "a") as a, ears(house, "b") as b:
        house.hub.publish(Broadcast("pack.news", {"x": float("inf")}, None))
        house.hub.publish(Broadcast("pack.secret", {"x": 1}, "a"))
        house.hub.publish(Broadcast(77, b"raw", "b"))
        assert [await a.next(), await a.next()] == [
            {"type": "pack.news", "data": {"x": None}},
            {"type": "pack.secret", "data": {"x": 1}},
        ]
        assert (await b.next())["type"] == "pack.news"
        assert await b.next() == struct.pack(">I", 77) + b"raw"
        assert await a.silent()
