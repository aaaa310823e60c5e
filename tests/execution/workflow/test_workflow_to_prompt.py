"""A workflow file becomes the graph an editor would have sent."""

from typing import Any

import pytest

from execution.spec import Declaration, InputSpec, OutputSpec
from execution.workflow.convert import to_prompt
from execution.workflow.read import WorkflowError, is_workflow


def number(name: str, default: float = 0, type: str = "INT", **options: Any) -> InputSpec:
    return InputSpec(name, type, options={"default": default, **options})


SAMPLER = Declaration(
    "Sampler",
    "Sampler",
    "sampling",
    inputs=(
        InputSpec("model", "MODEL"),
        number("seed", control_after_generate=True),
        number("steps", 20),
        InputSpec("name", "COMBO", choices=("euler", "heun")),
        number("strength", 1.0, "FLOAT", forceInput=True),
        number("denoise", 1.0, "FLOAT"),
    ),
    outputs=(OutputSpec("LATENT", "LATENT"),),
)
LOADER = Declaration("Loader", "Load", "loaders", outputs=(OutputSpec("MODEL", "MODEL"), OutputSpec("CLIP", "CLIP")))
PATCH = Declaration(
    "Patch",
    "Patch",
    "model",
    inputs=(InputSpec("clip", "CLIP"), InputSpec("model", "MODEL"), number("scale", 2.0, "FLOAT")),
    outputs=(OutputSpec("MODEL", "MODEL"),),
)
PICTURE = Declaration(
    "Picture",
    "Picture",
    "image",
    inputs=(
        InputSpec("image", "COMBO", options={"image_upload": True}, choices=("a.png",)),
        InputSpec("channel", "COMBO", choices=("red", "alpha")),
        InputSpec("size", "INT", required=False, options={"default": 8}),
    ),
)
CATALOGUE = {d.id: d for d in (SAMPLER, LOADER, PATCH, PICTURE)}


def node(id: int, type: str, values: Any = None, mode: int = 0, **slots: int | None) -> dict[str, Any]:
    """A node whose named inputs are linked by these link ids. `model=3` is a socket, `w_steps=4` a widget's."""
    inputs = [
        {"name": name.removeprefix("w_"), "type": name.removeprefix("w_").upper(), "link": link}
        | ({"widget": {"name": name[2:]}} if name.startswith("w_") else {})
        for name, link in slots.items()
    ]
    return {"id": id, "type": type, "mode": mode, "inputs": inputs, "widgets_values": values}


def file(*nodes: dict[str, Any], links: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"version": 0.4, "nodes": list(nodes), "links": links or [], **more}


def inputs_of(workflow: dict[str, Any], id: str) -> dict[str, Any]:
    return to_prompt(workflow, CATALOGUE)[id]["inputs"]


def test_values_are_found_by_position_past_the_seeds_companion():
    workflow = file(node(1, "Sampler", [7, "randomize", 30, "heun", 0.5]))
    assert inputs_of(workflow, "1") == {"seed": 7, "steps": 30, "name": "heun", "denoise": 0.5}


def test_old_files_also_hold_a_value_for_inputs_that_only_take_links():
    workflow = file(node(1, "Sampler", [7, "randomize", 30, "heun", 9.0, 0.5]))
    assert inputs_of(workflow, "1")["denoise"] == 0.5


def test_a_short_list_is_filled_from_the_defaults_and_a_long_one_cut():
    assert inputs_of(file(node(1, "Sampler", [7])), "1") == {"seed": 7, "steps": 20, "name": "euler", "denoise": 1.0}
    assert inputs_of(file(node(1, "Sampler", [7, "fixed", 3, "heun", 0.1, 1, 2, 3])), "1")["denoise"] == 0.1


def test_the_upload_buttons_caption_stands_after_the_required_block():
    assert inputs_of(file(node(1, "Picture", ["b.png", "alpha", "image", 16])), "1") == {
        "image": "b.png",
        "channel": "alpha",
        "size": 16,
    }


def test_values_by_name_win_over_positions():
    saved = node(1, "Sampler", [1, "fixed", 2]) | {
        "widgets_values_named": {"steps": 40, "control_after_generate": "fixed"}
    }
    assert inputs_of(file(saved), "1")["steps"] == 40
    assert inputs_of(file(node(1, "Sampler", {"steps": 41})), "1")["steps"] == 41


