"""Whatever a job or a request does, the next one runs and the server answers."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.end_to_end.client import Client, said
from tests.end_to_end.conftest import Server, wait_until_ready


def misbehave(how: str, number: int = 0) -> dict[str, Any]:
    return {"1": {"class_type": "Misbehave", "inputs": {"how": how, "number": number}}}


def still_works(client: Client) -> None:
    """A new job runs to success, in whatever process now runs jobs."""
    prompt_id, messages = client.run({"1": {"class_type": "Steps", "inputs": {"total": 1, "seconds": 0.0}}}, seconds=60)
    assert client.history(prompt_id)["status"]["status_str"] == "success", messages


@pytest.mark.parametrize("how", ["raise", "exit", "recurse"])
def test_what_a_node_raises_is_told_and_ends_only_its_job(how: str, client: Client):
    prompt_id, messages = client.run(misbehave(how))
    error = next(m["data"] for m in messages if m["type"] == "execution_error")
    assert (error["node_id"], error["node_type"]) == ("1", "Misbehave")
    expected = {"raise": "ValueError", "exit": "SystemExit", "recurse": "RecursionError"}[how]
    assert error["exception_type"] == expected
    assert error["traceback"]
    assert client.history(prompt_id)["status"]["status_str"] == "error"
    still_works(client)


@pytest.mark.parametrize(("how", "cause"), [("leave", "exit code 7"), ("crash", "SIGSEGV"), ("kill itself", "SIGKILL")])
def test_a_node_that_ends_its_process_costs_one_job_and_says_how(how: str, cause: str, client: Client):
    prompt_id = client.submit(misbehave(how))
    messages = client.until("executing", 90, node=None, prompt_id=prompt_id)
    errors = [m["data"] for m in messages if isinstance(m, dict) and m["type"] == "execution_error"]
    assert errors
    assert cause in errors[-1]["exception_message"]
    assert errors[-1]["node_id"] == "1"
    still_works(client)


@pytest.mark.parametrize("how", ["sleep", "spin", "hold the lock"])
def test_a_node_that_hangs_is_cancelled_and_the_next_job_runs(how: str, client: Client):
    prompt_id = client.submit(misbehave(how))
    client.until("executing", node="1")
    began = time.monotonic()
    assert client.request("POST", "/interrupt", {"prompt_id": prompt_id})[0] == 200
    messages = client.until("executing", 30, node=None, prompt_id=prompt_id)
    assert time.monotonic() - began <= 6
    assert "execution_interrupted" in said(messages)
    still_works(client)


def test_a_node_that_looks_up_stops_at_its_next_step(client: Client):
    prompt_id = client.submit({"1": {"class_type": "Steps", "inputs": {"total": 10_000, "seconds": 0.02}}})
    client.until("progress")
    began = time.monotonic()
    client.request("POST", "/interrupt")
    client.until("execution_interrupted", prompt_id=prompt_id)
    assert time.monotonic() - began < 1


def test_noise_on_standard_output_reaches_nobody(client: Client):
    prompt_id, _ = client.run(misbehave("print"))
    assert client.history(prompt_id)["outputs"]["1"]["text"] == ["print"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{{{", 400),
        (b"null", 400),
        (b"[]", 400),
        (b'{"prompt": null}', 400),
        (b'{"prompt": []}', 400),
        (b'{"prompt": {}}', 400),
        (b'{"prompt": {"1": null}}', 400),
        (b'{"prompt": {"1": {"class_type": ["x"], "inputs": {}}}}', 400),
        (b'{"prompt": {"1": {"class_type": "Nope", "inputs": {}}}}', 400),
        (b'{"prompt": {"1": {"class_type": "Steps", "inputs": {"total": "x"}}}}', 400),
        (b'{"prompt": {"1": {"class_type": "Steps", "inputs": []}}}', 400),
    ],
)
def test_a_bad_body_is_refused_in_words(body: bytes, status: int, client: Client):
    answered, text = client.request("POST", "/prompt", body)
    assert answered == status
    error = json.loads(text)["error"]
    assert error["type"]
    assert error["message"]


@pytest.mark.parametrize(
    "more",
    [
        {"client_id": {"a": 1}},
        {"client_id": [1]},
        {"number": float("nan")},
        {"number": "nan"},
        {"number": {}},
        {"prompt_id": {}},
    ],
)
def test_odd_ids_and_priorities_are_refused_and_nothing_breaks(more: dict[str, Any], client: Client):
    graph = {"1": {"class_type": "Steps", "inputs": {"total": 1, "seconds": 0.0}}}
    status, answer = client.post("/prompt", {"prompt": graph, **more})
    assert status == 400
    assert answer["error"]["type"]
    still_works(client)


def test_a_node_without_inputs_off_to_the_side_harms_nobody(client: Client):
    graph = {"1": {"class_type": "Steps", "inputs": {"total": 1, "seconds": 0.0}}, "2": {"class_type": "Steps"}}
    status, _ = client.post("/prompt", {"prompt": graph, "client_id": client.id})
    assert status in (200, 400)
    still_works(client)


def test_a_restart_loses_neither_queue_nor_history(start_server: Callable[..., Server]):
    running = start_server()
    wait_until_ready(running.url)
    with running.client() as client:
        done, _ = client.run({"1": {"class_type": "Steps", "inputs": {"total": 1, "seconds": 0.0}}})
        hanging = client.submit(misbehave("sleep"))
        client.until("executing", node="1")
        waiting = client.submit({"1": {"class_type": "Steps", "inputs": {"total": 2, "seconds": 0.0}}})
    running.kill()

    again = start_server(base=running.base)
    with again.client() as client:
        assert client.history(done)["status"]["status_str"] == "success"
        known = {item[1] for part in client.get("/queue").values() for item in part}
        assert {hanging, waiting} <= known
        assert client.request("POST", "/interrupt", {"prompt_id": hanging})[0] == 200
        deadline = time.monotonic() + 90
        while not client.get(f"/history/{waiting}") and time.monotonic() < deadline:
            for item in client.get("/queue")["queue_running"]:
                if item[1] == hanging:
                    client.request("POST", "/interrupt", {"prompt_id": hanging})
            time.sleep(0.1)
        assert client.history(waiting)["status"]["status_str"] == "success"
