"""Submitting, looking, cancelling: what an application does all day."""

import asyncio
from typing import Any

import pytest

from server.v1.submitting import MOST_IN_BATCH
from tests.server.house import TWO_NODES, wait_for_interrupt
from tests.server.v1.conftest import Api

FILE: dict[str, Any] = {
    "nodes": [
        {"id": 1, "type": "EmptyImage", "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [1]}]},
        {"id": 2, "type": "PreviewImage", "inputs": [{"name": "images", "type": "IMAGE", "link": 1}]},
    ],
    "links": [[1, 1, 0, 2, 0, "IMAGE"]],
}


async def test_a_job_is_taken_run_and_shown(api: Api):
    said = await api("POST", "/v1/jobs", {"graph": TWO_NODES, "title": "first"})
    assert said.status == 202
    id = said.body["id"]
    assert said.headers["Location"] == f"/v1/jobs/{id}"
    job = (await api("GET", f"/v1/jobs/{id}?wait=20")).body
    assert (job["state"], job["title"], job["attempt"], job["position"]) == ("succeeded", "first", 1, None)
    assert job["outputs"] == {"2": {"images": [{"filename": "2.png", "subfolder": "", "type": "temp"}]}}
    (file,) = job["files"]
    assert (file["node"], file["name"], file["url"]) == ("2", "2.png", "/view?filename=2.png&subfolder=&type=temp")
    assert job["error"] is None


async def test_a_workflow_file_of_the_editor_is_run_as_it_is(api: Api):
    job = await api.run(FILE)
    assert list(job["outputs"]) == ["2"]
    entry = await api.house.services.history.entry(job["id"])
    assert entry is not None
    assert entry["prompt"][3]["extra_pnginfo"] == {"workflow": FILE}


async def test_waiting_returns_a_job_that_still_runs_when_the_time_is_over(api: Api):
    api.house.engine.script = wait_for_interrupt
    said = await api("POST", "/v1/jobs?wait=0.05", {"graph": TWO_NODES})
    assert said.status == 202
    assert said.body["state"] == "running"
    cancelled = await api("DELETE", f"/v1/jobs/{said.body['id']}")
    assert cancelled.status in (200, 202)
    job = (await api("GET", f"/v1/jobs/{said.body['id']}?wait=20")).body
    assert job["state"] == "cancelled"
    assert (await api("DELETE", f"/v1/jobs/{job['id']}")).body["state"] == "cancelled"


async def test_a_waiting_job_is_cancelled_at_once_and_those_who_wait_for_it_hear(api: Api):
    await api("POST", "/v1/queue/pause")
    id = (await api("POST", "/v1/jobs", {"graph": TWO_NODES})).body["id"]
    waiting = asyncio.create_task(api("GET", f"/v1/jobs/{id}?wait=20"))
    await asyncio.sleep(0)
    said = await api("DELETE", f"/v1/jobs/{id}")
    assert (said.status, said.body["state"]) == (200, "cancelled")
    assert (await waiting).body["state"] == "cancelled"


async def test_an_ended_job_cannot_be_cancelled_and_an_unknown_one_is_unknown(api: Api):
    job = await api.run()
    assert (await api("DELETE", f"/v1/jobs/{job['id']}")).status == 409
    for method, path in (("GET", "/v1/jobs/x"), ("DELETE", "/v1/jobs/x"), ("GET", "/v1/jobs/x/events")):
        assert (await api(method, path)).body["code"] == "not_found"
    assert (await api("POST", "/v1/jobs/x/move", {"front": True})).status == 404


async def test_a_key_makes_a_retry_safe(api: Api):
    body = {"graph": TWO_NODES}
    first = await api("POST", "/v1/jobs", body, Idempotency_Key="k")
    again = await api("POST", "/v1/jobs?wait=20", body, Idempotency_Key="k")
    assert again.body["id"] == first.body["id"]
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    other = await api("POST", "/v1/jobs", {**body, "title": "x"}, Idempotency_Key="k")
    assert (other.status, other.body["code"]) == (409, "key_reused")
    assert len((await api("GET", "/v1/jobs")).body["jobs"]) == 1


async def test_a_key_of_jobs_that_were_deleted_makes_no_new_ones(api: Api):
    body = {"graph": TWO_NODES}
    await api("POST", "/v1/jobs?wait=20", body, Idempotency_Key="k")
    async with api.house.client.post("/history", json={"clear": True}) as response:
        assert response.status == 200
    assert (await api("POST", "/v1/jobs", body, Idempotency_Key="k")).body["code"] == "job_forgotten"


async def test_of_a_hundred_retries_at_once_one_makes_the_job(api: Api):
    asked = (api("POST", "/v1/jobs", {"graph": TWO_NODES}, Idempotency_Key="k") for _ in range(100))
    assert len({said.body["id"] for said in await asyncio.gather(*asked)}) == 1
    assert len((await api("GET", "/v1/jobs")).body["jobs"]) == 1


async def test_a_table_makes_a_job_of_each_row(api: Api):
    graph = {**TWO_NODES, "1": {"class_type": "EmptyImage", "inputs": {"seed": 0, "cfg": 0}}}
    table = {"values": {"1.seed": [1, 2], "1.cfg": [3, 4]}}
    said = await api("POST", "/v1/jobs?wait=20", {"graph": graph, "batch": table})
    assert said.status == 200
    assert len(said.body["jobs"]) == 2
    ids = [job["id"] for job in said.body["jobs"]]
    entries = [await api.house.services.history.entry(id) for id in ids]
    inputs = [entry["prompt"][2]["1"]["inputs"] for entry in entries if entry is not None]
    assert inputs == [{"seed": 1, "cfg": 3}, {"seed": 2, "cfg": 4}]
    listed = (await api("GET", f"/v1/jobs?batch={said.body['batch']}")).body["jobs"]
    assert [job["id"] for job in listed] == ids[::-1]
    product = await api("POST", "/v1/jobs", {"graph": graph, "batch": {**table, "combine": "product"}})
    assert len(product.body["jobs"]) == 4


@pytest.mark.parametrize(
    ("batch", "code"),
    [
        ({"values": {"1.seed": [1] * (MOST_IN_BATCH + 1)}}, "batch_too_large"),
        ({"values": {f"1.{name}": list(range(100)) for name in "abcd"}, "combine": "product"}, "batch_too_large"),
        ({"values": {"1.seed": []}}, "batch_too_large"),
        ({"values": {"1.seed": [1], "1.cfg": [1, 2]}}, "batch_uneven"),
        ({"values": {"9.seed": [1]}}, "unknown_column"),
        ({"values": {"seed": [1]}}, "unknown_column"),
        ({"values": {}}, "invalid_field"),
    ],
)
async def test_a_table_that_makes_no_sense_makes_no_job(api: Api, batch: Any, code: str):
    said = await api("POST", "/v1/jobs", {"graph": TWO_NODES, "batch": batch})
    assert (said.status, said.body["code"]) == (422, code)
    assert (await api("GET", "/v1/jobs")).body["jobs"] == []


async def test_refusals_name_the_place(api: Api):
    bad = {**TWO_NODES, "2": {"class_type": "PreviewImage", "inputs": {}}}
    said = await api("POST", "/v1/jobs", {"graph": bad})
    assert said.status == 422
    assert said.body["errors"][0]["code"] == "required_input_missing"
    assert said.body["errors"][0]["pointer"] == "/graph/2/inputs/images"
    unknown = {**TWO_NODES, "1": {"class_type": "Nope", "inputs": {}}}
    assert (await api("POST", "/v1/jobs", {"graph": unknown})).body["pointer"] == "/graph/1"
    assert (await api("POST", "/v1/jobs", {"graph": TWO_NODES, "grpah": 1})).body["code"] == "invalid_field"
    wrong = await api("POST", "/v1/jobs", {"graph": TWO_NODES, "webhook": {"url": "ftp://x"}})
    assert wrong.body["pointer"] == "/webhook/url"
    assert (await api("POST", "/v1/jobs", {"graph": {"nodes": [5]}})).body["code"] == "invalid_workflow"
    assert (await api("POST", "/v1/jobs", {"graph": TWO_NODES}, Idempotency_Key="")).body["code"] == "invalid_key"


async def test_only_json_is_read(api: Api):
    async with api.house.client.post("/v1/jobs", data=b"{}", headers={"Content-Type": "text/plain"}) as response:
        assert response.status == 415
        assert response.content_type == "application/problem+json"
    async with api.house.client.post("/v1/jobs", data=b"{", headers={"Content-Type": "application/json"}) as response:
        assert (response.status, (await response.json())["code"]) == (400, "invalid_json")


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "limit=201", "cursor=x", "state=done", "limit=1&limit=2", "sort=id", "wait=1"]
)
async def test_a_parameter_that_is_wrong_is_refused(api: Api, query: str):
    assert (await api("GET", f"/v1/jobs?{query}")).body["code"] == "invalid_query"