def test_a_link_overrides_the_value_of_its_widget():
    workflow = file(
        node(1, "Loader"),
        node(2, "Sampler", [7, "fixed", 30], model=1, w_steps=2),
        links=[[1, 1, 0, 2, 0, "MODEL"], [2, 1, 1, 2, 2, "INT"]],
    )
    assert inputs_of(workflow, "2")["model"] == ["1", 0]
    assert inputs_of(workflow, "2")["steps"] == ["1", 1]


def test_version_one_keeps_links_as_objects():
    link = {"id": 1, "origin_id": 1, "origin_slot": 0, "target_id": 2, "target_slot": 0, "type": "MODEL"}
    workflow = file(node(1, "Loader"), node(2, "Sampler", [], model=1), links=[link]) | {"version": 1}
    assert inputs_of(workflow, "2")["model"] == ["1", 0]


def test_reroutes_are_followed_and_primitives_give_their_value():
    workflow = file(
        node(1, "Loader"),
        {"id": 2, "type": "Reroute", "inputs": [{"name": "", "type": "*", "link": 1}]},
        node(3, "PrimitiveNode", [99, "fixed"]),
        node(4, "Sampler", [7, "fixed", 30], model=2, w_steps=3),
        links=[[1, 1, 0, 2, 0, "*"], [2, 2, 0, 4, 0, "MODEL"], [3, 3, 0, 4, 1, "INT"]],
    )
    prompt = to_prompt(workflow, CATALOGUE)
    assert set(prompt) == {"1", "4"}
    assert prompt["4"]["inputs"]["model"] == ["1", 0]
    assert prompt["4"]["inputs"]["steps"] == 99


def test_a_muted_node_takes_its_links_with_it():
    workflow = file(node(1, "Loader", mode=2), node(2, "Sampler", [], model=1), links=[[1, 1, 0, 2, 0, "MODEL"]])
    assert "model" not in inputs_of(workflow, "2")


def test_a_bypassed_node_is_stepped_through_by_type_not_by_place():
    workflow = file(
        node(1, "Loader"),
        node(2, "Patch", [3.0], mode=4, clip=1, model=2),
        node(3, "Sampler", [], model=3),
        links=[[1, 1, 1, 2, 0, "CLIP"], [2, 1, 0, 2, 1, "MODEL"], [3, 2, 0, 3, 0, "MODEL"]],
    )
    assert inputs_of(workflow, "3")["model"] == ["1", 0]


def test_a_list_typed_into_a_widget_is_wrapped_so_that_it_is_no_link():
    assert inputs_of(file(node(1, "Sampler", [[1, 2]])), "1")["seed"] == {"__value__": [1, 2]}


def test_subgraphs_are_flattened_and_their_ids_joined():
    r"""
    1 Loader ─ [ 10: Patch(5) ─ Sampler(6) ] ─ 3 Patch
    """
    inner = {
        "id": "sub",
        "name": "inner",
        "inputs": [{"name": "in", "type": "MODEL"}, {"name": "scale", "type": "FLOAT"}],
        "nodes": [node(5, "Patch", [4.0], model=1, w_scale=3), node(6, "Sampler", [], model=2)],
        "links": [
            {"id": 1, "origin_id": -10, "origin_slot": 0, "target_id": 5, "target_slot": 1, "type": "MODEL"},
            {"id": 2, "origin_id": 5, "origin_slot": 0, "target_id": 6, "target_slot": 0, "type": "MODEL"},
            {"id": 3, "origin_id": -10, "origin_slot": 1, "target_id": 5, "target_slot": 2, "type": "FLOAT"},
            {"id": 4, "origin_id": 6, "origin_slot": 0, "target_id": -20, "target_slot": 0, "type": "LATENT"},
        ],
    }
    instance = {"id": 10, "type": "sub", "inputs": [{"name": "in", "type": "MODEL", "link": 1}]}
    outside = [node(1, "Loader"), instance, node(3, "Patch", [], model=2)]
    workflow = file(
        *outside,
        links=[[1, 1, 0, 10, 0, "MODEL"], [2, 10, 0, 3, 0, "MODEL"]],
        definitions={"subgraphs": [inner]},
    )
    prompt = to_prompt(workflow, CATALOGUE)
    assert set(prompt) == {"1", "10:5", "10:6", "3"}
    assert prompt["10:5"]["inputs"] == {"model": ["1", 0], "scale": 4.0}
    assert prompt["10:6"]["inputs"]["model"] == ["10:5", 0]
    assert prompt["3"]["inputs"]["model"] == ["10:6", 0]

    instance["widgets_values"] = [8.0]
    assert to_prompt(workflow, CATALOGUE)["10:5"]["inputs"]["scale"] == 8.0, "the instance's own value stands"


