"""Prompts of the wrong shape are refused at the door, naming the node."""

from typing import Any

import pytest

from execution.problems import PromptRejected
from execution.prompt import Limits, parse, parse_body, parse_targets
from execution.spec import Link
from tests.execution.kit import api


def rejection(value: Any, limits: Limits | None = None) -> PromptRejected:
    with pytest.raises(PromptRejected) as rejected:
        parse(value, limits)
    return rejected.value


def test_links_constants_and_literal_lists_are_told_apart():
    node = parse({"1": api("A", x=["2", 0], y=5, z={"__value__": [1, 2]}, w={"a": 1})})["1"]
    assert node.links == {"x": Link("2", 0)}
    assert node.constants == {"y": 5, "z": [1, 2], "w": {"a": 1}}


@pytest.mark.parametrize("bad", [["2"], [], ["2", 0, 1], [2, 0], ["2", 0.0], ["2", "0"], ["2", True], [["2", 0], 0]])
def test_a_list_that_is_no_link_is_kept_apart(bad: list[Any]):
    node = parse({"1": api("A", x=bad)})["1"]
    assert node.malformed == {"x": bad}
    assert node.links == {}


def test_ids_of_subgraphs_and_words_are_ids():
    ids = ["12:3", "12:3:7", "save_image.1", "a-b", "a" * 127, "a" * 128]
    assert list(parse({id: api("A") for id in ids})) == ids


@pytest.mark.parametrize(
    "id", ["", "a" * 129, "a\nb", "a\x00", "\ud800", "a b", "ü", "🎨", "1\n", "__proto__", "constructor", "toString"]
)
def test_other_ids_are_refused(id: str):
    assert rejection({id: api("A")}).problem.type == "invalid_prompt"


@pytest.mark.parametrize("value", [None, [], "x", 5, True])
def test_a_prompt_that_is_no_object_is_refused(value: Any):
    assert rejection(value).problem.message == "The prompt must be an object of nodes"


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (None, "A node must be an object with class_type and inputs"),
        ([], "A node must be an object with class_type and inputs"),
        ({"inputs": {}}, "Cannot execute because a node is missing the class_type property."),
        ({"class_type": 5, "inputs": {}}, "A node's class_type must be text"),
        ({"class_type": ["A"], "inputs": {}}, "A node's class_type must be text"),
        ({"class_type": "A"}, "A node's inputs must be an object"),
        ({"class_type": "A", "inputs": None}, "A node's inputs must be an object"),
        ({"class_type": "A", "inputs": []}, "A node's inputs must be an object"),
    ],
)
def test_a_node_of_the_wrong_shape_is_named_even_off_to_the_side(node: Any, message: str):
    rejected = rejection({"1": api("A"), "side": node})
    assert rejected.problem.type == "invalid_prompt"
    assert rejected.problem.message == message
    assert "Node ID '#side'" in rejected.problem.details
    assert rejected.problem.extra["node_id"] == "side"


def test_nesting_is_bounded_without_recursing():
    deep: Any = 0
    for _ in range(100_000):
        deep = {"a": deep}
    assert "nested too deeply" in rejection({"1": api("A", x=deep)}).problem.message
    while isinstance(deep, dict):  # taken apart by hand: freeing it at once would recurse
        deep = deep.popitem()[1]


def test_the_number_of_nodes_and_links_is_bounded():
    three = {str(i): api("A", x=["0", 0]) for i in range(3)}
    assert len(parse(three, Limits(nodes=3, links=3))) == 3
    assert "3 nodes, at most 2" in rejection(three, Limits(nodes=2)).problem.details
    assert "3 links, at most 2" in rejection(three, Limits(links=2)).problem.details


@pytest.mark.parametrize("body", [{}, [], None, "x", {"graph": {}}])
def test_a_body_without_a_prompt_says_so(body: Any):
    with pytest.raises(PromptRejected) as rejected:
        parse_body(body)
    problem = rejected.value.problem
    assert (problem.type, problem.message, problem.details) == (
        "no_prompt",
        "No prompt provided",
        "No prompt provided",
    )


def test_targets_are_a_list_of_ids_or_absent():
    assert parse_targets({}) is None
    assert parse_targets({"partial_execution_targets": ["1", "2"]}) == ["1", "2"]
    for bad in ("1", 5, {"1": 1}, [1], [None]):
        with pytest.raises(PromptRejected, match="partial_execution_targets"):
            parse_targets({"partial_execution_targets": bad})