async def test_lists_are_read_page_by_page_while_jobs_come_in(api: Api):
    await api("POST", "/v1/queue/pause")
    ids = [(await api("POST", "/v1/jobs", {"graph": TWO_NODES})).body["id"] for _ in range(5)]
    first = (await api("GET", "/v1/jobs?limit=2")).body
    await api("POST", "/v1/jobs", {"graph": TWO_NODES})
    second = (await api("GET", f"/v1/jobs?limit=2&cursor={first['next']}")).body
    third = (await api("GET", f"/v1/jobs?limit=2&cursor={second['next']}")).body
    assert [job["id"] for page in (first, second, third) for job in page["jobs"]] == ids[::-1]
    assert third["next"] is None


async def test_lists_are_filtered_and_searched(api: Api):
    cat = {**TWO_NODES, "1": {"class_type": "EmptyImage", "inputs": {"text": "a fluffy cat", "seed": 123456789}}}
    found = await api.run(cat, title="Portrait")
    await api.run()
    api.house.engine.script = None  # type: ignore[assignment]  # calling it fails, and so does the job
    failed = await api.run()
    assert failed["state"] in ("failed", "crashed")
    for search in ("fluffy", "cat flu", "123456789", "portr", '"fluffy" OR', "FLUFFY-cat"):
        listed = (await api("GET", f"/v1/jobs?search={search}")).body["jobs"]
        expected = [] if "OR" in search else [found["id"]]
        assert [job["id"] for job in listed] == expected, search
    assert len((await api("GET", "/v1/jobs?state=succeeded,queued")).body["jobs"]) == 2
    (one,) = (await api("GET", f"/v1/jobs?state={failed['state']}")).body["jobs"]
    assert one["reason"]
    assert failed["error"]["message"]


