"""For every node that ran again there is a sentence that says why."""

from typing import Any

import pytest

from execution.cache import Cache, KeepBytes, KeepNothing
from execution.events import NodeStarted
from execution.explain import Memory, Seen
from execution.prompt import parse
from execution.signature import Signature
from execution.spec import NodeResult, NodeSpec
from tests.execution.kit import ApiGraph, Bench, api, declare


def prompt(**changes: Any) -> ApiGraph:
    r"""
    seed ─ sample(steps, x) ─ save
    """
    graph = {
        "seed": api("Number", value=changes.pop("seed", 1)),
        "sample": api("Add", a=["seed", 0], b=changes.pop("steps", 20)),
        "save": api("Show", x=["sample", 0]),
    }
    graph["sample"]["inputs"].update(changes)
    return graph


def reasons(*prompts: ApiGraph, bench: Bench | None = None) -> dict[str, str | None]:
    bench = bench or Bench()
    ran = [bench.run(graph) for graph in prompts][-1]
    return {id: bench.executor.explain(id) for id in ran.ran}


def test_the_first_time():
    assert reasons(prompt()) == dict.fromkeys(["seed", "sample", "save"], "it never ran before")


def test_a_changed_value_and_what_lies_below_it():
    assert reasons(prompt(), prompt(seed=2)) == {
        "seed": "input `value` changed from 1 to 2",
        "sample": "upstream node seed changed",
        "save": "upstream node sample changed",
    }


def test_a_value_of_another_type():
    bench = Bench()
    assert reasons({"s": api("Show", x=1)}, {"s": api("Show", x="1")}, bench=bench) == {
        "s": "input `x` changed from 1 to '1'"
    }


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"extra": 5}, "input `extra` is new"),
        ({"a": ["save2", 0]}, "input `a` comes from node save2 instead of seed"),
        ({"a": 3}, "input `a` is no longer connected"),
    ],
)
def test_a_changed_connection(change: dict[str, Any], why: str):
    more = {"save2": api("Number", value=9)}
    assert reasons(prompt() | more, prompt(**change) | more)["sample"] == why


def test_an_input_that_is_gone():
    assert reasons(prompt(extra=1), prompt())["sample"] == "input `extra` is gone"


def test_a_result_that_had_to_go():
    bench = Bench(cache=Cache(KeepBytes(1_300)))
    other = {"a": api("Number", value=5), "b": api("Add", a=["a", 0], b=1), "c": api("Show", x=["b", 0])}
    found = reasons(prompt(), other, prompt(), bench=bench)
    assert found == dict.fromkeys(["seed", "sample", "save"], "its result was dropped to make room")


def test_nothing_is_kept():
    assert set(reasons(prompt(), prompt(), bench=Bench(cache=Cache(KeepNothing()))).values()) == {
        "results are not kept"
    }


def test_something_outside_changed_or_always_does():
    stamps = iter(["a", "b", float("nan"), float("nan")])
    spec = NodeSpec(declare("Read", has_fingerprint=True), lambda: NodeResult((1,)), fingerprint=lambda: next(stamps))
    bench = Bench(spec)
    graph = {"r": api("Read"), "s": api("Show", x=["r", 0])}
    assert reasons(graph, graph, bench=bench)["r"] == "what it reads from outside changed"
    assert reasons(graph, graph, bench=bench) == {"r": "it asks to run every time", "s": "upstream node r changed"}


def test_the_last_time_failed():
    fail = True

    def sometimes(x: int) -> NodeResult:
        if fail:
            raise ValueError
        return NodeResult((x,))

    bench = Bench(NodeSpec(declare("Sometimes", {"x": "INT"}), sometimes))
    graph = {"1": api("Sometimes", x=1), "2": api("Show", x=["1", 0])}
    bench.run(graph)
    fail = False
    assert reasons(graph, bench=bench) == dict.fromkeys(["1", "2"], "it did not finish the last time")


def test_a_switch_that_was_just_decided_is_not_blamed():
    def graph(n: int) -> ApiGraph:
        return {
            "a": api("Number", value=1),
            "b": api("Number", value=2),
            "sw": api("Switch", on=1, a=["a", 0], b=["b", 0]),
            "n": api("Number", value=n),
            "sum": api("Add", a=["sw", 0], b=["n", 0]),
            "show": api("Show", x=["sum", 0]),
        }

    assert reasons(graph(1), graph(2))["sum"] == "upstream node n changed"


def test_the_reason_is_told_when_the_node_starts():
    bench = Bench()
    bench.run(prompt())
    started = bench.run(prompt(steps=30)).of(NodeStarted)
    assert {event.node.id: event.reason for event in started} == {
        "sample": "input `b` changed from 20 to 30",
        "save": "upstream node sample changed",
    }


def test_pictures_inside_prompts_are_not_remembered_without_bound():
    memory = Memory()
    signed: dict[str, Signature] = {}
    for i in range(100):
        node = parse({str(i): api("Show", x="x" * 1_000_000)})[str(i)]
        memory.remember([Seen(node, Signature(str(i)), None, signed)])
    assert memory.get("99") is not None
    assert memory.get("0") is None


def test_a_node_that_did_not_run_needs_no_reason():
    bench = Bench()
    bench.run(prompt())
    bench.run(prompt())
    assert bench.executor.explain("sample") is None
    assert bench.executor.explain("nowhere") is None
