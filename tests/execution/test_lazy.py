"""Lazy inputs: only the branch that is asked for runs, and only that branch counts for reuse."""

from typing import Any

from execution.events import Failed, NodeStarted
from execution.spec import NodeResult, NodeSpec
from tests.execution.kit import LAZY, ApiGraph, Bench, api, declare


def switched(on: Any, a: int = 1, b: int = 2) -> ApiGraph:
    r"""
    a ─┐
       sw(on) ─ show
    b ─┘
    """
    return {
        "a": api("Number", value=a),
        "b": api("Number", value=b),
        "sw": api("Switch", on=on, a=["a", 0], b=["b", 0]),
        "show": api("Show", x=["sw", 0]),
    }


def test_only_the_chosen_branch_runs():
    ran = Bench().run(switched(1))
    assert ran.ran == ["sw", "a", "show"]
    assert ran.shown["show"] == {"text": [1]}


def test_a_lazy_node_starts_once():
    assert [event.node.id for event in Bench().run(switched(1)).of(NodeStarted)].count("sw") == 1


def test_switching_runs_the_other_branch_and_back_runs_nothing():
    bench = Bench()
    bench.run(switched(1))
    assert bench.run(switched(0)).ran == ["sw", "b", "show"]
    again = bench.run(switched(1))
    assert again.ran == []
    assert again.shown["show"] == {"text": [1]}


def test_a_change_in_the_unused_branch_runs_nothing():
    bench = Bench()
    bench.run(switched(1, b=2))
    again = bench.run(switched(1, b=99))
    assert again.ran == []
    assert again.shown["show"] == {"text": [1]}


def test_a_change_in_the_used_branch_runs_what_depends_on_it():
    bench = Bench()
    bench.run(switched(1, a=1))
    again = bench.run(switched(1, a=5))
    assert again.ran == ["sw", "a", "show"]
    assert again.shown["show"] == {"text": [5]}


def test_a_decision_that_depends_on_an_evaluated_branch_is_asked_afresh_when_that_changes():
    """The switch first asks for a; when a is 0 it asks for b too."""

    def first_or_second(a: Any = None, b: Any = None) -> NodeResult:
        return NodeResult((a or b,))

    def needs(a: Any = None, b: Any = None) -> list[str]:
        return ["a"] if a is None else ["b"] if a == 0 and b is None else []

    either = NodeSpec(
        declare("Either", {}, optional={"a": ("INT", LAZY), "b": ("INT", LAZY)}, has_needs=True),
        first_or_second,
        needs=needs,
    )

    def graph(a: int, b: int) -> ApiGraph:
        return {
            "a": api("Number", value=a),
            "b": api("Number", value=b),
            "e": api("Either", a=["a", 0], b=["b", 0]),
            "show": api("Show", x=["e", 0]),
        }

    bench = Bench(either)
    assert bench.run(graph(7, 1)).shown["show"] == {"text": [7]}
    assert bench.run(graph(7, 2)).ran == []
    assert bench.run(graph(0, 2)).shown["show"] == {"text": [2]}
    assert bench.run(graph(0, 3)).shown["show"] == {"text": [3]}
    assert bench.run(graph(7, 9)).ran == []


def test_without_a_hook_lazy_links_stay_none_and_their_sources_do_not_run():
    spec = NodeSpec(declare("Idle", {}, optional={"a": ("INT", LAZY)}), lambda a: NodeResult((a,)))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]  # any value will do
    ran = Bench(spec).run({"1": api("Number", value=1), "i": api("Idle", a=["1", 0]), "s": api("Show", x=["i", 0])})
    assert ran.ran == ["i", "s"]
    assert ran.shown["s"] == {"text": [None]}


def test_a_lazy_constant_is_passed_as_any_other():
    ran = Bench().run({"sw": api("Switch", on=1, a=5), "s": api("Show", x=["sw", 0])})
    assert ran.shown["s"] == {"text": [5]}


def test_asking_for_an_input_that_is_not_there_fails_in_words():
    ran = Bench().run({"sw": api("Switch", on=0, a=5), "s": api("Show", x=["sw", 0])})
    assert isinstance(ran.ending, Failed)
    assert "asked for its input 'b', which has no link" in ran.ending.problem.message


def test_a_lazy_input_of_a_node_that_takes_lists_is_a_list_of_none_until_evaluated():
    seen: list[Any] = []

    def needs(a: Any = None) -> list[str]:
        seen.append(a)
        return ["a"] if a == [None] else []

    spec = NodeSpec(
        declare("Lists", {}, optional={"a": ("INT", LAZY)}, takes_lists=True, has_needs=True),
        lambda a: NodeResult((a,)),  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]  # any value will do
        needs=needs,
    )
    ran = Bench(spec).run({"1": api("Number", value=1), "l": api("Lists", a=["1", 0]), "s": api("Show", x=["l", 0])})
    assert seen == [[None], [1]]
    assert ran.shown["s"] == {"text": [[1]]}


def test_two_twin_switches_run_their_branch_once():
    graph = switched(1)
    graph["sw2"] = api("Switch", on=1, a=["a", 0], b=["b", 0])
    graph["show2"] = api("Show", x=["sw2", 0])
    ran = Bench().run(graph)
    assert ran.ran.count("a") == 1
    assert ran.shown["show2"] == {"text": [1]}
