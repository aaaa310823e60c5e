"""How lists travel: one call per element, the last one repeated."""

from typing import Any

import pytest

from execution.events import Failed, NodeFinished, NodeStarted
from execution.spec import Expanded, NodeResult, NodeSpec, OutputSpec
from tests.execution.kit import ApiGraph, Bench, api, declare


def elements(*values: int) -> NodeSpec:
    out = (OutputSpec("list", "INT", is_list=True),)
    return NodeSpec(declare(f"L{len(values)}", {}, out), lambda: NodeResult((list(values),)))


def pair(a: Any, b: Any) -> NodeResult:
    return NodeResult(((a, b),))


PAIR = NodeSpec(declare("Pair", {"a": "*", "b": "*"}, ("*",)), pair)


def test_shorter_lists_repeat_their_last_element():
    bench = Bench(elements(0, 1, 2), elements(0, 1), PAIR)
    graph: ApiGraph = {"a": api("L3"), "b": api("L2"), "p": api("Pair", a=["a", 0], b=["b", 0])}
    ran = bench.run({**graph, "s": api("Show", x=["p", 0])})
    assert ran.shown["s"]["text"] == [[0, 0], [1, 1], [2, 1]]


def test_a_mapped_node_starts_and_finishes_once_and_its_ui_is_joined():
    bench = Bench(elements(0, 1, 2))
    ran = bench.run({"a": api("L3"), "s": api("Show", x=["a", 0])})
    assert [event.node.id for event in ran.of(NodeStarted)] == ["a", "s"]
    assert [event.node.id for event in ran.of(NodeFinished)] == ["a", "s"]
    assert ran.shown["s"] == {"text": [0, 1, 2]}


def test_a_node_that_takes_lists_is_called_once_with_constants_as_lists():
    seen: list[Any] = []

    def take(a: list[Any], k: list[Any]) -> NodeResult:
        seen.append((a, k))
        return NodeResult((len(a),))

    spec = NodeSpec(declare("Take", {"a": "INT", "k": "INT"}, takes_lists=True), take)
    Bench(elements(0, 1, 2), spec).run(
        {"a": api("L3"), "t": api("Take", a=["a", 0], k=7), "s": api("Show", x=["t", 0])}
    )
    assert seen == [([0, 1, 2], [7])]


def test_an_empty_list_where_a_value_is_needed_fails_with_the_source():
    ran = Bench(elements()).run({"a": api("L0"), "s": api("Show", x=["a", 0])})
    assert isinstance(ran.ending, Failed)
    assert ran.ending.problem.node_id == "s"
    assert "input 'x' received an empty list from node a" in ran.ending.problem.message


def test_a_missing_output_reaches_its_consumer_as_none():
    two = NodeSpec(declare("Two", {}, ("INT", "INT")), lambda: NodeResult((1,)))
    ran = Bench(two).run({"t": api("Two"), "s": api("Show", x=["t", 1])})
    assert ran.shown["s"] == {"text": [None]}


def test_a_list_output_that_is_no_list_fails_in_words():
    spec = NodeSpec(declare("Bad", {}, (OutputSpec("l", "INT", is_list=True),)), lambda: NodeResult(("abc",)))
    ran = Bench(spec).run({"b": api("Bad"), "s": api("Show", x=["b", 0])})
    assert isinstance(ran.ending, Failed)
    assert "must be a list, and a str was returned" in ran.ending.problem.message


@pytest.mark.parametrize("returned", [None, 5, (1,), {}])
def test_a_node_that_returns_nothing_useful_fails_in_words(returned: Any):
    def bad() -> Any:
        return returned

    ran = Bench(NodeSpec(declare("Bad"), bad)).run({"b": api("Bad"), "s": api("Show", x=["b", 0])})
    assert isinstance(ran.ending, Failed)
    assert ran.ending.problem.message.startswith("Bad must return a NodeResult")


def test_ui_is_made_of_plain_lists_whatever_the_node_gives():
    class Odd:
        def __str__(self) -> str:
            raise RuntimeError

    def untidy() -> NodeResult:
        circle: list[Any] = []
        circle.append(circle)
        ui: Any = {"text": "abc", "flag": (True,), "n": 5, "odd": [Odd()], "nan": [float("nan")], "b": [b"xy"]}
        return NodeResult((), {**ui, "circle": circle})

    spec = NodeSpec(declare("Untidy", {}, (), is_output=True), untidy)
    shown = Bench(spec).run({"u": api("Untidy")}).shown["u"]
    shown.pop("circle")
    assert shown == {
        "text": ["abc"],
        "flag": [True],
        "n": [5],
        "odd": ["<Odd>"],
        "nan": [None],
        "b": ["<2 bytes>"],
    }


def test_raw_links_arrive_as_links_after_their_source_has_run():
    raw = NodeSpec(declare("Raw", {"x": ("INT", {"rawLink": True})}, ("*",)), lambda x: NodeResult((x,)))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]  # any value will do
    ran = Bench(raw).run({"1": api("Number", value=3), "r": api("Raw", x=["1", 0]), "s": api("Show", x=["r", 0])})
    assert ran.shown["s"] == {"text": [["1", 0]]}
    assert ran.ran == ["1", "r", "s"]


def test_undeclared_constants_are_dropped_and_undeclared_links_are_passed():
    got: list[dict[str, Any]] = []

    def anything(**inputs: Any) -> Expanded | NodeResult:
        got.append(inputs)
        return NodeResult((), {"text": ["done"]})

    strict = NodeSpec(declare("Strict", {}, (), is_output=True), anything)
    loose = NodeSpec(declare("Loose", {}, (), is_output=True, accepts_anything=True), anything)
    node: dict[str, Any] = {"x": ["1", 0], "y": 5, "z": [1, 2, 3]}
    bench = Bench(strict, loose)
    bench.run({"1": api("Number", value=3), "s": api("Strict", **node)})
    bench.run({"1": api("Number", value=3), "s": api("Loose", **node)})
    assert got == [{"x": 3}, {"x": 3, "y": 5, "z": [1, 2, 3]}]


def test_a_literal_list_reaches_the_node_as_a_list():
    ran = Bench().run({"s": api("Show", x={"__value__": ["1", 0]})})
    assert ran.shown["s"] == {"text": [["1", 0]]}
