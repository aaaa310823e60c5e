"""Nodes that become graphs."""

from typing import Any

import pytest

from execution.cache import Cache, CacheMode, KeepBytes, KeepCount, KeepLastPrompt, KeepNothing
from execution.context import Run
from execution.events import Failed, NodeFinished, NodeRef, NodeStarted, Succeeded
from execution.spec import Blocked, Expanded, Link, NodeResult, NodeSpec
from tests.execution.kit import ApiGraph, Bench, api, declare

CALLS: list[str] = []


def slow(x: Any) -> NodeResult:
    CALLS.append("slow")
    return NodeResult((x * 10,))


def album(x: int, seed: int, run: Run) -> Expanded:
    """Two nodes inside, one of which shows something: only `tint` depends on the seed."""
    me = run.node.id
    graph: ApiGraph = {
        f"{me}.0.0.1": api("Slow", x=x),
        f"{me}.0.0.2": api("Add", a=[f"{me}.0.0.1", 0], b=seed),
        f"{me}.0.0.3": api("Show", x=[f"{me}.0.0.2", 0]),
    }
    return Expanded(graph, (Link(f"{me}.0.0.2", 0),), {"text": ["album"]})


def nest(depth: int, run: Run) -> Expanded | NodeResult:
    """Expands into itself until the depth is 0, then into an output."""
    inner = f"{run.node.id}.0.0.n"
    node = api("Nest", depth=depth - 1) if depth else api("Number", value=42)
    shown = f"{run.node.id}.0.0.s"
    return Expanded({inner: node, shown: api("Show", x=[inner, 0])}, (Link(inner, 0),))


SPECS = [
    NodeSpec(declare("Slow", {"x": "INT"}), slow),
    NodeSpec(declare("Album", {"x": "INT", "seed": "INT"}), album, given={"run": Run}),
    NodeSpec(declare("Nest", {"depth": "INT"}), nest, given={"run": Run}),
]


@pytest.fixture(autouse=True)
def forget_calls():
    CALLS.clear()


def graph(x: int = 2, seed: int = 1, id: str = "3") -> ApiGraph:
    return {id: api("Album", x=x, seed=seed), "9": api("Show", x=[id, 0])}


def test_inner_nodes_run_in_the_place_of_the_node_and_are_shown_on_it():
    ran = Bench(*SPECS).run(graph())
    assert ran.ran == ["3", "3.0.0.1", "3.0.0.2", "3.0.0.3", "9"]
    inner = next(event.node for event in ran.of(NodeStarted) if event.node.id == "3.0.0.1")
    assert inner == NodeRef("3.0.0.1", display="3", parent="3", real="3")
    assert ran.shown == {"3.0.0.3": {"text": [21]}, "3": {"text": ["album"]}, "9": {"text": [21]}}


def test_an_inner_node_that_did_not_change_is_not_run_again():
    bench = Bench(*SPECS)
    bench.run(graph(seed=1))
    ran = bench.run(graph(seed=2))
    assert CALLS == ["slow"]
    assert ran.shown["9"] == {"text": [22]}


def reused(ran_events: list[NodeFinished]) -> dict[str, Any]:
    return {event.node.id: event.ui for event in ran_events if event.reused and event.reported}


def test_what_inner_nodes_show_is_told_again_when_the_node_comes_from_the_cache():
    bench = Bench(*SPECS)
    bench.run(graph())
    again = bench.run(graph())
    assert again.ran == []
    assert reused(again.of(NodeFinished)) == {"3.0.0.3": {"text": [21]}, "9": {"text": [21]}}
    assert again.shown["3"] == {"text": ["album"]}


def test_a_renumbered_node_tells_it_under_its_new_number():
    bench = Bench(*SPECS)
    bench.run(graph(id="3"))
    again = bench.run(graph(id="77"))
    assert again.ran == []
    inner = next(event.node for event in again.of(NodeFinished) if event.node.parent)
    assert inner == NodeRef("77.0.0.3", "77", "77", "77")


def test_expansions_nest():
    ran = Bench(*SPECS).run({"1": api("Nest", depth=3), "9": api("Show", x=["1", 0])})
    assert isinstance(ran.ending, Succeeded)
    assert ran.shown["9"] == {"text": [42]}
    refs = {event.node.id: event.node for event in ran.of(NodeStarted)}
    deepest = refs["1.0.0.n.0.0.n"]
    assert (deepest.display, deepest.parent, deepest.real) == ("1", "1.0.0.n", "1")


def test_nested_inner_nodes_tell_what_they_show_again():
    bench = Bench(*SPECS)
    prompt = {"1": api("Nest", depth=2), "9": api("Show", x=["1", 0])}
    first = bench.run(prompt)
    again = bench.run(prompt)
    assert again.ran == []
    assert again.shown == first.shown


def test_a_thousand_nested_expansions_do_not_recurse():
    ran = Bench(*SPECS).run({"1": api("Nest", depth=1000), "9": api("Show", x=["1", 0])})
    assert isinstance(ran.ending, Succeeded)
    assert ran.shown["9"] == {"text": [42]}


