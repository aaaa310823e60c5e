"""Submitting, waiting, taking back, looking back."""

import asyncio
import json
from typing import Any

import pytest

from execution.problems import NodeErrors, Problem, PromptRejected
from server.routes import history, jobs
from tests.server.house import TWO_NODES, House, ears, wait_for_interrupt

SECRETS = {"api_key_comfy_org": "s3cret-key", "auth_token_comfy_org": "s3cret-token"}


async def get(house: House, path: str) -> Any:
    async with house.client.get(path) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def post(house: House, path: str, body: Any) -> None:
    async with house.client.post(path, json=body) as response:
        assert (response.status, await response.read()) == (200, b"")


@pytest.fixture
async def busy(house: House) -> House:
    """One job runs until it is interrupted."""
    house.engine.script = wait_for_interrupt
    async with ears(house, "first") as client:
        await house.submit(client_id="first", prompt_id="running")
        await client.until("executing")
    return house


async def test_a_ticket_names_the_job_and_its_place(house: House):
    assert await house.submit(prompt_id="a") == {"prompt_id": "a", "number": 0, "node_errors": {}}
    assert (await house.submit(prompt_id="b"))["number"] == 1


async def test_a_prompt_that_is_queued_in_part_names_the_rest(house: House):
    problem = Problem("required_input_missing", "Required input is missing", "images", {"input_name": "images"})
    house.intake.node_errors = {"3": NodeErrors("PreviewImage", [problem], ["3"])}
    assert (await house.submit())["node_errors"] == {
        "3": {
            "errors": [
                {
                    "type": "required_input_missing",
                    "message": "Required input is missing",
                    "details": "images",
                    "extra_info": {"input_name": "images"},
                }
            ],
            "dependent_outputs": ["3"],
            "class_type": "PreviewImage",
        }
    }


async def test_a_rejected_prompt_says_why(house: House):
    problem = Problem("v", "M", "D", {"k": 1})
    house.intake.rejection = PromptRejected(
        Problem("prompt_outputs_failed_validation", "Prompt outputs failed validation"),
        {"1": NodeErrors("X", [problem], ["1", "2"])},
    )
    async with house.client.post("/prompt", json={"prompt": {}}) as response:
        assert response.status == 400
        assert await response.json() == {
            "error": {
                "type": "prompt_outputs_failed_validation",
                "message": "Prompt outputs failed validation",
                "details": "",
                "extra_info": {},
            },
            "node_errors": {
                "1": {
                    "errors": [{"type": "v", "message": "M", "details": "D", "extra_info": {"k": 1}}],
                    "dependent_outputs": ["1", "2"],
                    "class_type": "X",
                }
            },
        }


async def test_the_queue_shows_five_elements_in_the_order_of_service(busy: House):
    await busy.submit(prompt_id="later", number=5)
    await busy.submit(prompt_id="sooner", number=-1.5, extra_data={"a": 1})
    queue = await get(busy, "/queue")
    assert queue["queue_running"] == [[0, "running", TWO_NODES, {"client_id": "first"}, ["2"]]]
    assert [row[1] for row in queue["queue_pending"]] == ["sooner", "later"]
    assert queue["queue_pending"][0] == [-1.5, "sooner", TWO_NODES, {"a": 1}, ["2"]]
    assert await get(busy, "/prompt") == {"exec_info": {"queue_remaining": 3}}


async def test_nobody_sees_the_credentials_that_came_with_a_job(busy: House):
    await busy.submit(prompt_id="waiting", extra_data={**SECRETS, "seen": 1})
    shown = json.dumps([await get(busy, "/queue"), await get(busy, "/api/jobs"), await get(busy, "/api/jobs/waiting")])
    assert "s3cret" not in shown
    assert "seen" in shown
    await post(busy, "/interrupt", {})
    await busy.history("running")
    await post(busy, "/interrupt", {})
    async with asyncio.timeout(10):
        while not (shown := json.dumps(await get(busy, "/history/waiting"))).startswith('{"waiting'):
            await post(busy, "/interrupt", {})
            await asyncio.sleep(0.005)
    assert "s3cret" not in shown
    assert "s3cret" not in json.dumps([await get(busy, "/history"), await get(busy, "/api/jobs/waiting")])


