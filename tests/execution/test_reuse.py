"""What runs again and what does not."""

from typing import Any

import pytest

from execution.cache import Cache, CacheMode, KeepBytes, KeepCount, KeepLastPrompt, KeepNothing
from execution.events import Cached, NodeFinished, NodeStarted, Started, Succeeded
from execution.spec import NodeResult, NodeSpec
from tests.execution.kit import ApiGraph, Bench, api, declare


def sum_of(a: object, b: object) -> ApiGraph:
    r"""
    1 ─┐
       3 ─ 4
    2 ─┘
    """
    return {
        "1": api("Number", value=a),
        "2": api("Number", value=b),
        "3": api("Add", a=["1", 0], b=["2", 0]),
        "4": api("Show", x=["3", 0]),
    }


def test_a_first_run_runs_every_node_once_and_shows_the_result():
    ran = Bench().run(sum_of(1, 2))
    assert [type(event) for event in ran.events] == [
        Started,
        Cached,
        *[NodeStarted, NodeFinished] * 4,
        Succeeded,
    ]
    assert ran.ran == ["1", "2", "3", "4"]
    assert ran.shown == {"4": {"text": [3]}}
    assert [event.node.id for event in ran.of(NodeFinished) if event.reported] == ["4"]


def test_the_same_prompt_again_runs_nothing_and_shows_the_same():
    bench = Bench()
    bench.run(sum_of(1, 2))
    again = bench.run(sum_of(1, 2))
    assert again.ran == []
    assert again.cached == ["1", "2", "3", "4"]
    assert again.shown == {"4": {"text": [3]}}
    [told] = again.of(NodeFinished)
    assert (told.reused, told.reported) == (True, True)


def test_an_output_without_ui_still_reports_when_it_comes_from_the_cache():
    bench = Bench(NodeSpec(declare("Quiet", {"x": "INT"}, (), is_output=True), lambda x: NodeResult()))  # pyright: ignore[reportUnknownLambdaType]  # any value will do
    assert [event.reported for event in bench.run({"q": api("Quiet", x=1)}).of(NodeFinished)] == [False]
    [told] = bench.run({"q": api("Quiet", x=1)}).of(NodeFinished)
    assert (told.ui, told.reused, told.reported) == (None, True, True)


def test_a_new_value_reruns_only_what_depends_on_it():
    bench = Bench()
    bench.run(sum_of(1, 2))
    again = bench.run(sum_of(1, 5))
    assert again.ran == ["2", "3", "4"]
    assert again.shown == {"4": {"text": [6]}}


def test_numbers_titles_and_the_order_of_inputs_do_not_matter():
    bench = Bench()
    bench.run(sum_of(1, 2))
    renamed = {
        "d": {"_meta": {"title": "T"}, "inputs": {"x": ["c", 0]}, "class_type": "Show"},
        "c": {"class_type": "Add", "inputs": {"b": ["b", 0], "a": ["a", 0]}},
        "b": api("Number", "two", value=2),
        "a": api("Number", "one", value=1),
    }
    assert bench.run(renamed).ran == []


def test_swapped_inputs_do_matter():
    bench = Bench()
    bench.run(sum_of(1, 2))
    graph = sum_of(1, 2)
    graph["3"] = api("Add", a=["2", 0], b=["1", 0])
    assert bench.run(graph).ran == ["3", "4"]


def test_an_undeclared_input_matters():
    bench = Bench()
    bench.run(sum_of(1, 2))
    graph = sum_of(1, 2)
    graph["3"]["inputs"]["extra"] = 1
    assert bench.run(graph).ran == ["3", "4"]


def test_values_that_python_calls_equal_are_different():
    bench = Bench()
    shown: list[Any] = []
    for value in (1, 1.0, True, "1", 0, 0.0, False, None):
        ran = bench.run({"s": api("Show", x=value)})
        assert ran.ran == ["s"]
        shown += ran.shown["s"]["text"]
    assert [type(value) for value in shown] == [int, float, bool, str, int, float, bool, type(None)]


def test_a_clients_own_is_changed_is_not_believed():
    stamp = "a"
    spec = NodeSpec(declare("Read", has_fingerprint=True), lambda: NodeResult((stamp,)), fingerprint=lambda: stamp)
    bench = Bench(spec)
    graph: ApiGraph = {"1": {**api("Read"), "is_changed": ["a"]}, "2": api("Show", x=["1", 0])}
    bench.run(graph)
    stamp = "b"
    assert bench.run(graph).shown["2"] == {"text": ["b"]}


