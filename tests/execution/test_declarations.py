"""Declarations as clients see them, and as they cross a process."""

import json
from enum import Enum
from typing import Any

import pytest

from execution.catalogue import from_plain, to_plain
from execution.object_info import describe, describe_all
from execution.spec import NOTHING, Declaration, InputSpec, OutputSpec

CLASSIC = Declaration(
    id="PAll",
    title="Probe All",
    category="probe",
    inputs=(
        InputSpec("i", "INT", True, {"default": 5, "min": 0, "max": 10, "step": 2}),
        InputSpec("combo", "COMBO", True, choices=("a", "b", 3)),
        InputSpec("combo_new", "COMBO", True, {"options": ["p", "q"]}, choices=("p", "q"), classic=False),
        InputSpec("img", "IMAGE", False),
        InputSpec("any", "*", False, {}),
    ),
    outputs=(OutputSpec("STRING", "STRING"),),
    hidden={"uid": "UNIQUE_ID", "prompt": "PROMPT", "dyn": "DYNPROMPT", "png": "EXTRA_PNGINFO"},
    pack="custom_nodes.probe_v1",
    is_output=True,
)

MODERN = Declaration(
    id="V3A",
    title="V3 A",
    category="probe/v3",
    inputs=(
        InputSpec("n", "INT", True, {"default": 1, "min": 0, "max": 9, "display": "slider"}),
        InputSpec("cc", "COMBO", True, {"default": "y", "multiselect": False}, choices=("x", "y"), classic=False),
        InputSpec("image", "IMAGE", False, {"tooltip": "tip"}),
        InputSpec("mt", "MASK,IMAGE", False, {}),
    ),
    outputs=(
        OutputSpec("IMAGE", "IMAGE"),
        OutputSpec("Count", "INT", tooltip="ct"),
        OutputSpec("", ("x", "y")),
    ),
    hidden={"unique_id": "UNIQUE_ID"},
    pack="custom_nodes.probe_v3",
    description="desc",
    is_output=True,
    experimental=True,
    modern=True,
)


def test_a_classic_node_is_described_as_clients_know_it():
    assert describe(CLASSIC) == {
        "input": {
            "required": {
                "i": ["INT", {"default": 5, "min": 0, "max": 10, "step": 2}],
                "combo": [["a", "b", 3]],
                "combo_new": ["COMBO", {"options": ["p", "q"]}],
            },
            "optional": {"img": ["IMAGE"], "any": ["*", {}]},
            "hidden": {"uid": "UNIQUE_ID", "prompt": "PROMPT", "dyn": "DYNPROMPT", "png": "EXTRA_PNGINFO"},
        },
        "input_order": {
            "required": ["i", "combo", "combo_new"],
            "optional": ["img", "any"],
            "hidden": ["uid", "prompt", "dyn", "png"],
        },
        "output": ["STRING"],
        "output_is_list": [False],
        "output_name": ["STRING"],
        "name": "PAll",
        "display_name": "Probe All",
        "description": "",
        "python_module": "custom_nodes.probe_v1",
        "category": "probe",
        "output_node": True,
    }


def test_a_node_of_the_newer_schema_is_described_as_clients_know_it():
    assert describe(MODERN) == {
        "input": {
            "required": {
                "n": ["INT", {"default": 1, "min": 0, "max": 9, "display": "slider"}],
                "cc": ["COMBO", {"default": "y", "multiselect": False, "options": ["x", "y"]}],
            },
            "optional": {"image": ["IMAGE", {"tooltip": "tip"}], "mt": ["MASK,IMAGE", {}]},
            "hidden": {"unique_id": ["UNIQUE_ID"]},
        },
        "input_order": {"required": ["n", "cc"], "optional": ["image", "mt"], "hidden": ["unique_id"]},
        "output": ["IMAGE", "INT", ["x", "y"]],
        "output_is_list": [False, False, False],
        "output_name": ["IMAGE", "Count", ["x", "y"]],
        "output_tooltips": [None, "ct", None],
        "name": "V3A",
        "display_name": "V3 A",
        "description": "desc",
        "python_module": "custom_nodes.probe_v3",
        "category": "probe/v3",
        "output_node": True,
        "deprecated": False,
        "experimental": True,
        "api_node": False,
    }


def test_marks_of_a_classic_node_are_shown_only_when_set():
    plain = describe(Declaration("A", None, "c", outputs=(OutputSpec("x", "INT"),)))
    assert not {"deprecated", "experimental", "api_node", "output_tooltips"} & set(plain)
    assert plain["display_name"] == "A"
    marked = Declaration(
        "A",
        None,
        "c",
        outputs=(OutputSpec("x", "INT", tooltip="t"),),
        deprecated=True,
        experimental=True,
        extra={"api_node": True},
    )
    entry = describe(marked)
    assert (entry["deprecated"], entry["experimental"], entry["api_node"]) == (True, True, True)
    assert entry["output_tooltips"] == ["t"]


def test_a_listing_is_asked_once_for_all_nodes_that_show_it():
    asked: list[str] = []

    def listing(name: str) -> list[str]:
        asked.append(name)
        return [f"{name}-{len(asked)}"]

    loader = InputSpec("name", "COMBO", choices=("old",), choices_from="loras")
    nodes = {id: Declaration(id, None, "c", inputs=(loader,)) for id in ("A", "B")}
    shown = describe_all(nodes, listing)
    assert [shown[id]["input"]["required"]["name"] for id in nodes] == [[["loras-1"]]] * 2
    assert asked == ["loras"]
    assert describe_all(nodes)["A"]["input"]["required"]["name"] == [["old"]]


def test_a_catalogue_survives_json_unchanged():
    catalogue = {"PAll": CLASSIC, "V3A": MODERN}
    there = json.dumps(to_plain(catalogue), allow_nan=False)
    back = from_plain(json.loads(there))
    assert back == catalogue
    assert describe_all(back) == describe_all(catalogue)
    assert back["PAll"].inputs[3].options is NOTHING


def test_options_that_json_does_not_know_become_the_nearest_thing():
    class Mode(Enum):
        FAST = "fast"

    options = {"max": float("inf"), "round": float("nan"), "mode": Mode.FAST, "keys": {"b", "a"}, "fn": len}
    declaration = Declaration("A", None, "c", inputs=(InputSpec("x", "FLOAT", True, options),))
    back = from_plain(json.loads(json.dumps(to_plain({"A": declaration}), allow_nan=False)))
    shown: Any = dict(back["A"].inputs[0].options)
    assert shown.pop("fn").startswith("<built-in")
    assert shown == {"max": 1.7976931348623157e308, "round": None, "mode": "fast", "keys": ["a", "b"]}


@pytest.mark.parametrize(
    "data", [{"A": None}, {"A": {"category": "x"}}, {"A": {"id": "A", "title": None, "inputs": 5}}]
)
def test_a_damaged_catalogue_is_refused(data: dict[str, Any]):
    with pytest.raises(ValueError, match="not a catalogue"):
        from_plain(data)