async def test_waiting_jobs_can_be_taken_back_running_ones_stay(busy: House):
    for id in ("a", "b", "c"):
        await busy.submit(prompt_id=id)
    await post(busy, "/queue", {"delete": ["b", "unknown", "running"]})
    assert [row[1] for row in (await get(busy, "/queue"))["queue_pending"]] == ["a", "c"]
    await post(busy, "/api/queue", {"clear": True})
    queue = await get(busy, "/queue")
    assert queue["queue_pending"] == []
    assert [row[1] for row in queue["queue_running"]] == ["running"]


@pytest.mark.parametrize("how", ["delete", "clear", "cancel"])
async def test_whoever_waits_for_a_job_that_is_taken_back_is_told(busy: House, how: str):
    async with ears(busy, "waiting") as client:
        await busy.submit(client_id="waiting", prompt_id="a")
        if how == "cancel":
            async with busy.client.post("/api/jobs/a/cancel") as response:
                assert await response.json() == {"cancelled": True}
        else:
            await post(busy, "/queue", {"delete": ["a"]} if how == "delete" else {"clear": True})
        heard = await client.end("a")
    assert heard[-2]["type"] == "execution_interrupted"
    assert heard[-2]["data"] | {"timestamp": 0} == {
        "prompt_id": "a",
        "node_id": None,
        "node_type": "",
        "executed": [],
        "timestamp": 0,
    }


async def test_only_the_job_that_runs_is_interrupted_by_its_id(busy: House):
    await post(busy, "/interrupt", {"prompt_id": "another"})
    assert len((await get(busy, "/queue"))["queue_running"]) == 1
    await post(busy, "/interrupt", {"prompt_id": "running"})
    assert (await busy.history("running"))["status"]["status_str"] == "error"


async def test_an_interrupt_while_nothing_runs_does_not_hit_the_next_job(house: House):
    await post(house, "/interrupt", {})
    entry = await house.history((await house.submit())["prompt_id"])
    assert entry["status"]["status_str"] == "success"


async def test_history_is_empty_until_the_job_has_ended_and_then_whole(house: House):
    assert await get(house, "/history/unknown") == {}
    ticket = await house.submit(client_id="me")
    entry = await house.history(ticket["prompt_id"])
    assert entry["prompt"] == [0, ticket["prompt_id"], TWO_NODES, {"client_id": "me"}, ["2"]]
    assert entry["outputs"] == {"2": {"images": [{"filename": "2.png", "subfolder": "", "type": "temp"}]}}
    assert entry["meta"] == {"2": {"node_id": "2", "display_node": "2", "parent_node": None, "real_node_id": "2"}}
    assert (entry["status"]["status_str"], entry["status"]["completed"]) == ("success", True)
    assert [message[0] for message in entry["status"]["messages"]] == [
        "execution_start",
        "execution_cached",
        "execution_success",
    ]


async def test_history_comes_in_pages_oldest_first(house: House):
    for n in range(5):
        await house.history((await house.submit(prompt_id=f"{n}"))["prompt_id"])

    async def page(query: str) -> str:
        return "".join(await get(house, f"/history?{query}"))

    assert await page("") == "01234"
    assert await page("max_items=2") == "34"
    assert await page("max_items=2&offset=1") == "12"
    assert await page("offset=3") == "34"
    assert await page("max_items=0") == ""
    assert await page("offset=-1") == "01234"