def test_nan_is_never_equal_to_itself():
    bench = Bench()
    job = {"s": api("Show", x={"__value__": [float("nan")]})}
    assert bench.run(job).ran == ["s"]
    assert bench.run(job).ran == ["s"]


def test_a_fingerprint_that_fails_or_is_nan_means_always():
    def broken() -> Any:
        raise OSError("gone")

    for hook in (broken, lambda: float("nan"), lambda: object()):
        bench = Bench(NodeSpec(declare("Read", has_fingerprint=True), lambda: NodeResult((1,)), fingerprint=hook))
        graph = {"1": api("Read"), "2": api("Show", x=["1", 0])}
        assert bench.run(graph).ran == ["1", "2"]
        assert bench.run(graph).ran == ["1", "2"]


def test_a_fingerprint_is_asked_only_of_nodes_that_are_needed_with_links_as_none():
    asked: list[Any] = []

    def stamp(name: Any, other: Any) -> str:
        asked.append((name, other))
        return "same"

    spec = NodeSpec(
        declare("Read", {"name": "STRING", "other": "INT"}, has_fingerprint=True),
        lambda name, other: NodeResult((name,)),  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]  # any value will do
        fingerprint=stamp,
    )
    bench = Bench(spec)
    graph = {
        "n": api("Number", value=1),
        "1": api("Read", name="a", other=["n", 0]),
        "side": api("Read", name="b", other=1),
        "2": api("Show", x=["1", 0]),
    }
    bench.run(graph)
    assert asked == [("a", None)]
    assert bench.run(graph).ran == []


def test_a_node_that_sees_its_id_is_not_reused_under_another():
    spec = NodeSpec(declare("Own", keyed_by_id=True), lambda: NodeResult((1,)))
    bench = Bench(spec)
    bench.run({"1": api("Own"), "s": api("Show", x=["1", 0])})
    assert bench.run({"1": api("Own"), "s": api("Show", x=["1", 0])}).ran == []
    assert bench.run({"7": api("Own"), "s": api("Show", x=["7", 0])}).ran == ["7", "s"]


def test_cached_lists_every_node_with_a_result_needed_or_not():
    bench = Bench()
    graph = sum_of(1, 2) | {"other": api("Show", x=["1", 0])}
    bench.run(graph)
    again = bench.run(graph, targets=["other"])
    assert again.cached == ["1", "2", "3", "4", "other"]
    told = {event.node.id: event.reported for event in again.of(NodeFinished)}
    assert told == {"4": False, "other": True}


# Modes


def alternating(mode: CacheMode) -> list[int]:
    """How many nodes ran in A, B, A, B."""
    bench = Bench(cache=Cache(mode))
    return [len(bench.run(graph).ran) for graph in (sum_of(1, 2), sum_of(3, 4)) * 2]


@pytest.mark.parametrize(
    ("mode", "ran"),
    [
        (KeepBytes(), [4, 4, 0, 0]),
        (KeepLastPrompt(), [4, 4, 4, 4]),
        (KeepCount(8), [4, 4, 0, 0]),
        (KeepCount(4), [4, 4, 4, 4]),
        (KeepNothing(), [4, 4, 4, 4]),
    ],
    ids=str,
)
def test_what_two_alternating_prompts_cost(mode: CacheMode, ran: list[int]):
    assert alternating(mode) == ran


def test_the_last_prompt_mode_keeps_what_the_next_prompt_shares():
    bench = Bench(cache=Cache(KeepLastPrompt()))
    bench.run(sum_of(1, 2))
    assert bench.run(sum_of(1, 5)).ran == ["2", "3", "4"]
    assert bench.run(sum_of(1, 2)).ran == ["2", "3", "4"]


def test_the_byte_budget_gives_up_the_prompt_unused_for_longest():
    cache = Cache(KeepBytes(4_000))
    bench = Bench(cache=cache)
    bench.run(sum_of(1, 2))
    bench.run(sum_of(3, 4))
    bench.run(sum_of(1, 2))
    assert len(cache) == 8
    bench.run(sum_of(5, 6))
    assert cache.bytes <= 4_000
    assert bench.run(sum_of(1, 2)).ran == []
    assert bench.run(sum_of(3, 4)).ran != []


