"""The engine does what a ten-line recursive evaluator does, on any graph, whatever ran before and however it caches."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from execution.cache import Cache, CacheMode, KeepBytes, KeepCount, KeepLastPrompt, KeepNothing
from execution.events import Succeeded
from execution.problems import PromptRejected
from execution.prompt import parse
from execution.registry import catalogue_of
from execution.validate import checks_needed, validate
from tests.execution.kit import ApiGraph, Bench, api

BLOCKED = object()


def naive(graph: ApiGraph, id: str) -> list[Any]:
    """The elements of a node's only output, by recursion and without any cleverness."""
    node = graph[id]
    kind, inputs = node["class_type"], node["inputs"]

    def elements(name: str) -> list[Any]:
        value = inputs[name]
        return naive(graph, value[0]) if isinstance(value, list) else [value]

    names = list(inputs)
    if kind == "Switch":
        wanted = {"a" if on else "b" for on in elements("on") if on is not BLOCKED}
        names = ["on", *(name for name in inputs if name != "on" and (name in wanted or not _is_link(inputs[name])))]
    arguments = {name: elements(name) for name in names}
    if kind == "Total":
        values = arguments["x"]
        return [BLOCKED] if BLOCKED in values else [sum(values)]
    made: list[Any] = []
    for index in range(max(map(len, arguments.values()))):
        call = {name: values[min(index, len(values) - 1)] for name, values in arguments.items()}
        if BLOCKED in call.values():
            made.append(BLOCKED)
            continue
        match kind:
            case "Number":
                made.append(call["value"])
            case "Add":
                made.append(call["a"] + call["b"])
            case "Later":
                made.append(call["x"] + 1)
            case "List":
                made.extend([call["a"], call["b"]])
            case "Switch":
                made.append(call.get("a" if call["on"] else "b"))
            case "OddOnly":
                made.append(call["x"] if call["x"] % 2 else BLOCKED)
            case "Grow":
                made.append(call["x"] + call["times"])
            case _:
                raise AssertionError(kind)
    return made


def _is_link(value: Any) -> bool:
    return isinstance(value, list)


INPUTS = {
    "Number": [],
    "Add": ["a", "b"],
    "Later": ["x"],
    "List": ["a", "b"],
    "Total": ["x"],
    "Switch": ["on", "a", "b"],
    "OddOnly": ["x"],
    "Grow": ["x"],
}


@st.composite
def graphs(draw: st.DrawFn) -> ApiGraph:
    graph: ApiGraph = {"n0": api("Number", value=draw(st.integers(0, 3)))}
    for i in range(1, draw(st.integers(2, 12))):
        kind = draw(st.sampled_from(sorted(INPUTS)))
        node: dict[str, Any] = api(kind)
        if kind == "Number":
            node["inputs"]["value"] = draw(st.integers(0, 3))
        if kind == "Grow":
            node["inputs"]["times"] = draw(st.integers(0, 3))
        for name in INPUTS[kind]:
            source = draw(st.integers(-1, i - 1))
            node["inputs"][name] = draw(st.integers(0, 3)) if source < 0 else [f"n{source}", 0]
        graph[f"n{i}"] = node
    for i in draw(st.sets(st.integers(0, len(graph) - 1), min_size=1, max_size=3)):
        graph[f"show{i}"] = api("Show", x=[f"n{i}", 0])
    order = draw(st.permutations(list(graph)))
    return {id: graph[id] for id in order}


def expected(graph: ApiGraph) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for id, node in graph.items():
        if node["class_type"] == "Show":
            texts = [value for value in naive(graph, node["inputs"]["x"][0]) if value is not BLOCKED]
            if texts:
                shown[id] = {"text": texts}
    return shown


def fits_a_list(graph: ApiGraph) -> bool:
    """Total of nothing but None, or of a Switch's missing branch, is a TypeError in both; leave those out."""
    try:
        expected(graph)
    except TypeError:
        return False
    return True


MODES: list[CacheMode] = [KeepBytes(), KeepBytes(4_000), KeepLastPrompt(), KeepCount(5), KeepNothing()]


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_any_graph_gives_what_naive_evaluation_gives_again_and_again(mode: CacheMode):
    bench = Bench(cache=Cache(mode))

    @settings(
        max_examples=80,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
    )
    @given(graphs().filter(fits_a_list))
    def compare(graph: ApiGraph):
        first = bench.run(graph)
        assert isinstance(first.ending, Succeeded), first.ending
        assert first.shown == expected(graph)
        again = bench.run(graph)
        assert isinstance(again.ending, Succeeded), again.ending
        assert again.shown == expected(graph)
        if mode == KeepBytes():
            assert again.ran == []

    compare()


def test_no_node_runs_twice_in_a_job():
    bench = Bench()

    @settings(
        max_examples=60,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
    )
    @given(graphs().filter(fits_a_list))
    def once(graph: ApiGraph):
        ran = bench.run(graph).ran
        assert len(ran) == len(set(ran))

    once()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
IDS = st.sampled_from(["1", "2", "3"])
VALUES = JSON | st.tuples(IDS, st.integers(-2, 2)).map(list)
CLASSES = st.sampled_from([*INPUTS, "Show", "Nope"])
NODES = st.fixed_dictionaries(
    {"class_type": CLASSES, "inputs": st.dictionaries(st.sampled_from(["a", "b", "x", "on", "value"]), VALUES)}
)


@settings(max_examples=300, deadline=None, database=None)
@given(st.dictionaries(IDS, NODES | JSON))
def test_validation_answers_or_refuses_and_never_raises_anything_else(graph: Any):
    catalogue = catalogue_of(Bench().registry)
    with suppress(PromptRejected):
        parsed = parse(graph)
        checks_needed(parsed, catalogue)
        assert validate(parsed, catalogue).outputs