async def test_no_question_reads_the_whole_past_at_once(house: House, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(history, "MOST", 2)
    monkeypatch.setattr(jobs, "RECENT", 2)
    for n in range(4):
        await house.history((await house.submit(prompt_id=f"{n}"))["prompt_id"])
    for query in ("", "?max_items=9", "?max_items=-1"):
        assert list(await get(house, f"/history{query}")) == ["2", "3"]
    assert list(await get(house, "/history?offset=1")) == ["1", "2"]
    assert [job["id"] for job in (await get(house, "/api/jobs"))["jobs"]] == ["3", "2"]


async def test_history_can_be_forgotten(house: House):
    for n in range(3):
        await house.history((await house.submit(prompt_id=f"{n}"))["prompt_id"])
    await post(house, "/history", {"delete": ["1", "unknown"]})
    assert list(await get(house, "/history")) == ["0", "2"]
    await post(house, "/history", {"clear": True})
    assert await get(house, "/history") == {}


@pytest.mark.parametrize(
    ("body", "freed"),
    [
        ({"unload_models": True}, [(True, False)]),
        ({"free_memory": True}, [(True, True)]),
        ({"free_memory": True, "unload_models": False}, [(False, True)]),
        ({}, []),
    ],
)
async def test_memory_is_freed_as_asked(house: House, body: dict[str, bool], freed: list[tuple[bool, bool]]):
    await post(house, "/free", body)
    await house.history((await house.submit())["prompt_id"])
    assert house.engine.freed == freed


async def test_jobs_are_queue_and_history_in_one_list(busy: House):
    workflow = {"extra_pnginfo": {"workflow": {"id": "w1"}}, "create_time": 5}
    await busy.submit(prompt_id="waiting", extra_data=workflow)
    listed = (await get(busy, "/api/jobs"))["jobs"]
    assert {job["id"]: job["status"] for job in listed} == {"running": "in_progress", "waiting": "pending"}
    assert [job["id"] for job in (await get(busy, "/api/jobs?workflow_id=w1"))["jobs"]] == ["waiting"]
    async with busy.client.post("/api/jobs/running/cancel") as response:
        assert await response.json() == {"cancelled": True}
    await busy.history("running")
    async with busy.client.post("/api/jobs/cancel", json={"job_ids": ["unknown"]}) as response:
        assert await response.json() == {"cancelled": False}
    page = await get(busy, "/api/jobs?status=cancelled&limit=1")
    assert [job["id"] for job in page["jobs"]] == ["running"]
    assert page["pagination"] == {"offset": 0, "limit": 1, "total": 1, "has_more": False}


async def test_a_job_that_ended_shows_what_it_made(house: House):
    id = (await house.submit())["prompt_id"]
    await house.history(id)
    job = await get(house, f"/api/jobs/{id}")
    assert job["status"] == "completed"
    assert job["outputs_count"] == 1
    assert job["preview_output"] == {
        "filename": "2.png",
        "subfolder": "",
        "type": "temp",
        "nodeId": "2",
        "mediaType": "images",
    }
    assert job["workflow"]["prompt"] == TWO_NODES
    assert job["execution_status"]["completed"] is True
    assert job["execution_end_time"] >= job["execution_start_time"]


@pytest.mark.parametrize("query", ["status=odd", "sort_by=colour", "sort_order=up", "limit=0", "offset=-1", "limit=x"])
async def test_odd_questions_for_jobs_are_refused(house: House, query: str):
    async with house.client.get(f"/api/jobs?{query}") as response:
        assert response.status == 400
        assert (await response.json())["error"]


async def test_an_unknown_job_is_not_found(house: House):
    async with house.client.get("/api/jobs/unknown") as response:
        assert (response.status, await response.json()) == (404, {"error": "Job not found"})
    async with house.client.post("/api/jobs/cancel", json={"job_ids": ["a", 5, ""]}) as response:
        assert (response.status, (await response.json())["invalid_ids"]) == (400, [5, ""])


async def test_health_says_who_works(house: House):
    health = await get(house, "/health")
    assert health["status"] == "ok"
    assert health["workers"] == [{"name": "thread", "state": "idle", "trouble": None}]


async def test_the_machine_is_described_by_the_worker_without_secrets(house: House):
    stats = await get(house, "/system_stats")
    assert stats["system"]["comfyui_version"] == "0.3.64"
    assert stats["devices"][0]["name"] == "cpu"
    assert stats["system"]["argv"] == []