def test_a_result_larger_than_the_budget_is_used_and_not_kept():
    class Big:
        nbytes = 10_000

    bench = Bench(NodeSpec(declare("Big"), lambda: NodeResult((Big(),))), cache=Cache(KeepBytes(5_000)))
    graph = {"1": api("Number", value=1), "b": api("Big"), "s": api("Show", x=["b", 0]), "t": api("Show", x=["1", 0])}
    bench.run(graph)
    assert bench.run(graph).ran == []  # nobody needs it: what was made of it is kept
    graph["u"] = api("Total", x=["b", 0])
    graph["s"] = api("Show", x=["b", 0], again=1)
    assert "b" in bench.run(graph).ran


class Weights:
    def __init__(self, nbytes: int):
        self.nbytes = nbytes


def test_what_several_results_share_counts_once():
    network = Weights(1_000_000)

    class Handle:
        """As a checkpoint loader and a LoRA loader make them: another object around the same network."""

        def __init__(self) -> None:
            self.network = network

    cache = Cache(KeepBytes(1_500_000))
    bench = Bench(NodeSpec(declare("Handle", {"x": "INT"}), lambda x: NodeResult((Handle(),))), cache=cache)  # pyright: ignore[reportUnknownLambdaType]  # any value will do
    graph: ApiGraph = {}
    for i in range(3):
        graph |= {f"h{i}": api("Handle", x=i), f"s{i}": api("Show", x=[f"h{i}", 0])}
    bench.run(graph)
    assert len(cache) == 6
    assert 1_000_000 < cache.bytes < 1_010_000
    cache.clear()
    assert cache.bytes == 0


def test_the_bytes_are_zero_again_when_all_is_given_up():
    cache = Cache(KeepBytes())
    shared, own = Weights(10_000), Weights(20_000)
    values: list[Any] = [shared, {"samples": shared, "more": [own]}, (own, own)]
    spec = NodeSpec(declare("Give", {"i": "INT"}), lambda i: NodeResult((values[i],)))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]  # any value will do
    bench = Bench(spec, cache=cache)
    for i in range(3):
        bench.run({"g": api("Give", i=i), "s": api("Show", x=["g", 0])})
    assert 30_000 < cache.bytes < 40_000
    cache.trim(0)
    assert (cache.bytes, len(cache)) == (0, 0)


def test_short_memory_can_be_given_back_at_any_time():
    cache = Cache(KeepBytes())
    bench = Bench(cache=cache)
    bench.run(sum_of(1, 2))
    cache.trim(cache.bytes // 2)
    assert 0 < len(cache) < 4
    assert bench.run(sum_of(1, 2)).ran != []


def test_freeing_forgets_everything():
    bench = Bench()
    bench.run(sum_of(1, 2))
    bench.executor.free()
    assert len(bench.executor.cache) == 0
    assert len(bench.run(sum_of(1, 2)).ran) == 4


def test_a_result_lives_only_until_its_last_consumer_when_nothing_is_kept():
    alive: list[int] = []

    class Heavy:
        def __init__(self, number: int):
            self.number = number
            alive.append(number)

        def __del__(self) -> None:
            alive.remove(self.number)

    most = 0

    def next_one(x: Any) -> NodeResult:
        nonlocal most
        made = Heavy(x.number + 1 if isinstance(x, Heavy) else 0)
        most = max(most, len(alive))
        return NodeResult((made,))

    def number_of(x: Heavy) -> NodeResult:
        return NodeResult((), {"text": [x.number]})

    bench = Bench(
        NodeSpec(declare("Heavy", {"x": "*"}, ("*",)), next_one),
        NodeSpec(declare("Last", {"x": "*"}, (), is_output=True), number_of),
        cache=Cache(KeepNothing()),
    )
    graph: ApiGraph = {"0": api("Heavy", x=0)}
    graph |= {str(i): api("Heavy", x=[str(i - 1), 0]) for i in range(1, 20)}
    assert bench.run({**graph, "end": api("Last", x=["19", 0])}).shown["end"] == {"text": [19]}
    assert most == 2
    assert alive == []


# Instances


def test_an_instance_lives_while_its_node_stays_in_consecutive_prompts():
    class Counter:
        count = 0

    def count(self: Counter, x: int) -> NodeResult:
        self.count += 1
        return NodeResult((self.count,))

    spec = NodeSpec(declare("Count", {"x": "INT"}), count, new_instance=Counter)
    bench = Bench(spec)

    def run(x: int, id: str = "1") -> Any:
        return bench.run({id: api("Count", x=x), "s": api("Show", x=[id, 0])}).shown["s"]["text"]

    assert [run(1), run(2), run(3)] == [[1], [2], [3]]
    assert run(9, id="2") == [1]  # another id is another object, and node 1 was absent
    assert run(4) == [1]
    bench.executor.free()
    assert run(5) == [1]
