"""What is wrong with a prompt, in the words and codes clients know."""

import pytest

from execution.problems import Problem, PromptRejected
from execution.prompt import parse
from execution.validate import Validated, validate
from tests.execution.kit import ApiGraph, api, declare

CATALOGUE = {
    declaration.id: declaration
    for declaration in [
        declare("Source", {"value": ("INT", {"default": 5, "min": 1, "max": 10})}),
        declare("Add", {"a": "INT", "b": "INT"}),
        declare("Show", {"x": "INT"}, (), is_output=True),
        declare("Save", {"images": "IMAGE"}, (), is_output=True),
    ]
}


def check(graph: ApiGraph) -> Validated:
    return validate(parse(graph), CATALOGUE)


def complaints(graph: ApiGraph) -> dict[str, list[Problem]]:
    with pytest.raises(PromptRejected) as rejected:
        check(graph)
    return {id: list(errors.errors) for id, errors in rejected.value.node_errors.items()}


def test_a_good_prompt_is_handed_on_with_its_outputs():
    graph = {"1": api("Source", value=3), "2": api("Show", x=["1", 0])}
    validated = check(graph)
    assert validated.graph == graph
    assert validated.outputs == ("2",)
    assert validated.node_errors == {}


def test_a_missing_required_input_is_named():
    assert complaints({"2": api("Save")}) == {
        "2": [Problem("required_input_missing", "Required input is missing", "images", {"input_name": "images"})]
    }


def test_a_wrong_link_type_shows_both_types():
    assert complaints({"1": api("Source", value=3), "2": api("Save", images=["1", 0])}) == {
        "2": [
            Problem(
                "return_type_mismatch",
                "Return type mismatch between linked nodes",
                "images, received_type(INT) mismatch input_type(IMAGE)",
                {
                    "input_name": "images",
                    "input_config": ["IMAGE", {}],
                    "received_type": "INT",
                    "linked_node": ["1", 0],
                },
            )
        ]
    }
