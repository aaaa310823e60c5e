"""Cost in proportion to the graph, and no depth that is too deep. Times are measured by benchmarks/graph.py."""

from execution.events import Succeeded
from tests.execution.kit import ApiGraph, Bench, api


def chain(length: int) -> ApiGraph:
    graph: ApiGraph = {"0": api("Number", value=1)}
    for i in range(1, length - 1):
        graph[str(i)] = api("Add", a=[str(i - 1), 0], b=1)
    graph["out"] = api("Show", x=[str(length - 2), 0])
    return graph


def test_a_chain_of_50000_nodes_runs_and_is_reused():
    bench = Bench()
    graph = chain(50_000)
    first = bench.run(graph)
    assert isinstance(first.ending, Succeeded)
    assert first.shown == {"out": {"text": [49_999]}}
    assert bench.run(graph).ran == []


def test_thousands_of_independent_pairs_run():
    graph: ApiGraph = {}
    for i in range(2_000):
        graph[f"a{i}"] = api("Number", value=i % 1000)
        graph[f"o{i}"] = api("Show", x=[f"a{i}", 0])
    ran = Bench().run(graph)
    assert len(ran.shown) == 2_000
    assert len(ran.ran) == 2_000  # the second thousand are twins of the first


def test_many_asynchronous_nodes_run_side_by_side():
    graph: ApiGraph = {f"a{i}": api("Later", x=i) for i in range(1_000)}
    graph |= {f"o{i}": api("Show", x=[f"a{i}", 0]) for i in range(1_000)}
    assert len(Bench().run(graph).shown) == 1_000
