"""Packs written for the names of the interface, in a real server: listed, checked, run, their files found."""

from typing import Any

from tests.end_to_end.client import Client, said


def test_nodes_of_packs_are_listed_with_their_menus(client: Client):
    info = client.get("/object_info")
    assert info["UtilityShowAny"]["display_name"] == "Show anything"
    assert info["UtilityShowAny"]["python_module"] == "custom_nodes.utility"
    assert info["UtilityShowAny"]["input"]["optional"]["anything"] == ["*", {}]
    assert info["PatcherRescale"]["output"] == ["MODEL"]
    assert "stand_in" in info["KSampler"]["input"]["required"]["sampler_name"][0]
    assert "straight" in info["BasicScheduler"]["input"]["required"]["scheduler"][0]


def test_a_graph_of_packs_and_our_nodes_runs(client: Client):
    graph: dict[str, Any] = {
        "image": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 32, "batch_size": 1, "color": 0}},
        "small": {"class_type": "UtilityShrink", "inputs": {"image": ["image", 0], "method": "area"}},
        "save": {"class_type": "UtilitySave", "inputs": {"images": ["small", 0], "filename_prefix": "x"}},
        "three": {"class_type": "FlowRepeat", "inputs": {"times": 3, "start": ["one", 0]}},
        "one": {"class_type": "FlowAdd", "inputs": {"a": 1, "b": 0}},
        "wait": {"class_type": "FlowWait", "inputs": {"value": ["three", 0]}},
        "show": {"class_type": "UtilityShowAny", "inputs": {"anything": ["wait", 0]}},
    }
    prompt_id, messages = client.run(graph)
    assert "execution_success" in said(messages)
    outputs = client.history(prompt_id)["outputs"]
    assert outputs["show"]["text"] == ["40", "show"]
    [picture] = outputs["save"]["images"]
    status, data = client.request("GET", f"/view?filename={picture['filename']}&type={picture['type']}")
    assert (status, data[:4]) == (200, b"\x89PNG")


def test_a_validator_of_a_pack_refuses_with_its_own_words(client: Client):
    choosy = {"class_type": "UtilityChoosy", "inputs": {"word": "bad", "lora": "None", "mode": "fast"}}
    graph = {"c": choosy, "show": {"class_type": "UtilityShowAny", "inputs": {"anything": ["c", 0]}}}
    status, answer = client.post("/prompt", {"prompt": graph})
    assert status == 400
    assert "that word is bad" in str(answer)