@pytest.mark.parametrize("mode", [KeepBytes(), KeepLastPrompt(), KeepCount(100), KeepNothing()], ids=str)
def test_expansion_works_in_every_cache_mode(mode: CacheMode):
    bench = Bench(*SPECS, cache=Cache(mode))
    for seed in (1, 1, 2):
        ran = bench.run(graph(seed=seed))
        assert isinstance(ran.ending, Succeeded)
        assert ran.shown["9"] == {"text": [20 + seed]}


def test_constants_that_are_no_json_are_handed_on():
    thing = object()

    def wrap(run: Run) -> Expanded:
        inner = f"{run.node.id}.i"
        return Expanded({inner: api("Same", x=thing)}, (Link(inner, 0),))

    same = NodeSpec(declare("Same", {"x": "*"}, ("*",)), lambda x: NodeResult((x is thing,)))  # pyright: ignore[reportUnknownLambdaType]  # any value will do
    wrapper = NodeSpec(declare("Wrap"), wrap, given={"run": Run})
    ran = Bench(same, wrapper).run({"w": api("Wrap"), "s": api("Show", x=["w", 0])})
    assert ran.shown["s"] == {"text": [True]}


def expanding(inner: ApiGraph, *values: Any) -> Bench:
    return Bench(*SPECS, NodeSpec(declare("Make"), lambda: Expanded(inner, values)))


PROMPT = {"m": api("Make"), "s": api("Show", x=["m", 0])}


@pytest.mark.parametrize(
    ("inner", "values", "words"),
    [
        ({"i": api("Nope")}, (Link("i", 0),), "node Nope does not exist"),
        ({"i": api("Number", value=5000)}, (Link("i", 0),), "Value 5000 bigger than max of 1000"),
        ({"i": api("Add", a=["gone", 0], b=1)}, (Link("i", 0),), "there is no node 'gone'"),
        ({"i": api("Add", a=1)}, (Link("i", 0),), "Required input is missing: b"),
        ({"s": api("Number", value=1)}, (Link("s", 0),), "there is one already"),
        ({}, (Link("nowhere", 0),), "linked to no node: 'nowhere'"),
        ({"i": api("Add", a=["j", 0], b=1), "j": api("Add", a=["i", 0], b=1)}, (Link("i", 0),), "circle"),
        ({"i": {"inputs": {}}}, (Link("i", 0),), "missing the class_type"),
    ],
)
def test_an_expansion_that_cannot_run_fails_on_the_node_that_made_it(
    inner: ApiGraph, values: tuple[Any, ...], words: str
):
    ending = expanding(inner, *values).run(PROMPT).ending
    assert isinstance(ending, Failed)
    assert ending.problem.node_id == "m"
    assert ending.problem.node_type == "Make"
    assert words in ending.problem.message


def test_a_circle_through_the_expanding_node_is_noticed_when_it_closes():
    ending = expanding({"i": api("Add", a=["m", 0], b=1)}, Link("i", 0)).run(PROMPT).ending
    assert isinstance(ending, Failed)
    assert ending.problem.exception_type == "graph.DependencyCycleError"
    assert ending.problem.node_id == "m"
    assert list(ending.problem.traceback) == []
    assert "circle" in ending.problem.message


def test_a_failure_inside_is_told_of_the_node_in_the_prompt():
    def boom(x: int) -> NodeResult:
        raise ValueError(f"boom {x}")

    bench = Bench(
        NodeSpec(declare("Boom", {"x": "INT"}), boom),
        NodeSpec(declare("Make"), lambda: Expanded({"i": api("Boom", x=7)}, (Link("i", 0),))),
    )
    ending = bench.run(PROMPT).ending
    assert isinstance(ending, Failed)
    assert (ending.problem.node_id, ending.problem.node_type) == ("m", "Make")
    assert ending.problem.message == "boom 7"
    assert ending.problem.inputs == {"x": [7]}


def test_results_may_mix_links_constants_and_blockers():
    three = NodeSpec(
        declare("Make", {}, ("INT", "INT", "INT")),
        lambda: Expanded({"i": api("Number", value=1)}, (Link("i", 0), 2, Blocked())),
    )
    prompt: ApiGraph = {"m": api("Make")}
    prompt |= {f"s{i}": api("Show", x=["m", i]) for i in range(3)}
    assert Bench(three).run(prompt).shown == {"s0": {"text": [1]}, "s1": {"text": [2]}}


def test_an_inner_node_may_be_shown_elsewhere():
    inner = {"i": {**api("Number", value=1), "override_display_id": "s"}}
    ran = expanding(inner, Link("i", 0)).run(PROMPT)
    [ref] = [event.node for event in ran.of(NodeStarted) if event.node.id == "i"]
    assert ref == NodeRef("i", display="s", parent="m", real="m")


def test_an_expansion_may_use_nodes_of_the_prompt_that_nobody_else_needed():
    bench = expanding({"i": api("Add", a=["side", 0], b=1)}, Link("i", 0))
    assert bench.run({**PROMPT, "side": api("Number", value=6)}).shown["s"] == {"text": [7]}
