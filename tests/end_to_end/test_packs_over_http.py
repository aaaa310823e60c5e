"""Stand-in packs in both styles, in a real server: what they declare, run, answer, tell and bring for the page."""

import json
import time
from collections.abc import Callable
from io import BytesIO
from typing import Any

from PIL import Image

from tests.end_to_end.client import Client, said
from tests.end_to_end.conftest import Server, wait_until_ready

PNG: dict[str, Any] = {"extra_data": {"extra_pnginfo": {"workflow": {"id": "w"}}}}


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def test_both_styles_are_described_as_clients_know_them(client: Client):
    ring = client.get("/object_info/Ring")["Ring"]
    assert ring["display_name"] == "Ring the Bell"
    assert ring["python_module"] == "custom_nodes.switchboard"
    assert ring["input"]["hidden"]["me"] == "UNIQUE_ID"
    exhibit = client.get("/object_info/Exhibit")["Exhibit"]
    assert exhibit["input"]["required"]["how"] == [
        "COMBO",
        {"multiselect": False, "options": ["text", "pictures", "files"]},
    ]
    assert exhibit["input"]["hidden"] == {"prompt": ["PROMPT"], "extra_pnginfo": ["EXTRA_PNGINFO"]}


def test_a_class_sees_its_job_keeps_its_instance_and_speaks_to_its_client(client: Client):
    graph = {"7": node("Ring", text="hey")}
    for count in (1, 2):
        prompt_id, messages = client.run(graph, **PNG)
        assert client.history(prompt_id)["outputs"]["7"]["text"] == ["hey", "1", "w", "Ring", "7"]
        rang = [m["data"] for m in messages if isinstance(m, dict) and m["type"] == "switchboard.rang"]
        assert rang == [{"node": "7", "text": "hey"}]
        texts = [m for m in messages if isinstance(m, bytes) and m[3] == 3]
        assert texts == [b"\0\0\0\3\0\0\0\x017" + f"ring {count}".encode()]


def test_routes_of_a_pack_answer_at_the_server_and_reach_its_state(client: Client):
    before = client.get("/switchboard/calls")
    assert client.request("POST", "/api/switchboard/calls", {"text": "over http"}) == (204, b"")
    assert client.get("/api/switchboard/calls") == [*before, "over http"]
    client.until("switchboard.called", count=len(before) + 1)


def test_a_packs_handler_sees_prompts_before_they_are_checked(client: Client):
    prompt_id, _ = client.run({"1": node("Ring", text="quiet")}, **PNG)
    assert client.history(prompt_id)["outputs"]["1"]["text"][0] == "LOUD"


def test_the_script_of_a_pack_is_listed_and_served(client: Client):
    assert "/extensions/switchboard/switchboard.js" in client.get("/extensions")
    assert client.request("GET", "/extensions/switchboard/switchboard.js")[1].startswith(b"export const made")


def test_asynchronous_nodes_run_side_by_side_with_progress_and_pictures(client: Client):
    graph = {
        "1": node("WaitTogether", name="a", number=1),
        "2": node("WaitTogether", name="a", number=2),
        "3": node("SumUp", **{"terms.term0": ["1", 0], "terms.term1": ["2", 0]}),
        "4": node("Exhibit", number=["3", 0], how="text"),
    }
    prompt_id, messages = client.run(graph)
    assert client.history(prompt_id)["outputs"]["4"] == {"text": ["it is 3"]}
    assert said(messages).count("progress") == 2
    assert [m[:8] for m in messages if isinstance(m, bytes)] == [b"\0\0\0\1\0\0\0\1"] * 2


def test_a_node_becomes_graphs_within_graphs(client: Client):
    graph = {"1": node("Triangle", n=5), "2": node("Exhibit", number=["1", 0], how="text")}
    prompt_id, messages = client.run(graph)
    assert client.history(prompt_id)["outputs"]["2"] == {"text": ["it is 15"]}
    inner = [m["data"] for m in messages if isinstance(m, dict) and m["type"] == "executing" and m["data"]["node"]]
    assert {m["display_node"] for m in inner if "." in m["node"]} == {"1"}


def test_what_a_node_shows_can_be_looked_at(client: Client):
    for how, place in (("pictures", "temp"), ("files", "output")):
        prompt_id, _ = client.run({"1": node("Exhibit", number=2, how=how)}, **PNG)
        images = client.history(prompt_id)["outputs"]["1"]["images"]
        assert [image["type"] for image in images] == [place] * 2
        with Image.open(BytesIO(client.view(images[0]))) as picture:
            assert json.loads(picture.info["workflow"]) == {"id": "w"}
            assert picture.getpixel((0, 0)) == (127, 127, 127)


def test_a_pack_that_ends_its_worker_is_answered_again_by_the_next_one(start_server: Callable[..., Server]):
    """And what it brings for the page is known at the next start before its worker is."""
    server = start_server()
    wait_until_ready(server.url)
    with server.client() as client:
        assert client.get("/switchboard/calls") == []
        status, answer = client.request("GET", "/switchboard/leave")
        assert (status, json.loads(answer)["error"]["type"]) == (503, "packs_unavailable")
        deadline = time.monotonic() + 60
        while (answered := client.request("GET", "/switchboard/calls"))[0] != 200:
            assert time.monotonic() < deadline, answered
            time.sleep(0.2)  # another process is starting; there is nothing else to wait on
    assert server.stop() == 0
    again = start_server(base=server.base)
    with again.client() as client:
        began = time.monotonic()
        assert "/extensions/switchboard/switchboard.js" in client.get("/extensions")
        assert time.monotonic() - began < 1, "nobody waited for the worker"
        assert client.get("/switchboard/calls") == [], "a request to a pack waits while the worker starts"