def test_a_subgraph_that_contains_itself_is_named():
    inner = {"id": "sub", "name": "loop", "nodes": [{"id": 1, "type": "sub"}], "links": []}
    with pytest.raises(WorkflowError, match="contain itself"):
        to_prompt(file({"id": 1, "type": "sub"}, definitions={"subgraphs": [inner]}), CATALOGUE)


def test_reroutes_in_a_ring_are_an_error_not_a_hang():
    ring = [{"id": i, "type": "Reroute", "inputs": [{"name": "", "type": "*", "link": i}]} for i in (1, 2)]
    workflow = file(*ring, node(3, "Sampler", [], model=3), links=[[1, 2, 0, 1, 0], [2, 1, 0, 2, 0], [3, 1, 0, 3, 0]])
    with pytest.raises(WorkflowError, match="leads back to itself"):
        to_prompt(workflow, CATALOGUE)


def test_a_chain_of_any_length_is_followed():
    ring = [{"id": i, "type": "Reroute", "inputs": [{"name": "", "type": "*", "link": i}]} for i in range(2, 5000)]
    links = [[i, i - 1, 0, i, 0] for i in range(2, 5001)]
    workflow = file(node(1, "Loader"), *ring, node(5000, "Sampler", [], model=5000), links=links)
    assert inputs_of(workflow, "5000")["model"] == ["1", 0]


def test_an_unknown_node_is_kept_with_its_links_so_that_validation_names_it():
    workflow = file(node(1, "Loader"), node(2, "FromSomePack", ["?"], model=1), links=[[1, 1, 0, 2, 0, "MODEL"]])
    assert to_prompt(workflow, CATALOGUE)["2"] == {
        "class_type": "FromSomePack",
        "inputs": {"model": ["1", 0]},
        "_meta": {"title": "FromSomePack"},
    }


def test_leftovers_of_links_are_dropped_quietly():
    workflow = file(node(2, "Sampler", [], model=77), links=[[5, 99, 0, 98, 0, "MODEL"]])
    assert "model" not in inputs_of(workflow, "2")


def test_the_two_formats_are_told_apart_by_content():
    assert is_workflow(file())
    assert not is_workflow({"1": {"class_type": "Loader", "inputs": {}}})


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ({"nodes": {}}, "expected a list under `nodes`"),
        ({"nodes": [3]}, "is not a node"),
        ({"nodes": [{"id": 1}]}, "is not a node"),
        ({"nodes": [], "links": [[1, 2]]}, "is not a link"),
        ({"nodes": [], "links": ["x"]}, "is not a link"),
    ],
)
def test_what_is_not_a_workflow_says_where(broken: dict[str, Any], says: str):
    with pytest.raises(WorkflowError, match=says):
        to_prompt(broken, CATALOGUE)


@pytest.mark.parametrize(
    "file",
    [
        {"nodes": [{"id": 1, "type": "A", "mode": [1]}]},
        {"nodes": [{"id": 1, "type": "A", "inputs": [{"name": "x", "link": "no"}]}]},
        {"nodes": [{"id": 1, "type": "A", "inputs": 5}]},
        {"nodes": [{"id": 1, "type": "A", "outputs": [1]}]},
        {"nodes": [], "links": 7},
        {"nodes": [], "definitions": {"subgraphs": 7}},
    ],
)
def test_a_damaged_file_is_refused_in_words(file: dict[str, Any]):
    with pytest.raises(WorkflowError, match="expected"):
        to_prompt(file, {})


def test_subgraphs_that_double_at_each_level_are_refused_before_they_fill_the_memory():
    def level(number: int) -> dict[str, Any]:
        inner = [{"id": n, "type": f"level {number + 1}"} for n in range(2)]
        return {"id": f"level {number}", "nodes": inner, "links": []}

    file = {"nodes": [{"id": 1, "type": "level 0"}], "definitions": {"subgraphs": [level(n) for n in range(60)]}}
    with pytest.raises(WorkflowError, match="more than 50,000 nodes"):
        to_prompt(file, {})
