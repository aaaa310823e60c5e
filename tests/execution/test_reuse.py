"""What runs again and what does not."""

from execution.events import Cached, NodeFinished, NodeStarted, Started, Succeeded
from tests.execution.kit import ApiGraph, Bench, api


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


def test_the_same_prompt_again_runs_nothing_and_shows_the_same():
    bench = Bench()
    bench.run(sum_of(1, 2))
    again = bench.run(sum_of(1, 2))
    assert again.ran == []
    assert again.cached == ["1", "2", "3", "4"]
    assert again.shown == {"4": {"text": [3]}}


def test_a_new_value_reruns_only_what_depends_on_it():
    bench = Bench()
    bench.run(sum_of(1, 2))
    again = bench.run(sum_of(1, 5))
    assert again.ran == ["2", "3", "4"]
    assert again.shown == {"4": {"text": [6]}}
