"""What `/object_info` says of our nodes, entry by entry, against the published signatures."""

import json
from pathlib import Path
from typing import Any

import pytest

from execution.object_info import describe
from nodes.catalogue import all_nodes

PUBLISHED: dict[str, Any] = json.loads((Path(__file__).parents[1] / "data" / "nodes.json").read_text(encoding="utf-8"))
SPECS = {spec.id: spec for spec in all_nodes() if spec.id in PUBLISHED}


def shown(id: str) -> dict[str, Any]:
    """As a client receives it."""
    entry = describe(SPECS[id].declaration, lambda name: [f"a {name}"])
    return json.loads(json.dumps(entry))


@pytest.mark.parametrize("id", sorted(SPECS))
def test_an_entry_has_the_published_inputs_in_order_with_their_types_and_limits(id: str):
    entry, published = shown(id), PUBLISHED[id]
    for section in ("required", "optional"):
        wanted = {name: spec for name, spec in published["inputs"].items() if spec["section"] == section}
        inputs = entry["input"].get(section, {})
        assert list(inputs) == list(wanted)
        assert entry["input_order"].get(section, []) == list(wanted)
        for name, spec in wanted.items():
            kind, *rest = inputs[name]
            options = rest[0] if rest else {}
            if "choices_from" in spec:
                # A listing may be narrower than the published one: image files of the input files.
                [listed] = kind if isinstance(kind, list) else options["options"]
                assert listed.startswith(f"a {spec['choices_from'].split(' (')[0]}")
            elif "choices" in spec:
                assert kind == spec["choices"]
            else:
                assert kind == spec["type"]
            for key, value in spec.get("options", {}).items():
                assert options.get(key) == value, (name, key)


@pytest.mark.parametrize("id", sorted(SPECS))
def test_an_entry_has_the_published_outputs_and_names(id: str):
    entry, published = shown(id), PUBLISHED[id]
    assert entry["output_name"] == [output["name"] for output in published["outputs"]]
    assert entry["output_is_list"] == [output["list"] for output in published["outputs"]]
    assert entry["category"] == published["category"]
    assert entry["display_name"] == published["display_name"]
    assert entry["output_node"] == published.get("output_node", False)
    assert entry["name"] == id