async def test_the_queue_is_paused_reordered_and_resumed(api: Api):
    assert (await api("POST", "/v1/queue/pause")).body["paused"]
    a, b, c = [(await api("POST", "/v1/jobs", {"graph": TWO_NODES})).body["id"] for _ in range(3)]
    assert (await api("GET", "/v1/queue")).body["counts"]["queued"] == 3

    async def order() -> list[str]:
        jobs = [(await api("GET", f"/v1/jobs/{id}")).body for id in (a, b, c)]
        return [job["id"] for job in sorted(jobs, key=lambda job: job["position"])]

    assert (await api("POST", f"/v1/jobs/{c}/move", {"before": b})).body["position"] == 1
    assert await order() == [a, c, b]
    await api("POST", f"/v1/jobs/{b}/move", {"front": True})
    assert await order() == [b, a, c]
    await api("POST", f"/v1/jobs/{b}/move", {"priority": 1e6})
    assert await order() == [a, c, b]
    for body in ({}, {"front": True, "before": a}):
        assert (await api("POST", f"/v1/jobs/{a}/move", body)).status == 422
    assert (await api("POST", f"/v1/jobs/{a}/move", {"before": "x"})).status == 404
    assert not (await api("POST", "/v1/queue/resume")).body["paused"]
    for id in (a, b, c):
        await api("GET", f"/v1/jobs/{id}?wait=20")
    assert (await api("POST", f"/v1/jobs/{a}/move", {"before": b})).status == 409
    assert (await api("GET", "/v1/queue")).body["counts"]["succeeded"] == 3


async def test_a_job_in_front_is_served_before_all_that_wait(api: Api):
    await api("POST", "/v1/queue/pause")
    await api("POST", "/v1/jobs", {"graph": TWO_NODES, "priority": -99})
    assert (await api("POST", "/v1/jobs", {"graph": TWO_NODES, "front": True})).body["position"] == 0
    assert (await api("POST", "/v1/jobs", {"graph": TWO_NODES})).body["position"] == 2
    assert (await api("POST", "/v1/jobs", {"graph": TWO_NODES, "front": True, "priority": 1})).status == 422
