"""What `/object_info` would say of every node, against the declarations clients know (tests/data/nodes.json)."""

import json
from pathlib import Path
from typing import Any

import pytest

from execution.spec import NodeSpec
from nodes.catalogue import all_nodes

KNOWN: dict[str, Any] = json.loads((Path(__file__).parent.parent / "data" / "nodes.json").read_text())
OURS = {spec.id: spec for spec in all_nodes()}


def as_known(spec: NodeSpec) -> dict[str, Any]:
    """A declaration in the form of the file, without what only explains (tooltips)."""
    told = spec.declaration
    entry: dict[str, Any] = {
        "display_name": told.title,
        "category": told.category,
        "inputs": {},
        "outputs": [{"name": o.name, "type": o.type, "list": o.is_list} for o in told.outputs],
    }
    for known in told.inputs:
        options = {key: value for key, value in known.options.items() if key != "tooltip"}
        shown: dict[str, Any] = {"type": known.type, "section": "required" if known.required else "optional"}
        if known.choices_from:
            shown["choices_from"] = known.choices_from
        elif known.choices is not None and known.classic:
            shown["choices"] = list(known.choices)
        elif known.choices is not None:
            options["options"] = list(known.choices)
        entry["inputs"][known.name] = shown | ({"options": options} if options else {})
    if told.hidden:
        entry["hidden"] = dict(told.hidden)
    entry |= {"output_node": True} if told.is_output else {}
    entry |= {"experimental": True} if told.experimental else {}
    entry |= {"deprecated": True} if told.deprecated else {}
    return entry


def expected(id: str) -> dict[str, Any]:
    entry = {key: value for key, value in KNOWN[id].items() if key != "tier"}
    for shown in entry["inputs"].values():
        listing = shown.get("choices_from", "")
        if listing == "input files":
            shown["choices_from"] = "input files (image)"
        elif listing.startswith("vae (plus"):
            shown["choices_from"] = "vae (plus approximations)"
    return entry


@pytest.mark.parametrize("id", sorted(OURS))
def test_a_node_is_declared_as_clients_know_it(id: str):
    assert as_known(OURS[id]) == expected(id)
    assert list(as_known(OURS[id])["inputs"]) == list(KNOWN[id]["inputs"])


@pytest.mark.parametrize("id", sorted(OURS))
def test_every_node_says_what_it_does(id: str):
    assert OURS[id].declaration.description.endswith(".")
